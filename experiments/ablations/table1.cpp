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
    const auto nearest = [&](auto of_size) { return nearest_options(base_, budget, of_size); };
    add("lora", nearest(lora_options));
    variants_.push_back(olora_variant(base_, "olora", budget));
    add("red", {"red", {{"layers", "all"}}});
    for (const char* formula : formulas) {
      add(formula, nearest([&](std::int64_t rank) { return edit_options(formula, rank, base_); }));
    }
    add(from_identity("").name, nearest([&](std::int64_t rank) { return from_identity("", rank).method; }));
    // The width of the router is that of preset specialised: the paper's, half the hidden size, is more than the edits.
    add_csreft("csreft_paper", "paper", {{"edit", "loreft"}});
    variants_.push_back(specialised_);
    add("csreft_labels", nearest([&](std::int64_t rank) { return labels_of(rank); }));
    const std::int64_t of_rank_1 = parameters_of(base_, lora_options(1));
    add("lora_loreft", nearest([&](std::int64_t rank) {
          return lora_and_loreft(std::max<std::int64_t>(budget / 2 / of_rank_1, 1), rank, base_);
        }));
  }

  // One subspace that starts as CS-ReFT's do, as the identity, with their formula and no gate.
  Variant from_identity(std::string_view suffix, std::int64_t rank = 1) const {
    const auto edit = base_.method.at("edit").get<std::string>();
    return single_variant(base_, fmt::format("{}_identity{}", edit, suffix), rank);
  }

  // The subspaces of all tasks fit into the model's width.
  MethodOptions labels_of(std::int64_t rank) const {
    const std::int64_t largest =
        std::max<std::int64_t>(base_.model.config().hidden_size / base_.method.at("subspaces").get<std::int64_t>(), 1);
    const json changes{
        {"gate", "onehot"}, {"tasks", task_stems(base_.tasks)}, {"rank", std::min<std::int64_t>(rank, largest)}};
    return csreft_variant(base_, "", changes).method;
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
    const Variant identity = from_identity(active_suffix, rank);
    add_unless_there(identity.name, identity.method);
    add_unless_there(name("csreft_labels"), labels_of(rank));
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

double mean_over_tasks(const Cell& cell) { return mean_score(cell.scores, metrics_of(cell).front()); }

std::string cells_table(std::span<const Cell> cells, const std::optional<Cell>& untrained) {
  std::string text = "method\tseed\ttrained";
  for (const auto& score : cells.front().scores) text += "\t" + score.task;
  text +=
      "\tmean\tdrift\tblock\ttrained_percent\ttrained_percent_without_router\trate\ttokens_per_second\t"
      "peak_memory_bytes\tdiverged\n";
  for (const auto& cell : cells) {
    text += fmt::format("{}\t{}\t{}", cell.variant, cell.seed, cell.trainable_parameters);
    for (const auto& score : cell.scores) text += fmt::format("\t{:.4f}", score.value);
    text += fmt::format("\t{:.4f}\t{}\t{}\t{:.6f}\t{:.6f}\t{}\t{:.0f}\t{}\t{}\n", mean_over_tasks(cell),
                        text_of(drift(cell, untrained)),
                        cell.variant.find(active_suffix) != std::string::npos ? "active rank" : "parameters",
                        cell.percent, cell.percent_without_router, cell.lr, cell.tokens_per_second,
                        cell.peak_memory_bytes, has_diverged(cell) ? "yes" : "");
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
        "rate of one list with which its first seed did best at the equal number of parameters, on examples "
        "that it did not learn from; tests play no part in that. Methods of other papers start as "
        "published. The one named _identity is one subspace with CS-ReFT's formula and start, and no gate: beside it "
        "CS-ReFT's gain is that of its subspaces and gates alone. RED and full fine-tuning have no rank. O-LoRA learns "
        "its tasks one after another, each in a LoRA of its own in as many blocks as the budget allows; all others "
        "learn them mixed. csreft_paper has the router of the paper, but as narrow as csreft_specialised's "
        "(--router-hidden): half the model's width would be more numbers than all edits have. lora_loreft gives LoRA "
        "at most half of the budget, and LoReFT what is left. tokens_per_second of cells that were made side by side "
        "is that of a machine that they share.",
    .variants = table1_variants,
    .reference = [](const std::string&) { return std::string("csreft_specialised"); },
    .cells_table = cells_table,
    .rates = "5e-5,5e-4,2e-3,4e-3,8e-3",
    .rate_group = method_of,
};

}  // namespace csreft
