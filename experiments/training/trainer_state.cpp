// What a Trainer keeps on disk, so that a stopped run loses nothing: adapter/ for use, and state.safetensors (values,
// moments, with --keep best the best values so far, and the number of steps done) to go on from.

#include <algorithm>
#include <optional>

#include "core/base/folder.h"
#include "core/base/hash.h"
#include "core/base/temporary.h"
#include "core/base/whole_number.h"
#include "core/tensor/safetensors.h"
#include "experiments/training/trainer.h"

namespace csreft {
namespace {

constexpr const char* value_prefix = "value.";
constexpr const char* buffer_prefix = "buffer.";
constexpr const char* best_prefix = "best.";

// How many there were when the state was saved; nothing if it does not say.
std::optional<std::int64_t> saved_count(const SafeTensors& file, const std::string& what) {
  const auto found = file.metadata().find(what);
  if (found == file.metadata().end()) return std::nullopt;
  const auto count = parse_whole_number<std::int64_t>(found->second);
  require(count.has_value() && *count >= 0, "{}: `{}` is '{}': expected a whole number of 0 or more",
          file.path().string(), what, found->second);
  return count;
}

std::int64_t steps_done(const SafeTensors& file) {
  const auto steps = saved_count(file, "step");
  require(steps.has_value(), "{} does not say how many steps were done", file.path().string());
  return *steps;
}

// One pair after the other, with room for one tensor alone.
void swap_elements(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Tensor first = a[i].clone();
    ops::copy_(a[i], b[i]);
    ops::copy_(b[i], first);
  }
}

}  // namespace

// Enough to notice other data, whatever the files are named.
std::string Trainer::training_data() const {
  std::size_t tokens = 0;
  std::uint64_t hash = fnv1a_start;
  for (const auto& e : examples_) {
    tokens += e.ids.size();
    hash = fnv1a({reinterpret_cast<const char*>(e.ids.data()), e.ids.size() * sizeof(std::int32_t)}, hash);
    hash = fnv1a(std::to_string(e.prompt_length), hash);
  }
  return fmt::format("{} examples of {} tokens, {:016x}", examples_.size(), tokens, hash);
}

// In place of the one that is there in one go, so that a process that is killed leaves a whole one.
void Trainer::save_good_adapter(const std::filesystem::path& folder) const {
  const auto place = folder / "adapter", made = temporary_path(place, 0);
  save_adapter(made, method_, model_, {model_.chat->source, options_.system});
  replace_folder(made, place);
}

// Moments of other ranks come one by one, as they are written.
void Trainer::save_state(const std::filesystem::path& file, const SafeTensorsMetadata& about) const {
  using Part = Optimizer::StatePart;
  std::vector<Part> parts = optimizer_.state_parts();
  const auto add = [&](const std::string& name, const Tensor& value) {
    parts.push_back({name, value.shape(), value.dtype(), /*owner=*/0, value});
  };
  for (const auto& [name, value] : named_tensors(method_, value_prefix, buffer_prefix)) add(name, value);
  for (std::size_t i = 0; i < best_values_.size(); ++i) {
    add(best_prefix + method_.parameters()[i].name, best_values_[i]);
  }
  // As save_safetensors() orders tensors, so that all are aligned.
  std::ranges::stable_sort(parts, std::ranges::greater{}, [](const Part& part) { return size_of(part.type); });
  if (!ranks_.is_first()) {
    for (const Part& part : parts) {
      if (part.owner == ranks_.rank()) ranks_.send_to_first_(part.value, part.owner);
    }
    return;
  }
  std::vector<SafeTensorsEntry> entries;
  for (const Part& part : parts) entries.push_back({part.name, part.shape, element_type(part.type)});
  auto next = parts.begin();
  const auto value_of_next = [&](const std::string& /*name*/) {
    const Part& part = *next++;
    const Tensor value = part.owner == 0 ? part.value : Tensor::empty(part.shape, part.type);
    ranks_.send_to_first_(value, part.owner);
    return value;
  };
  save_safetensors(file, entries, value_of_next, about);
}

void Trainer::save(const std::filesystem::path& folder, const TrainResult& result) {
  SafeTensorsMetadata about{{"step", std::to_string(result.steps.size())},
                            {"validations", std::to_string(result.validation.size())},
                            {"training_data", training_data()}};
  if (score_) about["tasks_scored"] = std::to_string(result.sequence.size());
  ranks_.wait_for_all();
  save_state(folder / "state.safetensors", about);
  if (!ranks_.is_first()) return;
  if (best_values_.empty()) return save_good_adapter(folder);
  swap_elements(values_of_all_, best_values_);
  save_good_adapter(folder);
  swap_elements(values_of_all_, best_values_);
}

SafeTensors Trainer::open_state(const std::filesystem::path& folder) const {
  auto file = SafeTensors::open(folder / "state.safetensors");
  const auto data = file.metadata().find("training_data");
  require(data == file.metadata().end() || data->second == training_data(),
          "the training data have changed: {}, expected the {} that the run in {} began with", training_data(),
          data->second, folder.string());
  return file;
}

Trainer::Saved Trainer::saved(const std::filesystem::path& folder) const {
  const std::int64_t done = steps_done(open_state(folder));
  return {.done = done, .lost = std::max<std::int64_t>(count_lines(folder / "metrics.jsonl") - done, 0)};
}

TrainResult Trainer::load(const std::filesystem::path& folder) {
  const auto file = open_state(folder);
  const std::string where = file.path().string();
  std::vector<std::pair<std::string, Tensor>> moments;
  for (const auto& name : file.names()) {
    const bool is_value = name.starts_with(value_prefix) || name.starts_with(buffer_prefix);
    if (!is_value && !name.starts_with(best_prefix)) moments.emplace_back(name, file.get(name));
  }
  for (const auto& [name, value] : named_tensors(method_, value_prefix, buffer_prefix)) {
    require(file.contains(name) && file.shape(name) == value.shape(), "{} does not fit this run: tensor {} differs",
            where, name);
    ops::copy_(value, file.get(name).to(value.dtype()));
  }
  optimizer_.load_state(moments);

  const std::int64_t done = steps_done(file);
  TrainResult result;
  // Steps after the last save are done again.
  result.steps = read_metrics(folder / "metrics.jsonl", static_cast<std::size_t>(done));
  require(std::ssize(result.steps) == done, "{} has {} steps, but the state was saved after {}",
          (folder / "metrics.jsonl").string(), result.steps.size(), done);
  const auto validations = static_cast<std::size_t>(saved_count(file, "validations").value_or(0));
  if (validation_) result.validation = read_validation(folder / "validation.jsonl", validations);
  require(!validation_ || result.validation.size() == validations,
          "{} has {} validations, but the state was saved after {}", (folder / "validation.jsonl").string(),
          result.validation.size(), validations);
  const auto scored = static_cast<std::size_t>(saved_count(file, "tasks_scored").value_or(0));
  if (score_) result.sequence = read_sequence(folder / "sequence.jsonl", scored);
  require(!score_ || result.sequence.size() == scored,
          "{} has the scores of {} tasks, but the state was saved after {}", (folder / "sequence.jsonl").string(),
          result.sequence.size(), scored);
  if (options_.keep == "best" && !result.validation.empty()) load_best(file);
  ranks_.check_same("saved states", fmt::format("{} {} {}", done, validations, scored));
  share_prepared();
  return result;
}

void Trainer::load_best(const SafeTensors& file) {
  best_values_.clear();
  for (const auto& p : method_.parameters()) {
    const std::string name = best_prefix + p.name;
    const Tensor value = p.value.value();
    require(file.contains(name) && file.shape(name) == value.shape(), "{} does not fit this run: tensor {} differs",
            file.path().string(), name);
    best_values_.push_back(value.clone());
    ops::copy_(best_values_.back(), file.get(name).to(value.dtype()));
  }
}

}  // namespace csreft
