// Golden values of a fine-tuning method: loss, gates, logits and gradients with given parameters.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "reft/methods/method.h"
#include "tests/golden_compare.h"
#include "tests/tiny_model.h"

struct GoldenTolerances {
  Tolerance loss;
  Tolerance logits;
  Tolerance gradients;
};

struct GoldenCase {
  std::string label;   // in front of every check
  std::string prefix;  // in front of its tensors: "loreft."
  csreft::MethodOptions options;
  nlohmann::json settings;  // loss; where they are there: ce, penalty, alpha
};

// "loreft", "loreft.tied" (and every other formula), "lora", "csreft.INPUT.PENALTY", with the settings of golden.json.
// Throws csreft::Error for a case or a setting that is not known.
csreft::MethodOptions golden_method_options(const std::string& name, const nlohmann::json& settings);

// Builds the method, gives it the golden parameters and compares what it makes of `task`. Throws csreft::Error for a
// method that is not built and for parameters that are missing or of another shape.
void check_golden_method(const csreft::Llama& model, const TinyTask& task, const GoldenCase& golden,
                         GoldenTensors& tensors, const GoldenTolerances& tolerances, const GoldenSink& sink);

// Logits [n, vocabulary] of the packed sequences, one tensor PREFIXlogits.I a sequence, as far as they are there.
void compare_logits(const csreft::Tensor& logits, const TinyTask& task, const std::string& prefix,
                    GoldenTensors& tensors, GoldenComparison& comparison);
