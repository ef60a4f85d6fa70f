#include "autograd/variable.h"

#include <algorithm>
#include <atomic>
#include <queue>

#include "core/ops/ops.h"

namespace csreft {

// One recorded function, or a parameter (no backward).
struct Node {
  std::string name;
  std::uint64_t order = 0;  // of creation: every node comes after its inputs
  Shape shape;              // of the output
  TensorOptions options;
  std::vector<std::shared_ptr<Node>> inputs;  // null where no gradient is required
  Backward backward;
  Tensor grad;
  bool leaf = false;
  bool released = false;
};

namespace {

std::uint64_t next_order() {
  static std::atomic<std::uint64_t> count{0};
  return ++count;
}

// Sums into the slot. The first contribution is kept as it is and may be shared with another node (the gradient of a
// sum goes to both terms), so that a second one may be added in place only where no one else sees it.
void accumulate(Node& node, Tensor gradient) {
  require(gradient.shape() == node.shape && gradient.dtype() == node.options.dtype,
          "gradient of {} has shape {} ({}), expected {} ({})", node.name, gradient.shape().str(),
          name_of(gradient.dtype()), node.shape.str(), name_of(node.options.dtype));
  if (!node.grad.defined()) {
    node.grad = std::move(gradient);
  } else if (node.grad.unique()) {
    ops::add_(node.grad, gradient);
  } else {
    node.grad = ops::add(node.grad, gradient);
  }
}

thread_local bool recording = true;

struct LaterFirst {
  bool operator()(const std::shared_ptr<Node>& a, const std::shared_ptr<Node>& b) const { return a->order < b->order; }
};

}  // namespace

Variable Variable::parameter(Tensor value) {
  require(value.defined(), "a parameter needs a value");
  Variable v(std::move(value));
  v.node_ = std::make_shared<Node>();
  v.node_->name = "parameter";
  v.node_->order = next_order();
  v.node_->shape = v.value_.shape();
  v.node_->options = v.value_.options();
  v.node_->leaf = true;
  return v;
}

const Tensor& Variable::grad() const {
  require(node_ != nullptr && node_->leaf, "only a parameter has a gradient to read");
  return node_->grad;
}

void Variable::clear_grad() const {
  require(node_ != nullptr && node_->leaf, "only a parameter has a gradient to clear");
  node_->grad = {};
}

bool BackwardPass::needs(std::size_t i) const { return node.inputs[i] != nullptr; }

void BackwardPass::add(std::size_t i, Tensor gradient) {
  if (needs(i)) accumulate(*node.inputs[i], std::move(gradient));
}

const Tensor& BackwardPass::so_far(std::size_t i) const {
  require(needs(i), "input {} of {} has no gradient to go on from", i, node.name);
  return node.inputs[i]->grad;
}

void BackwardPass::replace(std::size_t i, Tensor gradient) {
  if (!needs(i)) return;
  node.inputs[i]->grad = {};
  accumulate(*node.inputs[i], std::move(gradient));
}

NoGrad::NoGrad() : before_(std::exchange(recording, false)) {}
NoGrad::~NoGrad() { recording = before_; }

bool needs_gradient(const Variable& v) { return recording && v.requires_grad(); }

Variable record(std::string_view name, Tensor y, std::span<const Variable> inputs, Backward backward) {
  Variable out(std::move(y));
  if (std::ranges::none_of(inputs, needs_gradient)) return out;
  const auto node = std::make_shared<Node>();
  node->name = name;
  node->order = next_order();
  node->shape = out.value_.shape();
  node->options = out.value_.options();
  for (const auto& input : inputs) node->inputs.push_back(input.node_);
  node->backward = std::move(backward);
  out.node_ = node;
  return out;
}

void backward(const Variable& loss, const Tensor& seed) {
  require(loss.requires_grad(), "backward of a value that depends on no parameter: nothing would be learnt");
  Node& root = *loss.node_;
  require(!root.released, "backward of a graph twice: the tensors saved by {} are gone; compute the loss again",
          root.name);
  require(seed.defined() || loss.value().numel() == 1, "backward needs a seed for a value of shape {}",
          loss.shape().str());
  accumulate(root, seed.defined() ? seed : Tensor::full(loss.shape(), 1.0, loss.value().options()));

  // A node's gradient is complete when every node made after it has run.
  std::priority_queue<std::shared_ptr<Node>, std::vector<std::shared_ptr<Node>>, LaterFirst> pending;
  pending.push(loss.node_);
  while (!pending.empty()) {
    const auto node = pending.top();
    while (!pending.empty() && pending.top() == node) pending.pop();
    if (node->leaf) continue;
    require(!node->released, "backward of a graph twice: the tensors saved by {} are gone; compute the loss again",
            node->name);
    node->released = true;
    const Tensor dy = std::exchange(node->grad, {});
    const Backward run = std::exchange(node->backward, {});
    BackwardPass pass{dy, *node};
    run(pass);
    for (auto& input : node->inputs) {
      if (input != nullptr && input->grad.defined()) pending.push(input);
    }
    node->inputs.clear();
  }
}

}  // namespace csreft
