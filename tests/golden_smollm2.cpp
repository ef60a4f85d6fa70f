#include "tests/golden_smollm2.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>

#include "core/base/json_file.h"
#include "models/checkpoints/open_checkpoint.h"
#include "models/language_model.h"
#include "models/llama/generate.h"
#include "models/text/sentencepiece_tokenizer.h"
#include "tests/device.h"
#include "tests/golden_method.h"
#include "tests/golden_tokenizer.h"

using csreft::Llama;
using csreft::Tensor;
using csreft::Variable;

namespace {

constexpr GoldenTolerances tolerances{
    .loss = {1e-4, Measure::absolute}, .logits = {2e-3, Measure::absolute}, .gradients = {1e-2, Measure::relative}};
constexpr Tolerance nll_tolerance{1e-4, Measure::absolute};
constexpr double undecided_margin = 0.01;

csreft::Checkpoint open_smollm2() {
  const char* path = std::getenv("CSREFT_SMOLLM2");
  csreft::require(path != nullptr && *path != '\0',
                  "CSREFT_SMOLLM2 is not set: expected the path of SmolLM2-135M-Instruct's .gguf");
  return csreft::open_checkpoint(path);
}

nlohmann::json read_json_list(const std::filesystem::path& path) {
  std::ifstream stream(path);
  csreft::require(stream.is_open(), "{} cannot be read", path.string());
  const auto list = nlohmann::json::parse(stream);
  csreft::require(list.is_array() && !list.empty(), "{} is no list of golden values", path.string());
  return list;
}

void check_tokens(const std::filesystem::path& file, const std::filesystem::path& llama2_tokenizer,
                  const GoldenSink& sink) {
  const auto first = read_json_list(file).at(0);
  for (const auto& [entry_key, _] : first.items()) {
    const std::string key = entry_key;
    if (key == "text") continue;
    guard("smollm2 tokens: " + key, sink, [&] {
      csreft::require(key == "smollm2" || key == "llama2", "not built: a tokenizer of this name is not known");
      csreft::require(key != "llama2" || !llama2_tokenizer.empty(),
                      "no llama2/tokenizer.model inside or beside the folder of golden values");
      const auto tokenizer =
          key == "llama2" ? csreft::load_sentencepiece(llama2_tokenizer) : csreft::load_tokenizer(open_smollm2());
      report_golden_tokens("smollm2 tokens: " + key, tokenizer, file, key, sink);
    });
  }
}

// Empty, or how `ids` leave the expected ones before a step that was undecided.
std::string compare_greedy(const TokenIds& ids, const TokenIds& expected, const std::vector<double>& margins) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (margins.at(i) < undecided_margin) return "";
    if (i >= ids.size() || ids[i] != expected[i]) {
      return fmt::format("token {} of {} is {}, expected {} (margin {:.3g})", i, expected.size(),
                         i < ids.size() ? fmt::format("{}", ids[i]) : "missing", expected[i], margins[i]);
    }
  }
  return "";
}

void check_prompt(const Llama& model, const nlohmann::json& golden, const std::string& label, const GoldenSink& sink) {
  const csreft::NoGrad no_grad;
  const auto ids = golden.at("ids").get<TokenIds>();
  const TinyTask task = make_task({ids}, std::vector<std::int64_t>{1});
  const Variable hidden = model.forward(task.batch);

  GoldenComparison nll(label + ": mean nll", nll_tolerance);
  nll.add("nll_mean",
          csreft::head_cross_entropy(csreft::gather_rows(hidden, task.rows), model.head(), task.targets,
                                     1.0 / static_cast<double>(task.rows.numel()))
              .value()
              .item(),
          golden.at("nll_mean").get<double>());
  sink(nll.result());

  GoldenComparison top(label + ": ten largest logits", tolerances.logits);
  const auto n = static_cast<std::int64_t>(ids.size());
  const Tensor logits = model.logits(Variable(hidden.value().slice(n - 1, n))).value().to(csreft::Device{});
  const auto top_ids = golden.at("top10_ids").get<std::vector<std::size_t>>();
  const auto top_logits = golden.at("top10_logits").get<std::vector<double>>();
  for (std::size_t i = 0; i < top_ids.size(); ++i) {
    csreft::require(top_ids[i] < logits.span<float>().size(), "token id {} lies outside the vocabulary", top_ids[i]);
    top.add(fmt::format("token {}", top_ids[i]), logits.span<float>()[top_ids[i]], top_logits.at(i));
  }
  sink(top.result());

  const auto expected = golden.at("greedy_ids").get<TokenIds>();
  csreft::GenerationOptions options;
  options.max_new_tokens = static_cast<std::int64_t>(expected.size());
  const auto greedy = csreft::generate(model, std::vector<TokenIds>{ids}, options).at(0);
  const auto wrong = compare_greedy(greedy, expected, golden.at("greedy_margins").get<std::vector<double>>());
  sink({label + ": greedy tokens", wrong.empty(), wrong});
}

void check_generate(const Llama& model, const std::filesystem::path& file, const GoldenSink& sink) {
  const auto prompts = read_json_list(file);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const std::string label = fmt::format("smollm2 generate {}", i);
    guard(label, sink, [&] { check_prompt(model, prompts[i], label, sink); });
  }
}

void check_loreft(const Llama& model, const std::filesystem::path& folder, const GoldenSink& sink) {
  const auto settings = csreft::read_json_object(folder / "loreft.json");
  std::vector<TokenIds> sequences;
  std::vector<std::int64_t> prompt_lengths;
  for (const auto& sequence : settings.at("sequences")) {
    sequences.push_back(sequence.at("ids").get<TokenIds>());
    prompt_lengths.push_back(sequence.at("prompt_length").get<std::int64_t>());
  }
  nlohmann::json options = settings;
  options.erase("sequences");
  GoldenTensors tensors(folder / "loreft.safetensors");
  check_golden_method(model, make_task(std::move(sequences), prompt_lengths),
                      {"smollm2 loreft", "", golden_method_options("loreft", options), settings}, tensors, tolerances,
                      sink);
  const auto unused = tensors.unused();
  csreft::require(unused.empty(), "{} tensors were not looked at", unused.size());
}

}  // namespace

void check_golden_smollm2(const std::filesystem::path& folder, const std::filesystem::path& llama2_tokenizer,
                          const GoldenSink& sink) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  std::optional<Llama> model;
  const auto with_model = [&]() -> const Llama& {
    if (!model)
      model.emplace(open_smollm2(), csreft::Weights::frozen, csreft::TensorOptions{csreft::DType::f32, test_device()});
    return *model;
  };
  for (const auto& name : names) {
    guard("smollm2 " + name, sink, [&] {
      if (name == "tokens.json") {
        check_tokens(folder / name, llama2_tokenizer, sink);
      } else if (name == "generate.json") {
        check_generate(with_model(), folder / name, sink);
      } else if (name == "loreft.json") {
        check_loreft(with_model(), folder, sink);
      } else {
        csreft::require(name == "loreft.safetensors", "not built: golden values of this name are not known");
      }
    });
  }
}
