// Tasks learnt one after the other, without a look back: what each method keeps of the earlier ones.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "core/base/whole_number.h"
#include "core/tensor/random.h"
#include "experiments/ablations/ablation.h"
#include "experiments/ablations/tables.h"
#include "experiments/report/page.h"
#include "experiments/report/plot.h"
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
  Variant loreft_mixed = loreft;
  loreft_mixed.name = fmt::format("{}loreft", mixture_prefix);
  variants.push_back(mixed);
  variants.push_back(loreft_mixed);
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

// The cell's matrix, with the untrained model's scores where these are known; nothing of a mixture.
std::optional<SequenceMatrix> matrix_of(const Cell& cell, const std::optional<Cell>& untrained) {
  if (!cell.summary.contains("sequence")) return std::nullopt;
  SequenceMatrix matrix = parse_sequence_matrix(cell.summary["sequence"], cell.variant);
  if (untrained) matrix.untrained = scores_in_order(untrained->scores, matrix.tasks);
  return matrix;
}

// Of a mixture, the average alone.
Transfer measures_of(const Cell& cell, const std::optional<Cell>& untrained) {
  if (const auto matrix = matrix_of(cell, untrained)) {
    if (const auto measures = transfer_of(*matrix)) return *measures;
  }
  return {
      .average = mean_score(cell.scores, metrics_of(cell).front()), .backward = {}, .forward = {}, .forgetting = {}};
}

std::string text_of(const std::optional<double>& number) { return number ? fmt::format("{:.4f}", *number) : ""; }

std::string cells_table(std::span<const Cell> cells, const std::optional<Cell>& untrained) {
  std::string text = "variant\torder\tseed\taverage\tbackward\tforward\tforgetting\n";
  for (const auto& cell : cells) {
    const auto [variant, order] = parse_name(cell.variant);
    const Transfer m = measures_of(cell, untrained);
    text += fmt::format("{}\t{}\t{}\t{:.4f}\t{}\t{}\t{}\n", variant, order > 0 ? std::to_string(order) : "", cell.seed,
                        m.average, text_of(m.backward), text_of(m.forward), text_of(m.forgetting));
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

struct Measure {
  std::string_view name;
  std::optional<double> (*of)(const Transfer& measures);
};
constexpr std::array table_measures{Measure{"average", [](const Transfer& m) { return std::optional(m.average); }},
                                    Measure{"backward", [](const Transfer& m) { return m.backward; }},
                                    Measure{"forward", [](const Transfer& m) { return m.forward; }},
                                    Measure{"forgetting", [](const Transfer& m) { return m.forgetting; }}};

std::string summary_table(std::span<const Cell> cells, const std::optional<Cell>& untrained) {
  std::string text = "variant\tmeasure\tmean\tdeviation\truns\n";
  for (const auto& name : names_of_cells(cells)) {
    for (const auto& measure : table_measures) {
      std::vector<double> values;
      for (const auto& cell : cells) {
        if (parse_name(cell.variant).variant != name) continue;
        if (const auto value = measure.of(measures_of(cell, untrained))) values.push_back(*value);
      }
      const Spread s = spread_of(values);
      if (s.n == 0) continue;
      text += fmt::format("{}\t{}\t{:.4f}\t{}\t{}\n", name, measure.name, s.mean,
                          s.n > 1 ? fmt::format("{:.4f}", s.deviation) : "", s.n);
    }
  }
  return text;
}

// The mean score on the tasks learnt so far, after each; of a mixture, whose tasks are learnt at once, the same
// everywhere.
std::vector<double> curve_of(const Cell& cell, std::size_t n_tasks) {
  const auto matrix = matrix_of(cell, std::nullopt);
  if (!matrix) return std::vector<double>(n_tasks, measures_of(cell, std::nullopt).average);
  std::vector<double> curve;
  for (std::size_t i = 0; i < matrix->scores.size(); ++i) {
    const auto& row = matrix->scores[i];
    curve.push_back(std::accumulate(row.begin(), row.begin() + static_cast<std::ptrdiff_t>(i) + 1, 0.0) /
                    static_cast<double>(i + 1));
  }
  return curve;
}

std::string section(std::span<const Cell> cells) {
  if (cells.empty() || !has_gnuplot()) return "";
  const std::size_t n = cells.front().scores.size();
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
      const auto curve = curve_of(cell, n);
      if (curve.size() != n) continue;
      for (std::size_t i = 0; i < n; ++i) sum[i] += curve[i];
      ++runs;
    }
    if (runs == 0.0) continue;
    for (double& value : sum) value /= runs;
    std::iota(x.begin(), x.end(), 1.0);
    chart.series.push_back({.name = name, .values = sum, .x = x, .colour = chart.series.size()});
  }
  return fmt::format("<figure><div class=\"wide\">{}</div><figcaption>{}</figcaption></figure>\n", draw(chart),
                     escape("Means over orders and seeds. A mixture has learnt all tasks at once: its score on all is "
                            "drawn through."));
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
        "    mixture:csreft, mixture:loreft: all tasks at once",
    .reason =
        "Tasks come one after the other, and no example of an earlier one is seen again. What a method keeps of them "
        "is "
        "the backward transfer; what a task gains before it is learnt, the forward transfer. CS-ReFT grows by a "
        "subspace a task, orthogonal to those before it, which are frozen; at test time a linear discriminant of the "
        "prompts' hidden states, of which each task leaves its mean and a share of one scatter matrix, chooses the "
        "subspace without being told the task (csreft), or the label does (labels). One subspace of their total rank, "
        "LoRA, O-LoRA and full fine-tuning learn the same tasks in the same three orders. The mixtures, which have "
        "all tasks at once, are the upper end. Each method has the learning rate of one list with which its first "
        "seed did best in the first order, on a tenth of the training examples, set apart for that.",
    .variants = sequential_variants,
    .cells_table = cells_table,
    .summary_table = summary_table,
    .section = section,
    .rates = "5e-5,5e-4,2e-3,4e-3",
    .rate_group = [](const std::string& variant) { return parse_name(variant).variant; },
};

}  // namespace csreft
