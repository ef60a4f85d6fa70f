#include "reft/adapters/adapter_set.h"

#include <algorithm>
#include <numeric>

#include "core/base/nearest.h"

namespace csreft {
namespace {

// One adapter's pass over its examples of a batch.
struct PartOfBatch {
  std::unique_ptr<MethodPass> pass;
  std::vector<std::int32_t> examples;  // of the batch, rising
  RowIndex rows;                       // of those examples; undefined: all rows of the batch
};

// changed = f(x), made for all rows: sum += scale (f(x) - x) at `rows`, or (undefined) at all.
void add_change(Tensor& sum, const Tensor& x, const Tensor& changed, const RowIndex& rows, double scale) {
  if (changed.shares_storage_with(x)) return;
  Tensor change = ops::sub(changed, x);
  if (scale != 1.0) change = ops::scale(change, scale);
  sum = rows.defined() ? ops::add_rows(sum, rows, ops::gather_rows(change, rows)) : ops::add(sum, change);
}

struct AttachedPart {
  Attachments points;
  RowIndex rows;
};

// The attachments of all parts, added.
Attachments added(std::vector<AttachedPart> parts, double scale) {
  if (parts.size() == 1 && !parts.front().rows.defined() && scale == 1.0) return std::move(parts.front().points);
  Attachments out;
  std::set<std::int64_t> layers;
  bool every_layer = false, edits = false, updates = false;
  for (const auto& [points, rows] : parts) {
    updates = updates || points.linear;
    if (!points.block_output) continue;
    edits = true;
    every_layer = every_layer || !points.block_output_layers;
    if (points.block_output_layers) {
      layers.insert(points.block_output_layers->begin(), points.block_output_layers->end());
    }
  }
  const auto shared = std::make_shared<const std::vector<AttachedPart>>(std::move(parts));
  if (edits) {
    if (!every_layer) out.block_output_layers = std::move(layers);
    out.block_output = [shared, scale](std::int64_t layer, const Variable& hidden) {
      Tensor sum = hidden.value();
      for (const auto& [points, rows] : *shared) {
        if (!points.block_output || (points.block_output_layers && !points.block_output_layers->contains(layer)))
          continue;
        add_change(sum, hidden.value(), points.block_output(layer, hidden).value(), rows, scale);
      }
      return Variable(sum);
    };
  }
  if (updates) {
    out.linear = [shared, scale](std::int64_t layer, LinearSite site, const Variable& x, const Variable& y) {
      Tensor sum = y.value();
      for (const auto& [points, rows] : *shared) {
        if (points.linear) add_change(sum, y.value(), points.linear(layer, site, x, y).value(), rows, scale);
      }
      return Variable(sum);
    };
  }
  return out;
}

class AdapterSetPass final : public MethodPass {
 public:
  AdapterSetPass(std::vector<PartOfBatch> parts, double scale) : parts_(std::move(parts)), scale_(scale) {}

  Attachments points() override {
    std::vector<AttachedPart> attached;
    for (const auto& part : parts_) attached.push_back({part.pass->points(), part.rows});
    return added(std::move(attached), scale_);
  }

  Attachments generated(std::span<const std::int32_t> examples) override {
    std::vector<AttachedPart> attached;
    for (const auto& part : parts_) {
      std::vector<std::int32_t> own, rows;
      for (std::size_t i = 0; i < examples.size(); ++i) {
        const auto found = std::ranges::lower_bound(part.examples, examples[i]);
        if (found == part.examples.end() || *found != examples[i]) continue;
        own.push_back(static_cast<std::int32_t>(found - part.examples.begin()));
        rows.push_back(static_cast<std::int32_t>(i));
      }
      if (own.empty()) continue;
      attached.push_back(generated(part, own, rows, examples.size()));
    }
    return added(std::move(attached), scale_);
  }

  const Gates* gates() const override {
    for (const auto& part : parts_) {
      if (part.pass->gates() != nullptr && !part.rows.defined()) return part.pass->gates();
    }
    return nullptr;
  }

 private:
  // A part whose examples are not all of the batch takes part with every row, as examples[i] for the rows that are its
  // own and with its first example for the others, whose changes are left out.
  static AttachedPart generated(const PartOfBatch& part, std::span<const std::int32_t> own,
                                std::span<const std::int32_t> rows, std::size_t n) {
    if (own.size() == n) return {part.pass->generated(own), {}};
    std::vector<std::int32_t> of_rows(n, own.front());
    for (std::size_t i = 0; i < own.size(); ++i) of_rows[static_cast<std::size_t>(rows[i])] = own[i];
    return {part.pass->generated(of_rows), index_tensor(rows)};
  }

  std::vector<PartOfBatch> parts_;
  double scale_;
};

// The tokens of some examples of a batch.
RowIndex rows_of(const TokenBatch& tokens, std::span<const std::int32_t> examples) {
  const auto offsets = tokens.layout.q_offsets.span<std::int32_t>();
  std::vector<std::int32_t> rows;
  for (const auto example : examples) {
    const auto e = static_cast<std::size_t>(example);
    for (std::int32_t row = offsets[e]; row < offsets[e + 1]; ++row) rows.push_back(row);
  }
  return index_tensor(rows);
}

}  // namespace

AdapterSet::AdapterSet(std::vector<NamedAdapter> adapters, std::vector<std::size_t> in_use, Steering steering)
    : adapters_(std::move(adapters)), in_use_(std::move(in_use)), steering_(std::move(steering)) {
  require(!adapters_.empty(), "there is no adapter: expected one or more");
  bool any_gates = false;
  for (const auto& [name, method] : adapters_) {
    const Routing* routing = method->routing();
    any_gates = any_gates || routing != nullptr;
    require(steering_.alpha.empty() || routing == nullptr ||
                static_cast<std::int64_t>(steering_.alpha.size()) == routing->subspaces(),
            "--alpha has {} numbers, adapter {} has {} subspaces: expected one for each", steering_.alpha.size(), name,
            routing == nullptr ? 0 : routing->subspaces());
    parameters_.insert(parameters_.end(), method->parameters().begin(), method->parameters().end());
    if (routing == nullptr) continue;
    for (const auto& task : routing->tasks()) {
      if (std::ranges::find(tasks_, task) == tasks_.end()) tasks_.push_back(task);
    }
  }
  require(steering_.alpha.empty() || any_gates,
          "--alpha has no effect: no adapter has gates; expected an adapter of csreft, or no --alpha");
}

std::unique_ptr<MethodPass> AdapterSet::attach(const PromptBatch& batch) const {
  const std::vector<std::vector<std::size_t>> uses(batch.prompts.starts.size(), in_use_);
  return attach(batch, uses);
}

std::unique_ptr<MethodPass> AdapterSet::attach(const PromptBatch& batch,
                                               std::span<const std::vector<std::size_t>> uses) const {
  std::vector<PartOfBatch> parts;
  for (std::size_t a = 0; a < adapters_.size(); ++a) {
    const auto& [name, method] = adapters_[a];
    PartOfBatch part;
    PromptSpans prompts;
    for (std::size_t e = 0; e < uses.size(); ++e) {
      if (std::ranges::find(uses[e], a) == uses[e].end()) continue;
      part.examples.push_back(static_cast<std::int32_t>(e));
      prompts.starts.push_back(batch.prompts.starts[e]);
      prompts.lengths.push_back(batch.prompts.lengths[e]);
      prompts.ends.push_back(batch.prompts.end(e));
    }
    if (part.examples.empty()) continue;
    if (part.examples.size() < uses.size()) part.rows = rows_of(batch.tokens, part.examples);
    try {
      std::vector<std::int32_t> tasks;
      for (const auto e : part.examples) {
        if (!batch.tasks.empty()) tasks.push_back(own_task(*method, batch.tasks[static_cast<std::size_t>(e)]));
      }
      PromptBatch own{.tokens = batch.tokens, .prompts = prompts, .tasks = tasks};
      if (method->routing() != nullptr) own.alpha = steering_.alpha;
      own.alone = std::ranges::all_of(part.examples,
                                      [&](std::int32_t e) { return uses[static_cast<std::size_t>(e)].size() == 1; });
      part.pass = method->attach(own);
    } catch (const Error& error) {
      fail("adapter {}: {}", name, error.what());
    }
    parts.push_back(std::move(part));
  }
  return std::make_unique<AdapterSetPass>(std::move(parts), steering_.scale);
}

// Adapters count their tasks each in an order of its own: the name tells.
std::int32_t AdapterSet::own_task(const Method& method, std::int32_t task) const {
  if (method.routing() == nullptr || method.routing()->tasks().empty()) return -1;
  require(task < std::ssize(tasks_), "task {} of {}: expected an index of one of them", task, tasks_.size());
  return method.task_index(task < 0 ? std::string_view() : tasks_[static_cast<std::size_t>(task)]);
}

// In the order in which attach() goes through them, so that these are the gates that a pass reports.
const Routing* AdapterSet::routing() const {
  for (std::size_t a = 0; a < adapters_.size(); ++a) {
    const bool used = std::ranges::find(in_use_, a) != in_use_.end();
    if (used && adapters_[a].method->routing() != nullptr) return adapters_[a].method->routing();
  }
  return nullptr;
}

void AdapterSet::check_task(std::size_t adapter, std::string_view task) const {
  const auto& [name, method] = adapters_[adapter];
  try {
    static_cast<void>(method->task_index(task));
  } catch (const Error& error) {
    fail("adapter {}: {}", name, error.what());
  }
}

std::int32_t AdapterSet::index_of(std::string_view task) const {
  const auto found = std::ranges::find(tasks_, task);
  return found == tasks_.end() ? -1 : static_cast<std::int32_t>(found - tasks_.begin());
}

std::int32_t AdapterSet::task_index(std::string_view task) const {
  for (const auto a : in_use_) check_task(a, task);
  return index_of(task);
}

std::int32_t AdapterSet::task_index(std::string_view task, std::span<const std::vector<std::size_t>> uses) const {
  for (const auto& example : uses) {
    for (const auto a : example) check_task(a, task);
  }
  return index_of(task);
}

std::size_t AdapterSet::find(std::string_view name) const {
  const auto found = std::ranges::find(adapters_, name, &NamedAdapter::name);
  if (found != adapters_.end()) return static_cast<std::size_t>(found - adapters_.begin());
  std::vector<std::string_view> names;
  for (const auto& adapter : adapters_) names.push_back(adapter.name);
  fail_unknown("adapter", name, names);
}

std::string AdapterSet::label(std::span<const std::size_t> uses) const {
  std::vector<std::string_view> names;
  for (const auto a : uses) names.push_back(adapters_[a].method->options().method);
  return fmt::format("{}", fmt::join(names, "+"));
}

}  // namespace csreft
