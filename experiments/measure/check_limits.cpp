#include "experiments/measure/check_limits.h"

#include <array>

#include "core/cpu/packed_matrix.h"
#include "experiments/measure/device_bench.h"
#include "experiments/measure/random_llama.h"

namespace csreft {
namespace {

constexpr double tera = 1e12, giga = 1e9;

std::string share(double value, double limit, std::string_view type) {
  return limit > 0.0 ? fmt::format("{:.3g} % of the {} product", 100.0 * value / limit, type) : "";
}

}  // namespace

Weights checked_weights(const Device& device) {
  return device.type == DeviceType::cuda || cpu::has_bf16_products() ? Weights::frozen_bf16 : Weights::frozen;
}

DeviceLimits check_limits(CheckRun& run) {
  DeviceLimits limits;
  run.part("limits", [&] {
    const std::int64_t n = run.smoke() ? 32 : 8192;
    const double seconds = run.measuring(4.0);
    run.attempt("product in f32", 2 * seconds, [&] {
      limits.gemm_f32 = measure_gemm(run.device(), {n, n, n}, Packing::automatic, seconds);
      run.add({.what = fmt::format("product in f32, {} cubed", n), .value = limits.gemm_f32 / tera, .unit = "TFLOP/s"});
    });
    const char* bf16 = "product with frozen weights in bf16";
    if (checked_weights(run.device()) != Weights::frozen_bf16) {
      run.leave_out(fmt::format("{}: this processor does not multiply bf16", bf16));
    } else {
      run.attempt(bf16, 2 * seconds, [&] {
        limits.gemm_bf16 = measure_gemm(run.device(), {n, n, n}, Packing::bf16, seconds);
        run.add({.what = fmt::format("{}, {} cubed", bf16, n), .value = limits.gemm_bf16 / tera, .unit = "TFLOP/s"});
      });
    }
    if (run.device().type == DeviceType::cuda) {
      run.attempt("product in TF32", 2 * seconds, [&] {
        const double rate = measure_gemm(run.device(), {n, n, n}, Packing::tf32, seconds);
        run.add({.what = fmt::format("product in TF32, {} cubed", n), .value = rate / tera, .unit = "TFLOP/s"});
      });
    }
    run.attempt("copy", 2 * seconds, [&] {
      const std::int64_t bytes = run.smoke() ? 4096 : std::int64_t{1} << 30U;
      limits.copy = measure_copy(run.device(), bytes, seconds / 2);
      run.add({.what = fmt::format("copy of {} KiB", bytes >> 10U),
               .value = limits.copy / giga,
               .unit = "GB/s",
               .remark = "read and written"});
    });
  });
  return limits;
}

namespace {

// Attention of 4096 tokens, in sequences of `length`, at a model's heads.
void check_attention_of(CheckRun& run, const DeviceLimits& limits, const std::string& name, const LlamaConfig& config,
                        bool bf16, std::int64_t length) {
  const std::string_view type = bf16 ? "bf16" : "f32";
  const std::string what = fmt::format("{}, {}, {} tokens", name, type, length);
  const double seconds = run.measuring(2.0), peak = bf16 ? limits.gemm_bf16 : limits.gemm_f32;
  run.attempt(what, 2 * seconds, [&] {
    const std::int64_t tokens = run.smoke() ? 32 : 4096;
    const AttentionRates rates = measure_attention(
        run.device(), {config.n_heads, config.n_kv_heads, config.head_dim, bf16}, tokens / length, length, seconds);
    for (const auto& [pass, rate] : {std::pair{"forward", rates.forward}, std::pair{"backward", rates.backward}}) {
      run.add({.what = fmt::format("{}, {}", what, pass),
               .value = rate / tera,
               .unit = "TFLOP/s",
               .remark = share(rate, peak, type)});
    }
  });
}

}  // namespace

void check_attention(CheckRun& run, const DeviceLimits& limits) {
  run.part("attention", [&] {
    for (const auto& [name, config] : {std::pair{"SmolLM2", run.smoke() ? smoke_test_shape() : smollm2_shape()},
                                       std::pair{"Llama-2-7B", run.smoke() ? smoke_test_shape() : llama2_7b_shape()}}) {
      for (const std::int64_t length :
           run.smoke() ? std::array<std::int64_t, 2>{16, 32} : std::array<std::int64_t, 2>{512, 2048}) {
        check_attention_of(run, limits, name, config, false, length);
        if (run.device().type == DeviceType::cuda) check_attention_of(run, limits, name, config, true, length);
      }
    }
  });
}

}  // namespace csreft
