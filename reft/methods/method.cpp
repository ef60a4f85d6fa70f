#include "reft/methods/method.h"

#include <algorithm>

#include "core/tensor/safetensors.h"

namespace csreft {

void refuse_alpha(const PromptBatch& batch) {
  require(batch.alpha.empty(), "the adapter has no gates to override: expected one with a router, or no --alpha");
}

void Method::save(const std::filesystem::path& folder, const LanguageModel& /*model*/) const {
  save_safetensors(folder / "adapter.safetensors", named_tensors(*this), {{"format", "csreft"}});
}

void Method::load(const std::filesystem::path& folder) {
  const auto file = SafeTensors::open(folder / "adapter.safetensors");
  load_values(*this, file, file.path().string());
}

std::unique_ptr<Method> create_method(const MethodOptions& options, const Llama& model, std::uint64_t seed,
                                      std::string_view where) {
  const std::unique_ptr<MethodSettings> settings = configure(options, where);
  std::unique_ptr<Method> method = settings->create(model, seed);
  method->options_ = {options.method, options_json(*settings)};
  return method;
}

std::int32_t Method::task_index(std::string_view task) const {
  const Routing* decides = routing();
  if (decides == nullptr || decides->tasks().empty()) return -1;
  const std::span<const std::string> tasks = decides->tasks();
  const auto found = std::ranges::find(tasks, task);
  if (found != tasks.end()) return static_cast<std::int32_t>(found - tasks.begin());
  const std::string known = fmt::format("{}", fmt::join(tasks, ", "));
  if (task.empty()) fail("gate {} is decided by the task: expected --task with one of {}", decides->gate(), known);
  const std::vector<std::string_view> names(tasks.begin(), tasks.end());
  fail("gate {} knows no task '{}'{}: expected one of {}, from a file NAME.test.json or by --task NAME",
       decides->gate(), task, suggestion(task, names), known);
}

std::vector<std::pair<std::string, Tensor>> named_tensors(const Method& method, std::string_view of_parameter,
                                                          std::string_view of_buffer) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& p : method.parameters()) tensors.emplace_back(std::string(of_parameter) + p.name, p.value.value());
  for (const auto& [name, buffer] : method.buffers()) tensors.emplace_back(std::string(of_buffer) + name, buffer);
  return tensors;
}

void load_values(const Method& method, const SafeTensors& file, const std::string& where) {
  const auto tensors = named_tensors(method);
  for (const auto& [name, value] : tensors) {
    require(file.contains(name), "{}: tensor '{}' is missing", where, name);
    require(file.shape(name) == value.shape(), "{}: tensor '{}' has shape {}, expected {}", where, name,
            file.shape(name).str(), value.shape().str());
  }
  require(file.names().size() == tensors.size(), "{} holds {} tensors, expected {}", where, file.names().size(),
          tensors.size());
  for (const auto& [name, value] : tensors) ops::copy_(value, file.get(name).to(value.dtype()));
}

ParameterCount count_parameters(const Method& method) {
  ParameterCount count;
  for (const auto& p : method.parameters()) {
    const std::int64_t n = p.value.value().numel();
    count.total += n;
    switch (p.part) {
      case ParameterPart::edits: count.edits += n; break;
      case ParameterPart::router: count.router += n; break;
      case ParameterPart::adapters: count.adapters += n; break;
      case ParameterPart::model: count.model += n; break;
    }
  }
  return count;
}

std::string ParameterCount::parts() const {
  std::vector<std::string> parts;
  if (model > 0) parts.push_back(fmt::format("{} of the model", model));
  if (adapters > 0) parts.push_back(fmt::format("{} in adapters", adapters));
  if (edits > 0) parts.push_back(fmt::format("{} in edits", edits));
  if (router > 0) parts.push_back(fmt::format("{} in the router", router));
  return parts.size() < 2 ? "" : fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace csreft
