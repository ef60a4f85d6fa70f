// What a Trainer keeps on disk, so that a stopped run loses nothing: adapter/ for use, and state.safetensors (values,
// moments and the number of steps done) to go on from.
#include <charconv>

#include "core/safetensors.h"
#include "experiments/harness/trainer.h"

namespace csreft {
namespace {

constexpr const char* value_prefix = "value.";

}  // namespace

void Trainer::save_good_adapter(const std::filesystem::path& folder) const {
  save_adapter(folder / "adapter", method_, model_, {std::string(model_.chat->name), options_.system});
}

void Trainer::save(const std::filesystem::path& folder, std::int64_t step) const {
  std::vector<std::pair<std::string, Tensor>> tensors = optimizer_.state();
  for (const auto& p : method_.parameters()) tensors.emplace_back(value_prefix + p.name, p.value.value());
  save_safetensors(folder / "state.safetensors", tensors, {{"step", std::to_string(step)}});
  save_good_adapter(folder);
}

std::vector<StepMetrics> Trainer::load(const std::filesystem::path& folder) {
  const auto file = SafeTensors::open(folder / "state.safetensors");
  const std::string where = file.path().string();
  std::vector<std::pair<std::string, Tensor>> moments;
  for (const auto& name : file.names()) {
    if (!name.starts_with(value_prefix)) moments.emplace_back(name, file.get(name));
  }
  for (const auto& p : method_.parameters()) {
    const std::string name = value_prefix + p.name;
    require(file.contains(name) && file.shape(name) == p.value.shape(), "{} does not fit this run: tensor {} differs",
            where, name);
    ops::copy_(p.value.value(), file.get(name).to(p.value.value().dtype()));
  }
  optimizer_.load_state(moments);

  const auto step = file.metadata().find("step");
  require(step != file.metadata().end(), "{} does not say how many steps were done", where);
  std::size_t done = 0;
  const char* end = step->second.data() + step->second.size();
  const auto [rest, error] = std::from_chars(step->second.data(), end, done);
  require(error == std::errc() && rest == end, "{}: '{}' is no number of steps", where, step->second);
  // Steps after the last save are done again.
  std::vector<StepMetrics> metrics = read_metrics(folder / "metrics.jsonl", done);
  require(metrics.size() == done, "{} has {} steps, but the state was saved after {}",
          (folder / "metrics.jsonl").string(), metrics.size(), done);
  return metrics;
}

}  // namespace csreft
