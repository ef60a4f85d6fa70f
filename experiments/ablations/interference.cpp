// Where tasks get in each other's way: what one task teaches of the others, whether their gradients point the same way,
// how the subspaces lie to each other, and tasks that want contrary answers to the same texts.
#include "experiments/ablations/ablation.h"
#include "experiments/ablations/conflict.h"
#include "experiments/ablations/opposed.h"
#include "experiments/ablations/tables.h"
#include "experiments/report/figure.h"

namespace csreft {
namespace {

using nlohmann::json;

constexpr std::string_view only_prefix = "only:", opposed_prefix = "opposed";

// Two tasks, of which the opposite is wanted to `percent` % the same texts: a subspace each, of half the total rank.
std::vector<Variant> opposed_variants(const AblationBase& base, int percent,
                                      const std::shared_ptr<const TaskSet>& data) {
  const std::int64_t total = total_rank(base);
  const auto name = [&](const char* method) { return fmt::format("{}{}:{}", opposed_prefix, percent, method); };
  const json halves{{"subspaces", 2}, {"shared", 0}, {"rank", std::max<std::int64_t>(total / 2, 1)}};
  json by_label = halves;
  by_label.update({{"gate", "onehot"}, {"tasks", task_stems(data->train)}});
  const Variant csreft = csreft_variant(base, name("csreft"), halves);
  std::vector<Variant> variants{single_variant(base, name("loreft"), total), csreft,
                                lora_variant(base, name("lora"), csreft),
                                csreft_variant(base, name("labels"), by_label)};
  for (auto& variant : variants) variant.data = data;
  return variants;
}

std::vector<Variant> interference_variants(const AblationBase& given) {
  AblationBase base = given;
  base.method["edit"] = "loreft";
  const json labels{{"gate", "onehot"}, {"tasks", task_stems(base.tasks)}};
  std::vector<Variant> variants{single_variant(base, "loreft", total_rank(base)), csreft_variant(base, "csreft"),
                                csreft_variant(base, "labels", labels),
                                csreft_variant(base, "open", {{"gate", "ones"}})};
  for (auto& variant : variants) variant.measure = measure_conflict;
  for (std::size_t t = 0; t < base.tasks.size() && base.tasks.size() > 1; ++t) {
    variants.push_back(
        single_variant(base, fmt::format("{}{}", only_prefix, task_stem(base.tasks[t].name)), total_rank(base)));
    variants.back().tasks = {t};
  }
  // The first of a method chooses its rate: where all texts are shared.
  for (const int percent : {100, 50, 0}) {
    const auto set = opposed_tasks(base.tasks, base.tests, percent / 100.0);
    if (!set) break;
    for (auto& variant : opposed_variants(base, percent, std::make_shared<const TaskSet>(*set))) {
      variants.push_back(std::move(variant));
    }
  }
  return variants;
}

// Of one method those that differ in their data alone have one rate.
std::string rate_group(const std::string& variant) {
  if (variant.starts_with(only_prefix)) return "loreft" + split_varied_name(variant).second;
  if (!variant.starts_with(opposed_prefix)) return variant;
  return fmt::format("{}100{}", opposed_prefix, variant.substr(variant.find(':')));
}

// LoReFT on the same data; what learns one task alone has no such variant.
std::string reference_of(const std::string& variant) {
  if (variant.starts_with(opposed_prefix)) return variant.substr(0, variant.find(':')) + ":loreft";
  return "loreft";
}

std::string cells_table(std::span<const Cell> cells, const std::optional<Cell>& untrained) {
  return cells_tsv_with(cells, untrained, conflict_columns());
}

std::vector<NamedTable> further_tables(std::span<const Cell> cells) { return {{"cosines", cosines_tsv(cells)}}; }

// What one task teaches of the others: rows are what LoReFT was trained on, columns what it is tested on.
std::string transfer_picture(std::span<const Cell> cells) {
  Heatmap chart{.id = "transfer",
                .title = "Trained on a row, tested on a column",
                .x_label = "test",
                .rows = {},
                .columns = {},
                .values = {}};
  for (const auto& name : variants_of(cells)) {
    const bool is_mixture = name == "loreft";
    if (!is_mixture && !name.starts_with(only_prefix)) continue;
    const auto some = cells_of(cells, name);
    chart.rows.push_back(is_mixture ? "all" : name.substr(only_prefix.size()));
    auto& row = chart.values.emplace_back();
    for (std::size_t t = 0; t < some.front().scores.size(); ++t) {
      row.push_back(spread(some, [t](const Cell& c) { return c.scores[t].value; }).mean);
    }
    chart.columns.clear();
    for (const auto& score : some.front().scores) chart.columns.emplace_back(task_stem(score.task));
  }
  return chart.rows.empty()
             ? ""
             : figure(chart, "Accuracy of LoReFT, means over seeds. Each row is trained on one task, or on all.");
}

std::string section(std::span<const Cell> cells) {
  constexpr std::string_view pictured[] = {"loreft", "csreft"};
  return transfer_picture(cells) + cosine_pictures(cells, pictured);
}

}  // namespace

extern const Ablation interference_ablation;
const Ablation interference_ablation{
    .name = "interference",
    .summary =
        "where tasks get in each other's way\n"
        "    loreft, csreft, labels, open (all gates): trained on all tasks, with the cosines of the tasks' gradients\n"
        "    and the angles between subspaces; only:TASK: LoReFT on one task; opposedP:METHOD: a task and its "
        "reverse,\n"
        "    P % of whose texts are the same",
    .reason =
        "Keeping skills apart can only help where they get in each other's way. One subspace is trained on each task "
        "alone and on all, and tested on all: what a task teaches of the others, and what the mixture loses to the "
        "specialist. The cosines of the tasks' gradients say whether they pull the same way, by layer and in each "
        "subspace, before and after training, beside those of a task with itself on other examples, which are the most "
        "that so few examples can show; the principal angles whether subspaces have become the same. Opposed "
        "tasks want contrary answers under two instructions; 0, 50 or 100 % of their texts are the same: each has a "
        "subspace of half "
        "the total rank, beside one subspace of all of it and LoRA of about as many parameters. Each method has the "
        "learning rate of one list with which its first seed did best on examples that it did not learn "
        "from: on all tasks, which those trained on one task share, and on opposed tasks with the same texts, "
        "which those with fewer share.",
    .variants = interference_variants,
    .reference = reference_of,
    .cells_table = cells_table,
    .further_tables = further_tables,
    .section = section,
    .rates = "5e-4,2e-3,4e-3,8e-3",
    .rate_group = rate_group,
};

}  // namespace csreft
