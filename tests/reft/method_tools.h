// Methods on tiny models, for tests.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "reft/methods/method.h"
#include "reft/presets.h"
#include "tests/tiny_model.h"

// `method` with those of the values that it has an option for.
inline csreft::MethodOptions options_for(std::string_view method, nlohmann::json values) {
  csreft::MethodOptions options{std::string(method), std::move(values)};
  for (const auto& unknown : csreft::read_options(options).unknown) options.values.erase(unknown);
  return options;
}

// CS-ReFT with the paper's router and formula.
inline csreft::MethodOptions paper_options(const nlohmann::json& values) {
  nlohmann::json all = csreft::find_preset("paper").method.values;
  all.update(values);
  return options_for("csreft", all);
}

// A method with a tiny f64 model of its own, whose weights can be trained if it trains them.
struct TinyMethod {
  explicit TinyMethod(const csreft::MethodOptions& options, std::uint64_t seed = 1)
      : model(std::make_unique<csreft::Llama>(tiny_llama(
            csreft::configure(options)->trains_model() ? csreft::Weights::trainable : csreft::Weights::frozen))),
        method(csreft::create_method(options, *model, seed)) {}

  csreft::Method& operator*() const { return *method; }
  csreft::Method* operator->() const { return method.get(); }

  std::unique_ptr<csreft::Llama> model;
  std::unique_ptr<csreft::Method> method;
};
