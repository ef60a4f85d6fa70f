#include "experiments/training/gradients.h"

#include <algorithm>
#include <cmath>

namespace csreft {
namespace {

// Examples that are computed at once.
constexpr std::int64_t examples_per_pass = 4;

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < a.numel(); ++i) sum += a.data<double>()[i] * b.data<double>()[i];
  return sum;
}

}  // namespace

std::vector<Tensor> task_gradient(const LanguageModel& model, const Method& method, const Task& task,
                                  const ExampleRange& range, std::int32_t index, std::string_view system) {
  const auto [first, n] = range;
  require(first >= 0 && n > 0 && first + n <= std::ssize(task.examples),
          "a gradient of examples {} to {} of {}, which has {}: expected some of them", first, first + n, task.name,
          task.examples.size());
  std::vector<EncodedExample> examples;
  for (std::int64_t i = first; i < first + n; ++i) {
    examples.push_back(
        encode_example(model, task, static_cast<std::size_t>(i), system, context_length(model.llama.config())));
  }
  std::vector<const EncodedExample*> pointers;
  for (const auto& example : examples) pointers.push_back(&example);
  const std::int64_t supervised = count_supervised(pointers);
  require(supervised > 0, "there is no response token in {} examples of {}", n, task.name);
  for (const auto& p : method.parameters()) p.value.clear_grad();
  for (std::int64_t begin = 0; begin < n; begin += examples_per_pass) {
    const auto some = std::span<const EncodedExample* const>(pointers).subspan(
        static_cast<std::size_t>(begin), static_cast<std::size_t>(std::min(examples_per_pass, n - begin)));
    const SupervisedBatch batch = pack_examples(some);
    if (batch.n_supervised() == 0) continue;
    const std::vector<std::int32_t> tasks(some.size(), index);
    const auto pass = method.attach({batch.tokens, batch.prompts, tasks});
    const Attachments points = pass->points();
    const Variable hidden = model.llama.forward(batch.tokens, points);
    backward(head_cross_entropy(gather_rows(hidden, batch.rows), model.llama.head(), batch.targets,
                                1.0 / static_cast<double>(supervised)));
  }
  std::vector<Tensor> gradients;
  for (const auto& p : method.parameters()) {
    const Tensor gradient = p.value.grad();
    gradients.push_back(gradient.defined() ? gradient.to(DType::f64).to(Device{}).clone() : Tensor());
    p.value.clear_grad();
  }
  return gradients;
}

std::optional<double> cosine(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double ab = 0.0, aa = 0.0, bb = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].defined()) aa += dot(a[i], a[i]);
    if (b[i].defined()) bb += dot(b[i], b[i]);
    if (a[i].defined() && b[i].defined()) ab += dot(a[i], b[i]);
  }
  if (aa == 0.0 || bb == 0.0) return std::nullopt;
  return ab / std::sqrt(aa * bb);
}

}  // namespace csreft
