// Trained methods in generation: several added, each example with its own, gates overridden, edits scaled.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reft/methods/method.h"

namespace csreft {

struct NamedAdapter {
  std::string name;
  std::shared_ptr<Method> method;
};

struct Steering {
  std::vector<double> alpha{};  // gates [k] in place of the router's; empty: the router's
  double scale = 1.0;           // of every change that an adapter makes
};

// Adapters of one model. An example that is edited by adapters a, b, ... has h + s sum_i (f_i(h) - h) in place of each
// adapter's f(h), and likewise for the outputs of linear layers; s is Steering::scale. For generation and evaluation
// alone: no gradient flows through the sum.
class AdapterSet final : public Method {
 public:
  // At least one adapter. `in_use`: those (by index) that an example has unless it names its own. Throws Error, naming
  // the adapter, for gates that it does not have.
  AdapterSet(std::vector<NamedAdapter> adapters, std::vector<std::size_t> in_use, Steering steering);

  std::span<const Parameter> parameters() const override { return parameters_; }
  std::unique_ptr<MethodPass> attach(const PromptBatch& batch) const override;
  // uses[e]: the adapters of example e, by index.
  std::unique_ptr<MethodPass> attach(const PromptBatch& batch, std::span<const std::vector<std::size_t>> uses) const;
  // Of the first adapter in use that has one.
  const Routing* routing() const override;
  // Of tasks(). Throws Error, naming the adapter, if one in use needs a task and was not trained on this.
  std::int32_t task_index(std::string_view task) const override;
  // The same where example e has the adapters uses[e].
  std::int32_t task_index(std::string_view task, std::span<const std::vector<std::size_t>> uses) const;
  // The tasks that decide the gates of any adapter, each once.
  const std::vector<std::string>& tasks() const { return tasks_; }

  // The index of an adapter. Throws Error, listing the names, for another.
  std::size_t find(std::string_view name) const;
  const std::vector<NamedAdapter>& adapters() const { return adapters_; }
  const std::vector<std::size_t>& in_use() const { return in_use_; }
  // "lora+csreft": the methods of these adapters, by index.
  std::string label(std::span<const std::size_t> uses) const;

 private:
  std::int32_t own_task(const Method& method, std::int32_t task) const;
  // Throws Error, naming the adapter, unless it needs no task or was trained on this.
  void check_task(std::size_t adapter, std::string_view task) const;
  std::int32_t index_of(std::string_view task) const;

  std::vector<NamedAdapter> adapters_;
  std::vector<std::size_t> in_use_;
  Steering steering_;
  std::vector<Parameter> parameters_;
  std::vector<std::string> tasks_;
};

}  // namespace csreft
