// Random numbers and draws: what their arguments must be, and the call of a backend.
#include "core/ops/dispatch.h"

namespace csreft::ops {

void fill_uniform_(const Tensor& y, double low, double high, std::uint64_t seed, std::uint64_t stream) {
  checks::real("fill_uniform_", "y", y);
  backend(y, &Backend::fill_uniform)(low, high, seed, stream, y);
}

void fill_normal_(const Tensor& y, double mean, double deviation, std::uint64_t seed, std::uint64_t stream) {
  checks::real("fill_normal_", "y", y);
  backend(y, &Backend::fill_normal)(mean, deviation, seed, stream, y);
}

void fill_gumbel_(const Tensor& y, std::uint64_t seed, std::uint64_t stream, std::uint64_t first) {
  checks::real("fill_gumbel_", "y", y);
  backend(y, &Backend::fill_gumbel)(seed, stream, first, y);
}

Tensor dropout(const Tensor& x, double p, std::uint64_t seed, std::uint64_t stream, std::uint64_t first) {
  checks::real("dropout", "x", x);
  require(0.0 <= p && p < 1.0, "dropout: a probability of {}, expected at least 0 and less than 1", p);
  Tensor y = empty_like(x);
  backend(x, &Backend::dropout)(x, p, seed, stream, first, y);
  return y;
}

void sample_(const Tensor& logits, const Sampling& sampling, std::uint64_t first_stream, const Tensor& draws,
             const Tensor& tokens) {
  constexpr std::int64_t largest_vocabulary = 1 << 21;
  checks::sampling(sampling);
  checks::real_matrix("sample_", "logits", logits);
  const std::int64_t n = logits.rows();
  require(0 < logits.cols() && logits.cols() <= largest_vocabulary,
          "sample_: a vocabulary of {} tokens, expected at least one and at most {}", logits.cols(),
          largest_vocabulary);
  const auto fits = [&](const Tensor& t, const Shape& shape) {
    return t.defined() && t.dtype() == DType::i32 && t.shape() == shape && t.device() == logits.device();
  };
  require(fits(draws, {n, 2}), "sample_: draws do not fit {} rows of logits, expected i32 [{}, 2] on {}", n, n,
          to_string(logits.device()));
  require(fits(tokens, {n}), "sample_: tokens do not fit {} rows of logits, expected i32 [{}] on {}", n, n,
          to_string(logits.device()));
  backend(logits, &Backend::sample)(logits, sampling, first_stream, draws, tokens);
}

}  // namespace csreft::ops
