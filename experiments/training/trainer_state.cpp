// What a Trainer keeps on disk, so that a stopped run loses nothing: adapter/ for use, and state.safetensors (values,
// moments and the number of steps done) to go on from.

#include "core/base/whole_number.h"
#include "core/tensor/safetensors.h"
#include "experiments/training/trainer.h"

namespace csreft {
namespace {

constexpr const char* value_prefix = "value.";
constexpr const char* buffer_prefix = "buffer.";

// The values that a method has apart from the optimizer's moments, by their names in the file.
std::vector<std::pair<std::string, Tensor>> values_of(const Method& method) {
  std::vector<std::pair<std::string, Tensor>> values;
  for (const auto& p : method.parameters()) values.emplace_back(value_prefix + p.name, p.value.value());
  for (const auto& [name, buffer] : method.buffers()) values.emplace_back(buffer_prefix + name, buffer);
  return values;
}

}  // namespace

// Enough to notice other data, whatever the files are named.
std::string Trainer::training_data() const {
  std::size_t tokens = 0;
  for (const auto& e : examples_) tokens += e.ids.size();
  return fmt::format("{} examples of {} tokens", examples_.size(), tokens);
}

void Trainer::save_good_adapter(const std::filesystem::path& folder) const {
  save_adapter(folder / "adapter", method_, model_, {std::string(model_.chat->name), options_.system});
}

void Trainer::save(const std::filesystem::path& folder, std::int64_t step) const {
  std::vector<std::pair<std::string, Tensor>> tensors = optimizer_.state();
  for (auto& value : values_of(method_)) tensors.push_back(std::move(value));
  save_safetensors(folder / "state.safetensors", tensors,
                   {{"step", std::to_string(step)}, {"training_data", training_data()}});
  save_good_adapter(folder);
}

std::vector<StepMetrics> Trainer::load(const std::filesystem::path& folder) {
  const auto file = SafeTensors::open(folder / "state.safetensors");
  const std::string where = file.path().string();
  const auto data = file.metadata().find("training_data");
  require(data == file.metadata().end() || data->second == training_data(),
          "the training data have changed: {}, expected the {} that the run in {} began with", training_data(),
          data->second, folder.string());
  std::vector<std::pair<std::string, Tensor>> moments;
  for (const auto& name : file.names()) {
    if (!name.starts_with(value_prefix) && !name.starts_with(buffer_prefix)) moments.emplace_back(name, file.get(name));
  }
  for (const auto& [name, value] : values_of(method_)) {
    require(file.contains(name) && file.shape(name) == value.shape(), "{} does not fit this run: tensor {} differs",
            where, name);
    ops::copy_(value, file.get(name).to(value.dtype()));
  }
  optimizer_.load_state(moments);

  const auto step = file.metadata().find("step");
  require(step != file.metadata().end(), "{} does not say how many steps were done", where);
  const auto done = parse_whole_number<std::size_t>(step->second);
  require(done.has_value(), "{}: '{}' is no number of steps", where, step->second);
  // Steps after the last save are done again.
  std::vector<StepMetrics> metrics = read_metrics(folder / "metrics.jsonl", *done);
  require(metrics.size() == *done, "{} has {} steps, but the state was saved after {}",
          (folder / "metrics.jsonl").string(), metrics.size(), *done);
  return metrics;
}

}  // namespace csreft
