#include "tests/golden_model.h"

#include "core/base/json_file.h"
#include "models/checkpoints/open_checkpoint.h"
#include "tests/device.h"
#include "tests/golden_method.h"

using csreft::Llama;
using csreft::Tensor;
using csreft::Variable;

namespace {

constexpr GoldenTolerances tolerances{
    .loss = {1e-5, Measure::relative}, .logits = {1e-4, Measure::absolute}, .gradients = {1e-4, Measure::relative}};
constexpr Tolerance hidden_tolerance{1e-4, Measure::absolute};

struct GoldenModel {
  std::string label;
  csreft::Checkpoint checkpoint;
  TinyTask task;
  GoldenTensors tensors;
};

GoldenModel open_golden_model(const std::filesystem::path& folder, const nlohmann::json& golden) {
  auto sequences = golden.at("sequences").get<std::vector<TokenIds>>();
  const auto prompt_lengths = golden.at("prompt_lengths").get<std::vector<std::int64_t>>();
  csreft::require(sequences.size() == prompt_lengths.size(), "golden.json: {} sequences and {} prompt lengths",
                  sequences.size(), prompt_lengths.size());
  return {folder.filename().string(), csreft::open_checkpoint(folder), make_task(std::move(sequences), prompt_lengths),
          GoldenTensors(folder / "golden.safetensors")};
}

void compare_hidden(const std::vector<Tensor>& outputs, GoldenModel& golden, GoldenComparison& comparison) {
  const auto offsets = golden.task.batch.layout.q_offsets.span<std::int32_t>();
  for (std::size_t layer = 0; layer < outputs.size(); ++layer) {
    for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
      const std::string name = fmt::format("base.hidden.{}.{}", layer, s);
      if (!golden.tensors.contains(name)) continue;
      comparison.add(fmt::format("layer {}, sequence {}", layer, s), outputs[layer].slice(offsets[s], offsets[s + 1]),
                     golden.tensors.take(name));
    }
  }
}

void check_base(GoldenModel& golden, const nlohmann::json& settings, const GoldenSink& sink) {
  const std::string label = golden.label + " base";
  const Llama model(golden.checkpoint, csreft::Weights::trainable, {csreft::DType::f32, test_device()});
  std::vector<Tensor> outputs;
  csreft::Attachments points;
  points.block_output = [&](std::int64_t, const Variable& hidden) {
    outputs.push_back(hidden.value());
    return hidden;
  };
  const TinyTask& task = golden.task;
  const Variable hidden = model.forward(task.batch, points);
  const Variable loss = csreft::head_cross_entropy(csreft::gather_rows(hidden, task.rows), model.head(), task.targets,
                                                   1.0 / static_cast<double>(task.rows.numel()));
  csreft::backward(loss);

  GoldenComparison losses(label + ": loss", tolerances.loss);
  losses.add("loss", loss.value().item(), settings.at("loss").get<double>());
  sink(losses.result());
  GoldenComparison states(label + ": hidden states", hidden_tolerance);
  compare_hidden(outputs, golden, states);
  sink(states.result());
  GoldenComparison logits(label + ": logits", tolerances.logits);
  compare_logits(model.logits(hidden.detach()).value(), task, "base.", golden.tensors, logits);
  sink(logits.result());
  GoldenComparison gradients(label + ": gradients", tolerances.gradients);
  for (const auto& [name, weight] : model.parameters()) {
    const std::string stored = "base.grad." + name;
    if (golden.tensors.contains(stored)) gradients.add(name, weight.grad(), golden.tensors.take(stored));
  }
  sink(gradients.result());
}

}  // namespace

void check_golden_model(const std::filesystem::path& folder, const GoldenSink& sink) {
  const auto json = csreft::read_json_object(folder / "golden.json");
  GoldenModel golden = open_golden_model(folder, json);
  const auto& cases = json.at("cases");
  csreft::require(cases.is_object() && !cases.empty(), "golden.json has no cases");
  const Llama model(golden.checkpoint, csreft::Weights::frozen, {csreft::DType::f32, test_device()});
  for (const auto& [name, settings] : cases.items()) {
    const std::string label = golden.label + " " + name;
    const bool done = guard(label, sink, [&, case_name = name, case_settings = settings] {
      if (case_name == "base") {
        check_base(golden, case_settings, sink);
        return;
      }
      const GoldenCase method{label, case_name + ".", golden_method_options(case_name, case_settings), case_settings};
      check_golden_method(model, golden.task, method, golden.tensors, tolerances, sink);
    });
    if (!done) golden.tensors.give_up(name + ".");
  }
  const auto unused = golden.tensors.unused();
  sink({golden.label + ": every tensor is known", unused.empty(),
        unused.empty() ? "" : fmt::format("{} were not looked at, the first of them {}", unused.size(), unused[0])});
}
