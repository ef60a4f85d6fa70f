#include "autograd/checkpoint.h"

#include <memory>

namespace csreft {
namespace {

// What the backward of a checkpoint starts from: the inputs as constants, and the gradients of the outputs that have
// arrived so far.
struct Kept {
  CheckpointedFunction f;
  std::vector<Tensor> inputs;
  std::vector<Tensor> gradients;
};

// Runs f again, recorded, and then backward. The variables that f captures get their gradients on the way.
void compute_again(Kept& kept, BackwardPass& pass) {
  std::vector<Tensor> gradients = std::move(kept.gradients);
  const SecondPass second;
  std::vector<Variable> inputs;
  for (std::size_t i = 0; i < kept.inputs.size(); ++i) {
    inputs.push_back(pass.needs(i) ? Variable::parameter(kept.inputs[i]) : Variable(kept.inputs[i]));
  }
  {
    const std::vector<Variable> outputs = kept.f(inputs);
    require(outputs.size() == gradients.size(), "a checkpointed function returns {} values, expected {} as before",
            outputs.size(), gradients.size());
    second.backward(outputs, gradients);
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].requires_grad() && inputs[i].grad().defined()) pass.add(i, inputs[i].grad());
  }
}

}  // namespace

std::vector<Variable> checkpoint(CheckpointedFunction f, std::span<const Variable> inputs) {
  if (!is_recording()) return f(inputs);
  const auto kept = std::make_shared<Kept>();
  std::vector<Variable> sources(inputs.begin(), inputs.end());
  std::vector<Tensor> values;
  std::vector<bool> differentiable;
  {
    FirstPass first;
    std::vector<Variable> passed;
    for (const Variable& v : inputs) passed.push_back(first.input(v));
    const std::vector<Variable> outputs = f(passed);
    first.read(outputs);
    for (const Variable& y : outputs) {
      values.push_back(y.value());
      differentiable.push_back(y.requires_grad());
    }
    sources.insert(sources.end(), first.captured().begin(), first.captured().end());
  }
  kept->f = std::move(f);
  for (const Variable& v : inputs) kept->inputs.push_back(v.value());
  kept->gradients.resize(values.size());

  // A function has one output, so there is one function for each, which leaves its gradient in `kept`, and one below
  // them, whose own output has no elements: its gradient says no more than that its turn has come.
  const Tensor nothing = Tensor::empty({0});
  const Variable below =
      record("checkpoint", nothing, sources, [kept](BackwardPass& pass) { compute_again(*kept, pass); });
  std::vector<Variable> outputs;
  for (std::size_t i = 0; i < values.size(); ++i) {
    outputs.push_back(differentiable[i] ? record("output of a checkpoint", values[i], {below},
                                                 [kept, nothing, i](BackwardPass& pass) {
                                                   kept->gradients[i] = pass.dy;
                                                   pass.add(0, nothing);
                                                 })
                                        : Variable(values[i]));
  }
  return outputs;
}

}  // namespace csreft
