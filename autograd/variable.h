// Reverse-mode automatic differentiation over a graph that is recorded while it is computed.
//
// A Variable is a tensor that remembers the function which made it. A function (functions/NAME.cpp) computes its value
// and, in the same place, gives a closure that turns the gradient of its output into gradients of its inputs; what the
// closure captures is all that is kept for the backward. If no input requires a gradient nothing is recorded: the
// closure is dropped at once, and with it every saved tensor. So a frozen model below the lowest trainable point costs
// neither memory nor time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tensor/tensor.h"

namespace csreft {

struct Node;

class Variable {
 public:
  // Undefined: no value, requires no gradient.
  Variable() = default;
  // A constant.
  explicit Variable(Tensor value) : value_(std::move(value)) {}
  // A leaf whose gradient backward() accumulates.
  static Variable parameter(Tensor value);

  bool defined() const { return value_.defined(); }
  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  bool requires_grad() const { return node_ != nullptr; }
  // The accumulated gradient of a parameter; undefined before a backward has reached it. Throws Error for other
  // Variables.
  const Tensor& grad() const;
  void clear_grad() const;

  // The same value as a constant: gradients stop here.
  Variable detach() const { return Variable(value_); }

 private:
  friend Variable record(std::string_view, Tensor, std::span<const Variable>,
                         std::function<void(struct BackwardPass&)>);
  friend void backward(const Variable&, const Tensor&);
  friend class FirstPass;
  friend class SecondPass;

  Tensor value_;
  std::shared_ptr<Node> node_;
};

// What a function's closure is given: the gradient of its output, and a place for the gradient of each input.
struct BackwardPass {
  const Tensor& dy;
  Node& node;

  // True if input i requires a gradient; a closure computes nothing for the others.
  bool needs(std::size_t i) const;
  // Adds `gradient` (of input i's shape and type) to what other users of input i have contributed. Ignored unless
  // needs(i).
  void add(std::size_t i, Tensor gradient);

  // The same for a closure that can add its gradient to a tensor while it computes it: add_to(sum) where others have
  // contributed to input i and nothing else shares their sum, make() otherwise.
  template <typename AddTo, typename Make>
  void add(std::size_t i, AddTo add_to, Make make) {
    if (!needs(i)) return;
    const Tensor& sum = so_far(i);
    if (sum.defined() && sum.unique()) {
      add_to(sum);
    } else {
      add(i, make());
    }
  }

  // For a closure that makes the sum anew: what others have contributed to input i (undefined: nothing), and the sum
  // with its own in the place of that.
  const Tensor& so_far(std::size_t i) const;
  void replace(std::size_t i, Tensor gradient);
};

using Backward = std::function<void(BackwardPass&)>;

// While one lives, functions of this thread record nothing: for evaluation and generation.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

// True if a function that is computed now has to provide for the gradient of its input `v`: v requires one, and this
// thread is recording. A function that does work for the backward in its forward asks this first.
bool needs_gradient(const Variable& v);

// A Variable with value `y` that was made by the function `name` from `inputs`. `backward` runs at most once.
Variable record(std::string_view name, Tensor y, std::span<const Variable> inputs, Backward backward);
inline Variable record(std::string_view name, Tensor y, std::initializer_list<Variable> inputs, Backward backward) {
  return record(name, std::move(y), std::span(inputs.begin(), inputs.size()), std::move(backward));
}

// Adds the gradient of `loss` to the grad() of every parameter that it depends on. `seed` is the gradient of whatever
// follows with respect to `loss`; without it `loss` must have one element and the seed is 1. Saved tensors are
// released on the way. Throws Error if `loss` depends on no parameter, and for a second pass over the same graph.
void backward(const Variable& loss, const Tensor& seed = {});

// ---- computing a part of the graph twice (checkpoint.h) -----------------------------------------------------------

// While one lives, functions of this thread record nothing, and it lists which Variables that require a gradient they
// read from outside. What they compute must not be used outside as a Variable: a backward that reaches it throws Error.
class FirstPass {
 public:
  FirstPass();
  ~FirstPass();
  FirstPass(const FirstPass&) = delete;
  FirstPass& operator=(const FirstPass&) = delete;

  // An input of the part: the value of `v`, and whether it requires a gradient.
  Variable input(const Variable& v) const;
  // Says that the part reads these, as record() does of what its functions read, or returns them.
  void read(std::span<const Variable> variables);
  // Each of those Variables once, in the order of their first use; no inputs.
  const std::vector<Variable>& captured() const { return captured_; }

 private:
  FirstPass* outer_;
  bool recorded_before_;
  std::uint64_t start_;
  std::vector<Variable> captured_;
};

// While one lives, functions of this thread record.
class SecondPass {
 public:
  SecondPass();
  ~SecondPass();
  SecondPass(const SecondPass&) = delete;
  SecondPass& operator=(const SecondPass&) = delete;

  // As backward() of all `outputs` at once, each with its seed (undefined: none), within this pass: what was recorded
  // before it gets its gradients, and the backward that this pass is part of goes on from there.
  void backward(std::span<const Variable> outputs, std::span<const Tensor> seeds) const;

 private:
  bool recorded_before_;
  std::uint64_t start_;
};

// True if functions of this thread record.
bool is_recording();

}  // namespace csreft
