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
  bool passing = false;  // made in a FirstPass: nothing is saved for a backward
};

namespace {

std::atomic<std::uint64_t> nodes_made{0};

// A node for the output of a function, or for a parameter, after all that there are.
std::shared_ptr<Node> make_node(std::string_view name, const Tensor& value) {
  auto node = std::make_shared<Node>();
  node->name = name;
  node->order = ++nodes_made;
  node->shape = value.shape();
  node->options = value.options();
  return node;
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
thread_local FirstPass* first_pass = nullptr;

struct LaterFirst {
  bool operator()(const std::shared_ptr<Node>& a, const std::shared_ptr<Node>& b) const { return a->order < b->order; }
};

using Pending = std::priority_queue<std::shared_ptr<Node>, std::vector<std::shared_ptr<Node>>, LaterFirst>;

void check_not_released(const Node& node) {
  require(!node.passing,
          "backward reaches {} of the first pass of a checkpoint, which saved nothing: expected that "
          "only the outputs of a checkpoint are used outside",
          node.name);
  require(!node.released, "backward of a graph twice: the tensors saved by {} are gone; compute the loss again",
          node.name);
}

// Runs the pending functions and those below them that were recorded after `start`. A node's gradient is complete when
// every node made after it has run.
void run_backward(Pending pending, std::uint64_t start) {
  while (!pending.empty()) {
    const auto node = pending.top();
    while (!pending.empty() && pending.top() == node) pending.pop();
    if (node->leaf || node->order <= start) continue;
    check_not_released(*node);
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

}  // namespace

Variable Variable::parameter(Tensor value) {
  require(value.defined(), "a parameter needs a value");
  Variable v(std::move(value));
  v.node_ = make_node("parameter", v.value_);
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

bool needs_gradient(const Variable& v) { return is_recording() && v.requires_grad(); }

bool is_recording() { return recording && first_pass == nullptr; }

Variable record(std::string_view name, Tensor y, std::span<const Variable> inputs, Backward backward) {
  Variable out(std::move(y));
  const auto has_gradient = [](const Variable& v) { return v.requires_grad(); };
  if (!recording || std::ranges::none_of(inputs, has_gradient)) return out;
  out.node_ = make_node(name, out.value_);
  if (first_pass != nullptr) {
    first_pass->read(inputs);
    out.node_->passing = true;
    return out;
  }
  for (const auto& input : inputs) out.node_->inputs.push_back(input.node_);
  out.node_->backward = std::move(backward);
  return out;
}

void backward(const Variable& loss, const Tensor& seed) {
  require(loss.requires_grad(), "backward of a value that depends on no parameter: nothing would be learnt");
  check_not_released(*loss.node_);
  require(seed.defined() || loss.value().numel() == 1, "backward needs a seed for a value of shape {}",
          loss.shape().str());
  accumulate(*loss.node_, seed.defined() ? seed : Tensor::full(loss.shape(), 1.0, loss.value().options()));
  Pending pending;
  pending.push(loss.node_);
  run_backward(std::move(pending), 0);
}

FirstPass::FirstPass()
    : outer_(std::exchange(first_pass, this)), recorded_before_(std::exchange(recording, true)), start_(nodes_made) {}

FirstPass::~FirstPass() {
  first_pass = outer_;
  recording = recorded_before_;
}

Variable FirstPass::input(const Variable& v) const {
  Variable input = v.detach();
  if (!v.requires_grad()) return input;
  input.node_ = make_node("an input", v.value());
  input.node_->passing = true;
  return input;
}

void FirstPass::read(std::span<const Variable> variables) {
  for (const Variable& v : variables) {
    const bool made_here = v.node_ != nullptr && v.node_->passing && v.node_->order > start_;
    const auto is_same = [&](const Variable& other) { return other.node_ == v.node_; };
    if (v.node_ != nullptr && !made_here && std::ranges::none_of(captured_, is_same)) captured_.push_back(v);
  }
}

SecondPass::SecondPass() : recorded_before_(std::exchange(recording, true)), start_(nodes_made) {}
SecondPass::~SecondPass() { recording = recorded_before_; }

void SecondPass::backward(std::span<const Variable> outputs, std::span<const Tensor> seeds) const {
  Pending pending;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!outputs[i].requires_grad() || !seeds[i].defined()) continue;
    accumulate(*outputs[i].node_, seeds[i]);
    pending.push(outputs[i].node_);
  }
  run_backward(std::move(pending), start_);
}

}  // namespace csreft
