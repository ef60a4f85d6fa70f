#include "core/base/table.h"

#include <algorithm>

#include "reft/methods/entries.h"

namespace csreft {

std::span<const MethodEntry* const> methods() {
  static const auto table = [] {
    std::vector<const MethodEntry*> entries{&csreft_method};
    std::ranges::copy(intervention_methods(), std::back_inserter(entries));
    entries.push_back(&lora_method);
    return entries;
  }();
  return table;
}

const MethodEntry& find_method(std::string_view name) { return find_named(methods(), "method", name); }

std::unique_ptr<Method> create_method(const MethodOptions& options, const LlamaConfig& config, std::uint64_t seed,
                                      const TensorOptions& tensors) {
  return find_method(options.method).create(options, config, seed, tensors);
}

std::int32_t task_index(const Method& method, std::string_view task) {
  if (!method.needs_task()) return -1;
  const std::vector<std::string>& tasks = method.options().tasks;
  const auto found = std::ranges::find(tasks, task);
  if (found != tasks.end()) return static_cast<std::int32_t>(found - tasks.begin());
  const std::string known = fmt::format("{}", fmt::join(tasks, ", "));
  if (task.empty())
    fail("gate {} is decided by the task: expected --task with one of {}", method.options().gate, known);
  const std::vector<std::string_view> names(tasks.begin(), tasks.end());
  fail("gate {} knows no task '{}'{}: expected one of {}, from a file NAME.test.json or by --task NAME",
       method.options().gate, task, suggestion(task, names), known);
}

std::vector<std::int64_t> checked_layers(const MethodOptions& options, const LlamaConfig& config) {
  std::vector<std::int64_t> layers = options.layers;
  if (layers.empty()) {
    for (std::int64_t l = 0; l < config.n_layers; ++l) layers.push_back(l);
  }
  std::ranges::sort(layers);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    require(0 <= layers[i] && layers[i] < config.n_layers, "layer {} does not exist: the model has layers 0 to {}",
            layers[i], config.n_layers - 1);
    require(i == 0 || layers[i] != layers[i - 1], "layer {} is named twice: expected each layer once", layers[i]);
  }
  return layers;
}

void check_rank(std::int64_t rank, std::int64_t subspaces, const LlamaConfig& config) {
  require(rank >= 1, "rank {} is not possible: expected 1 or more", rank);
  require(subspaces >= 1, "{} subspaces are not possible: expected 1 or more", subspaces);
  require(rank * subspaces <= config.hidden_size,
          "{} subspace(s) of rank {} do not fit hidden states of size {}: expected rank x subspaces of at most {}",
          subspaces, rank, config.hidden_size, config.hidden_size);
}

ParameterCount count_parameters(const Method& method) {
  ParameterCount count;
  for (const auto& p : method.parameters()) {
    count.total += p.value.value().numel();
    if (!p.router) count.without_router += p.value.value().numel();
  }
  return count;
}

}  // namespace csreft
