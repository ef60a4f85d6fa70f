// The comparison of the paper's Table 1 (arXiv 2503.10617) on tasks of one's own: every method, at an equal number of
// parameters and, in a second block, at an equal active rank; each at the learning rate that does best on validation
// data.
#include <array>
#include <cmath>
#include <limits>

#include "experiments/ablations/ablation.h"
#include "experiments/ablations/tables.h"

namespace csreft {
namespace {

using nlohmann::json;

constexpr std::string_view active_suffix = "_active";

// Options of each rank (or another size) from 1 on until they are too large; the one whose number of parameters is
// nearest to the budget.
template <typename OfSize>
MethodOptions nearest_to(std::int64_t budget, const AblationBase& base, OfSize of_size) {
  MethodOptions best;
  std::int64_t smallest = std::numeric_limits<std::int64_t>::max();
  for (std::int64_t size = 1; size <= base.model.config().hidden_size; ++size) {
    const MethodOptions options = of_size(size);
    const std::int64_t count = parameters_of(base, options), distance = std::abs(count - budget);
    if (distance < smallest) best = options;
    smallest = std::min(smallest, distance);
    if (count >= budget) break;
  }
  return best;
}

MethodOptions lora_options(std::int64_t rank) {
  return {"lora", {{"layers", "all"}, {"rank", rank}, {"lora_alpha", 2.0 * static_cast<double>(rank)}}};
}

MethodOptions edit_options(std::string_view formula, std::int64_t rank, const AblationBase& base) {
  MethodOptions options{std::string(formula), {{"rank", rank}}};
  for (const char* name : {"layers", "positions"}) {
    if (base.method.contains(name)) options[name] = base.method.at(name);
  }
  return options;
}

MethodOptions lora_and_loreft(std::int64_t lora_rank, std::int64_t loreft_rank, const AblationBase& base) {
  MethodOptions sum{"lora+loreft", {}};
  const MethodOptions lora = lora_options(lora_rank), loreft = edit_options("loreft", loreft_rank, base);
  for (const auto& [name, value] : lora.values.items()) sum[fmt::format("lora.{}", name)] = value;
  for (const auto& [name, value] : loreft.values.items()) sum[fmt::format("loreft.{}", name)] = value;
  return sum;
}

// The methods whose numbers are a rank's.
constexpr std::array formulas{"noreft", "loreft", "consreft", "lobireft", "direft", "nodireft"};

class Table {
 public:
  explicit Table(const AblationBase& base) : base_(base), specialised_(csreft_variant(base, "csreft_specialised")) {}

  std::vector<Variant> variants() {
    add("none", untrained_options());
    variants_.push_back(full_variant(base_, "full"));
    add_at_equal_budget();
    add_at_equal_rank();
    return std::move(variants_);
  }

 private:
  void add(std::string name, const MethodOptions& method) {
    variants_.push_back({.name = std::move(name), .method = method, .train = base_.train});
  }

  void add_at_equal_budget() {
    const std::int64_t budget = parameters_of(base_, specialised_.method);
    const auto nearest = [&](auto of_size) { return nearest_to(budget, base_, of_size); };
    add("lora", nearest(lora_options));
    variants_.push_back(olora_variant(base_, "olora", budget));
    add("red", {"red", {{"layers", "all"}}});
    for (const char* formula : formulas) {
      add(formula, nearest([&](std::int64_t rank) { return edit_options(formula, rank, base_); }));
    }
    // The width of the router is that of preset specialised: the paper's, half the hidden size, is more than the edits.
    add_csreft("csreft_paper", "paper", {{"edit", "loreft"}});
    variants_.push_back(specialised_);
    variants_.push_back(
        csreft_variant(base_, "csreft_labels", {{"gate", "onehot"}, {"tasks", task_stems(base_.tasks)}}));
    const std::int64_t of_rank_1 = parameters_of(base_, lora_options(1));
    add("lora_loreft", nearest([&](std::int64_t rank) {
          return lora_and_loreft(std::max<std::int64_t>(budget / 2 / of_rank_1, 1), rank, base_);
        }));
  }

  void add_csreft(std::string name, std::string_view preset, const json& changes = {}) {
    variants_.push_back(csreft_variant(base_, std::move(name), changes, preset));
  }

  // The rank that takes part in an example: one subspace's, where gates let one through.
  void add_at_equal_rank() {
    const auto rank = base_.method.at("rank").get<std::int64_t>();
    const auto name = [](std::string_view method) { return fmt::format("{}{}", method, active_suffix); };
    add_unless_there(name("lora"), lora_options(rank));
    for (const char* formula : formulas) add_unless_there(name(formula), edit_options(formula, rank, base_));
    add_unless_there(name("lora_loreft"),
                     lora_and_loreft(std::max<std::int64_t>(rank / 2, 1), std::max<std::int64_t>(rank / 2, 1), base_));
    // All subspaces take part in each example.
    const auto subspaces = base_.method.at("subspaces").get<std::int64_t>();
    if (rank % subspaces == 0)
      add_csreft(name("csreft_paper"), "paper", {{"edit", "loreft"}, {"rank", rank / subspaces}});
  }

  // A row by another name would be no other row.
  void add_unless_there(std::string name, const MethodOptions& method) {
    for (const auto& variant : variants_) {
      if (variant.method.method == method.method && variant.method.values == method.values) return;
    }
    add(std::move(name), method);
  }

  const AblationBase& base_;
  Variant specialised_;
  std::vector<Variant> variants_;
};

std::vector<Variant> table1_variants(const AblationBase& given) { return Table(given).variants(); }

std::string text_of(const std::optional<double>& value) { return value ? fmt::format("{:.4f}", *value) : ""; }

double mean_over_tasks(const Cell& cell) { return mean_score(cell.scores, metrics_of(cell).front()); }

std::string cells_table(std::span<const Cell> cells, const std::optional<Cell>& untrained) {
  std::string text = "method\tseed\ttrained";
  for (const auto& score : cells.front().scores) text += "\t" + score.task;
  text +=
      "\tmean\tdrift\tblock\ttrained_percent\ttrained_percent_without_router\trate\ttokens_per_second\t"
      "peak_memory_bytes\n";
  for (const auto& cell : cells) {
    text += fmt::format("{}\t{}\t{}", cell.variant, cell.seed, cell.trainable_parameters);
    for (const auto& score : cell.scores) text += fmt::format("\t{:.4f}", score.value);
    text += fmt::format("\t{:.4f}\t{}\t{}\t{:.6f}\t{:.6f}\t{}\t{:.0f}\t{}\n", mean_over_tasks(cell),
                        text_of(drift(cell, untrained)),
                        cell.variant.ends_with(active_suffix) ? "active rank" : "parameters", cell.percent,
                        cell.percent_without_router, cell.lr, cell.tokens_per_second, cell.peak_memory_bytes);
  }
  return text;
}

// A method has one rate, at whatever rank.
std::string method_of(const std::string& variant) {
  const std::size_t suffix = variant.find(active_suffix);
  return suffix == std::string::npos ? variant : std::string(variant).erase(suffix, active_suffix.size());
}

}  // namespace

extern const Ablation table1_comparison;
const Ablation table1_comparison{
    .name = "table1",
    .summary = "every method at an equal number of parameters, and at an equal active rank",
    .reason =
        "Every method at the number of parameters of CS-ReFT with its router, as near as its rank allows, and those "
        "named _active at the rank that takes part in an example where one subspace does. Each method has the learning "
        "rate of one list with which its first seed did best at the equal number of parameters, on a tenth of the "
        "training examples, set apart for that; then it is trained on all of them. RED and full fine-tuning have no "
        "rank, and O-LoRA one LoRA a task in as "
        "many blocks as the budget allows.",
    .variants = table1_variants,
    .reference = "csreft_specialised",
    .cells_table = cells_table,
    .rates = "5e-5,5e-4,2e-3,4e-3,8e-3",
    .rate_group = method_of,
};

}  // namespace csreft
