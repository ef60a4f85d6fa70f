// What the tests of training share: a small chat model, methods for it, and runs.
#pragma once

#include <algorithm>
#include <cmath>
#include <csignal>

#include <doctest/doctest.h>

#include "core/base/threads.h"
#include "experiments/cli/progress.h"
#include "experiments/training/evaluate.h"
#include "experiments/training/trainer.h"
#include "tests/compare.h"
#include "tests/device.h"
#include "tests/error_text.h"
#include "tests/reft/method_tools.h"
#include "tests/temporary_folder.h"
#include "tests/tiny_chat.h"

inline const csreft::LanguageModel& model() {
  static const TinyChat chat;
  static const csreft::LanguageModel loaded = chat.load(test_device());
  return loaded;
}

inline csreft::MethodOptions small_options_of(std::string_view name,
                                              const nlohmann::json& more = nlohmann::json::object()) {
  auto values = paper_options({{"layers", "0,1"},
                               {"rank", 2},
                               {"positions", "f5+l5"},
                               {"edit_start", "identity"},
                               {"subspaces", 2},
                               {"router_hidden", 4}})
                    .values;
  values["tasks"] = nlohmann::json::array({"letters"});
  values.update(more);
  auto options = options_for(name, values);
  if (name == "lora" || name == "olora") options["positions"] = "everywhere";
  return options;
}

// Whether the method itself asks for one task after the other.
inline bool learns_in_sequence(std::string_view name) {
  const auto options = small_options_of(name);
  return options.contains("tasks") && !csreft::configure(options)->trains_model() &&
         !csreft::create_method(options, model().llama, /*seed=*/5)->sequence().empty();
}

inline std::unique_ptr<csreft::Method> create(const csreft::MethodOptions& options) {
  return csreft::create_method(options, model().llama, /*seed=*/5);
}

inline std::unique_ptr<csreft::Method> small_method(std::string_view name = "csreft") {
  return create(small_options_of(name));
}

inline csreft::MethodOptions normed_options(nlohmann::json more = nlohmann::json::object()) {
  more["router_norm"] = true;
  return small_options_of("csreft", more);
}

inline csreft::TrainOptions small_options() {
  csreft::TrainOptions options;
  options.batch = 4;
  options.epochs = 2;
  options.lr = 1e-2;
  options.seed = 3;
  options.quiet = true;
  return options;
}

inline csreft::TrainResult train(csreft::Method& method, const csreft::TrainOptions& options,
                                 const std::filesystem::path& folder = {}) {
  return csreft::Trainer(model(), method, std::vector<csreft::Task>{letter_task(12)}, options).run(folder);
}

inline std::vector<float> values(const csreft::Method& method) {
  std::vector<float> all;
  for (const auto& p : method.parameters()) {
    const csreft::Tensor value = p.value.value().to(csreft::Device{});
    const auto span = value.span<float>();
    all.insert(all.end(), span.begin(), span.end());
  }
  return all;
}

inline double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

// The losses of a run with this number of threads, in batches of about 4,000 tokens: large enough for elementwise work,
// products and attention to be shared out.
inline std::vector<double> losses_with(int threads) {
  constexpr std::int64_t examples = 96;
  csreft::set_threads(threads);
  const auto method = small_method();
  auto options = small_options();
  options.batch = examples;
  options.tokens_per_pass = 1 << 20;
  return csreft::Trainer(model(), *method, std::vector<csreft::Task>{letter_task(examples)}, options).run().losses();
}

// Does `steps` steps of a run in `folder` and is stopped by signals, once for each step.
inline void interrupt_after_each_step(const csreft::TrainOptions& options, const std::filesystem::path& folder,
                                      int steps, const csreft::MethodOptions& method_options) {
  for (int s = 0; s < steps; ++s) {
    const auto method = create(method_options);
    csreft::Trainer trainer(model(), *method, std::vector<csreft::Task>{letter_task(12)}, options);
    const csreft::InterruptGuard guard;
    std::raise(SIGINT);
    const auto result = trainer.run(folder, /*resume=*/s > 0);
    CHECK(result.interrupted);
    CHECK(result.steps.size() == static_cast<std::size_t>(s) + 1);
  }
  const csreft::InterruptGuard no_signal_yet;
}
