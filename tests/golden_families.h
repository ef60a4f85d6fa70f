// Golden values of model families and kinds of rotation: small models whose weights a formula gives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/tensor/tensor.h"
#include "models/checkpoints/checkpoint.h"
#include "tests/golden_compare.h"

// Element i of a tensor is f(u), u in [-1, 1) from the 24 highest bits of splitmix64 number i + 1 of the seed
// FNV-1a(name): biases u / 2, norms 1 + u / 4, the embedding u, other matrices u sqrt(3 / columns); f32.
csreft::Tensor formula_weight(const std::string& name, const csreft::Shape& shape);

// One file: a config.json, ids, the rows of the logits that are kept, and the mean loss of every next token, as
// transformers computes them from formula_weight in f64 (but for the angles, which it holds in f32).
struct GoldenFamily {
  std::string name;
  nlohmann::json config;
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> rows;
  csreft::Tensor logits;  // f64 [rows, vocabulary]
  double loss = 0;
  nlohmann::json gradients;  // of that loss, by parameter

  // Through a Hugging Face folder on the disk.
  csreft::Checkpoint open() const;
};

// The files of a folder, by name.
std::vector<GoldenFamily> read_golden_families(const std::filesystem::path& folder);

// Logits, loss and gradients of each, in f64 on the device under test. Tolerances: 1e-5, as the reference's angles are
// rounded to f32, a relative 6e-8 of up to 24 radians.
void check_golden_families(const std::filesystem::path& folder, const GoldenSink& sink);
