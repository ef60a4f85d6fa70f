// Tasks learnt one after the other, without a look back: what each method keeps of the earlier ones.
#include <algorithm>
#include <array>
#include <map>
#include <numeric>

#include "core/base/whole_number.h"
#include "core/tensor/random.h"
#include "experiments/ablations/ablation.h"
#include "experiments/ablations/tables.h"
#include "experiments/report/figure.h"
#include "experiments/report/page.h"
#include "experiments/training/sequence.h"
#include "reft/presets.h"

namespace csreft {
namespace {

using nlohmann::json;
using Order = std::vector<std::size_t>;

constexpr std::string_view order_mark = ":order=";
constexpr std::string_view mixture_prefix = "mixture:";
// The shuffle of the third order, whatever seed a run has.
constexpr std::uint64_t shuffle_seed = 1, shuffle_stream = 0;

// The order given, its reverse, and a shuffle; each once.
std::vector<Order> orders_of(std::size_t n) {
  Order given(n);
  std::iota(given.begin(), given.end(), std::size_t{0});
  Order shuffled = given;
  const Order reversed(given.rbegin(), given.rend());
  Random random(shuffle_seed, shuffle_stream);
  shuffle(shuffled, random);
  std::vector<Order> orders{given};
  for (const auto& order : {reversed, shuffled}) {
    if (std::ranges::find(orders, order) == orders.end()) orders.push_back(order);
  }
  return orders;
}

Variant growing(const AblationBase& base, std::string name, std::string_view decided_by) {
  Variant variant{.name = std::move(name), .method = {"growing", base.method.values}, .train = base.train};
  variant.method["decided_by"] = decided_by;
  variant.method = known_options(std::move(variant.method));
  return variant;
}

// Learns the tasks in the order of that number, from 1.
Variant in_order(Variant variant, const Order& order, std::size_t number, std::span<const Task> tasks) {
  variant.name += fmt::format("{}{}", order_mark, number);
  variant.tasks = order;
  variant.train.order = "sequence";
  if (!variant.method.contains("tasks")) return variant;
  json& names = variant.method["tasks"];
  names = json::array();
  for (const std::size_t t : order) names.push_back(std::string(task_stem(tasks[t].name)));
  return variant;
}

std::vector<Variant> sequential_variants(const AblationBase& given) {
  const std::size_t n = given.tasks.size();
  require(n > 1, "a sequence has two tasks or more, and there is {}: expected more --train files", n);
  AblationBase base = given;
  base.method["subspaces"] = n;
  base.method["edit"] = "loreft";  // of every variant that edits: nothing else differs
  const Variant mixed = csreft_variant(base, fmt::format("{}csreft", mixture_prefix));
  Variant csreft = growing(base, "csreft", "discriminant"), labels = growing(base, "labels", "label");
  for (Variant* variant : {&csreft, &labels}) variant->method["tasks"] = task_stems(base.tasks);
  const Variant loreft = single_variant(base, "loreft", total_rank(base));
  std::vector<Variant> variants;
  std::size_t number = 0;
  for (const auto& order : orders_of(n)) {
    if (base.smoke && number > 0) break;
    ++number;
    for (const Variant& variant :
         {csreft, labels, loreft, lora_variant(base, "lora", mixed),
          olora_variant(base, "olora", parameters_of(base, mixed.method)), full_variant(base, "full")}) {
      variants.push_back(in_order(variant, order, number, base.tasks));
    }
  }
  variants.push_back(mixed);
  for (Variant variant : {loreft, lora_variant(base, "lora", mixed), full_variant(base, "full")}) {
    variant.name = fmt::format("{}{}", mixture_prefix, variant.name);
    variants.push_back(std::move(variant));
  }
  return variants;
}

// What a cell's name says: the variant, and the number of its order; 0 of a mixture.
struct Name {
  std::string variant;
  std::size_t order = 0;
};

// "csreft:order=2:rank=4" is csreft:rank=4 in order 2.
Name parse_name(const std::string& name) {
  const std::size_t mark = name.find(order_mark);
  if (mark == std::string::npos) return {name, 0};
  const std::size_t number = mark + order_mark.size();
  const std::size_t end = std::min(name.find(':', number), name.size());
  return {name.substr(0, mark) + name.substr(end),
          parse_whole_number<std::size_t>(name.substr(number, end - number)).value_or(0)};
}

// The stems of the tasks that are learnt, as any sequence among the cells has them; none where there is no sequence.
std::vector<std::string> tasks_learnt(std::span<const Cell> cells) {
  for (const auto& cell : cells) {
    if (!cell.summary.contains("sequence")) continue;
    return parse_sequence_matrix(cell.summary["sequence"], cell.variant).tasks;
  }
  return {};
}

// The cell's matrix, with the untrained model's scores where these are known; nothing of a mixture, and of a training
// that diverged.
std::optional<SequenceMatrix> matrix_of(const Cell& cell, const std::optional<Cell>& untrained) {
  if (has_diverged(cell) || !cell.summary.contains("sequence")) return std::nullopt;
  SequenceMatrix matrix = parse_sequence_matrix(cell.summary["sequence"], cell.variant);
  if (untrained) matrix.untrained = scores_in_order(untrained->scores, matrix.tasks);
  return matrix;
}

// Without a matrix, the average alone: over the tasks that are learnt, as that of a sequence is.
Transfer measures_of(const Cell& cell, const std::optional<Cell>& untrained, const std::vector<std::string>& learnt) {
  if (const auto matrix = matrix_of(cell, untrained)) {
    if (const auto measures = transfer_of(*matrix)) return *measures;
  }
  const double average = learnt.empty() ? mean_score(cell.scores, metrics_of(cell).front())
                                        : spread_of(scores_in_order(cell.scores, learnt)).mean;
  return {.average = average, .backward = {}, .forward = {}, .forgetting = {}};
}

// The share of the test prompts that were edited in the subspace of their own task, the i-th in the order of learning.
std::optional<double> routed_share(const Cell& cell) {
  const auto matrix = matrix_of(cell, std::nullopt);
  if (!matrix) return std::nullopt;
  double routed = 0.0, prompts = 0.0;
  for (const auto& score : cell.scores) {
    const auto task = std::ranges::find(matrix->tasks, task_stem(score.task));
    const auto place = static_cast<std::size_t>(task - matrix->tasks.begin());
    if (task == matrix->tasks.end() || place >= score.mean_gates.size()) continue;
    routed += static_cast<double>(score.n) * score.mean_gates[place];
    prompts += static_cast<double>(score.n);
  }
  return prompts > 0.0 ? std::optional(routed / prompts) : std::nullopt;
}

std::string cells_table(std::span<const Cell> cells, const std::optional<Cell>& untrained) {
  const auto learnt = tasks_learnt(cells);
  std::string text =
      "variant\torder\tseed\taverage\tbackward\tforward\tforgetting\ttrained\tdrift\trate\tdiverged\trouted\n";
  for (const auto& cell : cells) {
    const auto [variant, order] = parse_name(cell.variant);
    const Transfer m = measures_of(cell, untrained, learnt);
    text += fmt::format(
        "{}\t{}\t{}\t{:.4f}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", variant, order > 0 ? std::to_string(order) : "",
        cell.seed, m.average, text_of(m.backward), text_of(m.forward), text_of(m.forgetting), cell.trainable_parameters,
        text_of(drift(cell, untrained)), cell.lr, has_diverged(cell) ? "yes" : "", text_of(routed_share(cell)));
  }
  return text;
}

// The names of the variants without their orders, in the order in which they first occur.
std::vector<std::string> names_of_cells(std::span<const Cell> cells) {
  std::vector<std::string> names;
  for (const auto& cell : cells) {
    const std::string name = parse_name(cell.variant).variant;
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  return names;
}

// One number of a run.
struct Measured {
  std::uint64_t seed;
  std::size_t order;
  double value;
};

// What a mean over runs is uncertain by: seeds, each by its mean over orders; with one seed, orders.
struct Uncertain {
  Spread spread;
  std::string_view over;  // "seeds", "orders"; empty for one run
};
Uncertain spread_over(std::span<const Measured> runs) {
  std::map<std::uint64_t, std::vector<double>> by_seed;
  for (const auto& run : runs) by_seed[run.seed].push_back(run.value);
  if (by_seed.size() == 1) {
    const Spread spread = spread_of(by_seed.begin()->second);
    return {spread, spread.n > 1 ? "orders" : ""};
  }
  std::vector<double> means;
  for (const auto& [seed, values] : by_seed) means.push_back(spread_of(values).mean);
  return {spread_of(means), means.empty() ? "" : "seeds"};
}

using Quantity = std::optional<double> (*)(const Transfer& measures);
struct Measure {
  std::string_view name;
  Quantity of;
};
std::optional<double> average_of(const Transfer& m) { return m.average; }
constexpr std::array table_measures{Measure{"average", average_of},
                                    Measure{"backward", [](const Transfer& m) { return m.backward; }},
                                    Measure{"forward", [](const Transfer& m) { return m.forward; }},
                                    Measure{"forgetting", [](const Transfer& m) { return m.forgetting; }}};

// The folder's cells with what tells their measures.
struct Runs {
  std::span<const Cell> cells;
  const std::optional<Cell>& untrained;
  std::vector<std::string> learnt;

  std::vector<Measured> of(std::string_view name, Quantity quantity) const {
    std::vector<Measured> runs;
    for (const auto& cell : cells) {
      const auto [variant, order] = parse_name(cell.variant);
      if (variant != name) continue;
      if (const auto value = quantity(measures_of(cell, untrained, learnt))) runs.push_back({cell.seed, order, *value});
    }
    return runs;
  }
};

// first - second of each seed and order that both have; a mixture, which has no order, meets each.
std::vector<Measured> paired(std::span<const Measured> first, std::span<const Measured> second) {
  std::vector<Measured> differences;
  for (const auto& a : first) {
    for (const auto& b : second) {
      if (a.seed != b.seed || (a.order != b.order && a.order != 0 && b.order != 0)) continue;
      differences.push_back({a.seed, std::max(a.order, b.order), a.value - b.value});
    }
  }
  return differences;
}

// How far the variant's average is above that of csreft, with the same values of what --vary varies where that is
// there, and one standard error of it.
std::string difference_columns(const Runs& runs, const std::string& name) {
  constexpr std::string_view none = "\t\t";
  const auto [variant, values] = split_varied_name(name);
  const std::string reference = "csreft";
  if (variant == reference) return std::string(none);
  auto others = runs.of(reference + values, average_of);
  if (others.empty()) others = runs.of(reference, average_of);
  const auto differences = paired(runs.of(name, average_of), others);
  if (differences.empty()) return std::string(none);
  const Spread s = spread_over(differences).spread;
  return fmt::format("\t{:.4f}\t{}", s.mean, text_of(standard_error(s)));
}

std::string summary_table(std::span<const Cell> cells, const std::optional<Cell>& untrained) {
  const Runs runs{cells, untrained, tasks_learnt(cells)};
  std::string text = "variant\tmeasure\tmean\tdeviation\truns\tover\tdifference\tdifference_error\n";
  for (const auto& name : names_of_cells(cells)) {
    for (const auto& measure : table_measures) {
      const auto values = runs.of(name, measure.of);
      if (values.empty()) continue;
      const auto [s, over] = spread_over(values);
      const bool is_average = measure.of == average_of;
      text += fmt::format("{}\t{}\t{:.4f}\t{}\t{}\t{}{}\n", name, measure.name, s.mean, text_of(deviation_of(s)),
                          values.size(), over, is_average ? difference_columns(runs, name) : "\t\t");
    }
  }
  return text;
}

// The mean score on the tasks learnt so far, after each; of a mixture, whose tasks are learnt at once, the same
// everywhere. Empty of a sequence that diverged.
std::vector<double> curve_of(const Cell& cell, const std::vector<std::string>& learnt) {
  const auto matrix = matrix_of(cell, std::nullopt);
  std::vector<double> curve;
  if (!matrix) {
    const bool is_mixture = parse_name(cell.variant).order == 0;
    if (is_mixture) curve.assign(learnt.size(), measures_of(cell, std::nullopt, learnt).average);
    return curve;
  }
  for (std::size_t i = 0; i < matrix->scores.size(); ++i) {
    const auto& row = matrix->scores[i];
    curve.push_back(std::accumulate(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(i) + 1, 0.0) /
                    static_cast<double>(i + 1));
  }
  return curve;
}

// CS-ReFT in the same order; a mixture has none.
std::string reference_of(const std::string& variant) {
  const std::size_t order = variant.find(":order=");
  return order == std::string::npos ? "" : "csreft" + variant.substr(order);
}

std::string section(std::span<const Cell> cells) {
  if (cells.empty()) return "";
  const auto learnt = tasks_learnt(cells);
  const std::size_t n = learnt.size();
  if (n == 0) return "";
  LineChart chart{.id = "sequence",
                  .title = "Tasks learnt one after the other",
                  .x_label = "tasks learnt",
                  .y_label = fmt::format("mean {} on these", metrics_of(cells.front()).front()),
                  .series = {}};
  for (const auto& name : names_of_cells(cells)) {
    std::vector<double> sum(n, 0.0), x(n);
    double runs = 0.0;
    for (const auto& cell : cells) {
      if (parse_name(cell.variant).variant != name) continue;
      const auto curve = curve_of(cell, learnt);
      if (curve.size() != n) continue;
      for (std::size_t i = 0; i < n; ++i) sum[i] += curve[i];
      ++runs;
    }
    if (runs == 0.0) continue;
    for (double& value : sum) value /= runs;
    std::iota(x.begin(), x.end(), 1.0);
    chart.series.push_back({.name = name, .values = sum, .x = x, .colour = chart.series.size()});
  }
  return figure(chart,
                "Means over orders and seeds. A mixture has learnt all tasks at once: its score on all is drawn "
                "through.");
}

}  // namespace

extern const Ablation sequential_ablation;
const Ablation sequential_ablation{
    .name = "sequential",
    .summary =
        "tasks learnt one after the other\n"
        "    csreft: a subspace a task, chosen by a discriminant of the prompts; labels: chosen by the task; loreft: "
        "one\n"
        "    subspace of their rank; lora, olora, full; each with :order=1 (as given), 2 (reversed), 3 (shuffled); "
        "and\n"
        "    mixture:csreft, mixture:loreft, mixture:lora, mixture:full: all tasks at once",
    .reason =
        "Tasks come one after the other, and no example of an earlier one is seen again. What a method keeps of them "
        "is "
        "the backward transfer; what a task gains before it is learnt, the forward transfer. CS-ReFT grows by a "
        "subspace a task, orthogonal to those before it, which are frozen; at test time a linear discriminant of the "
        "prompts' hidden states, of which each task leaves its mean and a share of one scatter matrix, chooses the "
        "subspace without being told the task (csreft), or the label does (labels). The discriminant keeps d x d "
        "numbers, d the model's width, and d for each task, beside those that are trained. One subspace of their total "
        "rank, "
        "LoRA, O-LoRA and full fine-tuning learn the same tasks in the same three orders. The mixtures, which have "
        "all tasks at once, are the upper end. Each method has the learning rate of one list with which its first "
        "seed did best in the first order, on examples that it did not learn from.",
    .variants = sequential_variants,
    .reference = reference_of,
    .cells_table = cells_table,
    .summary_table = summary_table,
    .section = section,
    .rates = "1e-5,5e-5,5e-4,2e-3,4e-3",
    .rate_group = [](const std::string& variant) { return parse_name(variant).variant; },
};

}  // namespace csreft
