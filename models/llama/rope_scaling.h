// How models for longer texts turn rotary positions.
#pragma once

#include <cstdint>
#include <variant>

namespace csreft {

struct PlainRope {};

// All frequencies are divided by `factor` (arXiv 2306.15595).
struct LinearRope {
  double factor = 1;
};

// NTK by length, as in transformers: within the original context L0 = max_position_embeddings nothing changes; for a
// longest sequence of L > L0 tokens theta becomes theta * (factor L / L0 - factor + 1)^(d / (d - 2)), d = head_dim.
struct DynamicRope {
  double factor = 1;
};

// YaRN (arXiv 2309.00071, section 3): pairs that turn more than beta_fast times within the original context stay, those
// that turn less than beta_slow times are divided by `factor`, and the band between is interpolated linearly by index,
// its ends rounded outwards if `truncate`. Cosines and sines are multiplied by attention_factor.
struct YarnRope {
  double factor = 1;
  double attention_factor = 1;
  double beta_fast = 32;
  double beta_slow = 1;
  std::int64_t original_max_position_embeddings = 0;
  bool truncate = true;
};

// Llama 3.1's rule: low frequencies are divided by `factor`, high ones stay, and the band between is interpolated. A
// wavelength is low where it exceeds original_max_position_embeddings / low_freq_factor.
struct Llama3Rope {
  double factor = 1;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  std::int64_t original_max_position_embeddings = 0;
};

using RopeScaling = std::variant<PlainRope, LinearRope, DynamicRope, YarnRope, Llama3Rope>;

}  // namespace csreft
