// Where tasks get in each other's way: what one task teaches of the others, whether their gradients point the same way,
// how the subspaces lie to each other, and tasks that want contrary answers to the same texts.
#include "reft/interference.h"

#include <numbers>

#include "experiments/ablations/ablation.h"
#include "experiments/ablations/opposed.h"
#include "experiments/ablations/tables.h"
#include "experiments/report/page.h"
#include "experiments/report/plot.h"
#include "experiments/training/gradients.h"

namespace csreft {
namespace {

using nlohmann::json;

// Examples of each task from which its gradient is taken.
constexpr std::int64_t gradient_examples = 16;
constexpr std::string_view only_prefix = "only:", opposed_prefix = "opposed";

// The number of the block in a parameter's name, "6.all.R"; "" where it has none.
std::string layer_of(const std::string& name) {
  const std::string first = name.substr(0, name.find('.'));
  const bool is_number = !first.empty() && first.find_first_not_of("0123456789") == std::string::npos;
  return is_number ? first : "";
}

// The rows of each gradient that belong to subspace i of k, or values of a vector; nothing of what has no such rows.
std::vector<Tensor> part_of_subspace(const std::vector<Tensor>& gradients, std::span<const Parameter> parameters,
                                     std::int64_t i, std::int64_t k) {
  std::vector<Tensor> parts;
  for (std::size_t p = 0; p < gradients.size(); ++p) {
    const Tensor& g = gradients[p];
    if (!g.defined() || parameters[p].part != ParameterPart::edits || g.shape()[0] % k != 0) continue;
    const std::int64_t rows = g.shape()[0] / k;
    parts.push_back(g.slice(i * rows, (i + 1) * rows).clone());
  }
  return parts;
}

std::vector<Tensor> part_of_layer(const std::vector<Tensor>& gradients, std::span<const Parameter> parameters,
                                  const std::string& layer) {
  std::vector<Tensor> parts;
  for (std::size_t p = 0; p < gradients.size(); ++p) {
    if (layer_of(parameters[p].name) == layer) parts.push_back(gradients[p]);
  }
  return parts;
}

// Cosines of every two tasks' gradients, of the part that `part` takes: null where a task has no gradient in it.
template <typename Part>
json cosines(const std::vector<std::vector<Tensor>>& gradients, const Part& part) {
  json rows = json::array();
  for (const auto& a : gradients) {
    json row = json::array();
    for (const auto& b : gradients) {
      const auto value = cosine(part(a), part(b));
      row.push_back(value ? json(*value) : json());
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

// In degrees, of every two subspaces of each place: the principal angles, rising.
json angles(const Routing& routing) {
  json places = json::array();
  const std::int64_t k = routing.subspaces();
  for (const Tensor& base : routing.bases()) {
    const std::int64_t r = base.rows() / k;
    json pairs = json::array();
    for (std::int64_t i = 0; i < k; ++i) {
      for (std::int64_t j = i + 1; j < k; ++j) {
        auto between = principal_angles(base.slice(i * r, (i + 1) * r), base.slice(j * r, (j + 1) * r));
        for (double& angle : between) angle *= 180.0 / std::numbers::pi;
        pairs.push_back({{"subspaces", {i + 1, j + 1}}, {"degrees", between}});
      }
    }
    places.push_back(std::move(pairs));
  }
  return places;
}

json measure(const LanguageModel& model, const Method& method, const TaskSet& tasks) {
  const auto parameters = method.parameters();
  std::vector<std::vector<Tensor>> gradients;
  json names = json::array();
  for (const auto& task : tasks.train) {
    const std::string stem(task_stem(task.name));
    names.push_back(stem);
    gradients.push_back(task_gradient(model, method, task, gradient_examples, method.task_index(stem), ""));
  }
  json out{{"tasks", names}, {"cosine_by_layer", json::object()}, {"cosine_by_subspace", json::array()}};
  out["cosine"] = cosines(gradients, [](const auto& g) { return g; });
  for (const auto& p : parameters) {
    const std::string layer = layer_of(p.name);
    if (layer.empty() || out["cosine_by_layer"].contains(layer)) continue;
    out["cosine_by_layer"][layer] =
        cosines(gradients, [&](const auto& g) { return part_of_layer(g, parameters, layer); });
  }
  const Routing* routing = method.routing();
  if (routing == nullptr) return out;
  for (std::int64_t i = 0; i < routing->subspaces(); ++i) {
    out["cosine_by_subspace"].push_back(
        cosines(gradients, [&](const auto& g) { return part_of_subspace(g, parameters, i, routing->subspaces()); }));
  }
  out["principal_angles"] = angles(*routing);
  return out;
}

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
  for (auto& variant : variants) variant.measure = measure;
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

// The mean over pairs of different tasks that both have a gradient; empty where there is none.
std::string mean_cosine(const Cell& cell, const char* when) {
  if (!cell.summary.contains("measured")) return "";
  const json& matrix = cell.summary["measured"][when]["cosine"];
  double sum = 0.0, n = 0.0;
  for (std::size_t a = 0; a < matrix.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      if (!matrix[a][b].is_number()) continue;
      sum += matrix[a][b].get<double>();
      ++n;
    }
  }
  return n > 0.0 ? fmt::format("{:.4f}", sum / n) : "";
}

// The smallest angle between two subspaces, in degrees.
std::string smallest_angle(const Cell& cell) {
  if (!cell.summary.contains("measured") || !cell.summary["measured"]["after"].contains("principal_angles")) return "";
  double smallest = 90.0;
  for (const auto& place : cell.summary["measured"]["after"]["principal_angles"]) {
    for (const auto& pair : place) smallest = std::min(smallest, pair["degrees"].front().get<double>());
  }
  return fmt::format("{:.2f}", smallest);
}

std::string cells_table(std::span<const Cell> cells, const std::optional<Cell>& untrained) {
  return cells_tsv_with(
      cells, untrained,
      {.names = {"gradient_cosine_before", "gradient_cosine_after", "smallest_angle"}, .of = [](const Cell& cell) {
         return std::vector{mean_cosine(cell, "before"), mean_cosine(cell, "after"), smallest_angle(cell)};
       }});
}

std::string heatmap(const Heatmap& chart, const std::string& caption) {
  if (!has_gnuplot() || chart.rows.empty()) return "";
  return fmt::format("<figure><div class=\"wide\">{}</div><figcaption>{}</figcaption></figure>\n", draw(chart),
                     escape(caption));
}

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
  return heatmap(chart, "Accuracy of LoReFT, means over seeds. Each row is trained on one task, or on all.");
}

// From -1 to 1, put on the scale of 0 to 1.
std::string cosine_pictures(std::span<const Cell> cells) {
  std::string text;
  for (const char* variant : {"loreft", "csreft"}) {
    const auto some = cells_of(cells, variant);
    if (some.empty() || !some.front().summary.contains("measured")) continue;
    for (const char* when : {"before", "after"}) {
      const json& measured = some.front().summary["measured"][when];
      Heatmap chart{.id = fmt::format("cosine-{}-{}", variant, when),
                    .title = fmt::format("Gradients of tasks, {}, {} training: (1 + cosine) / 2", variant, when),
                    .x_label = "task",
                    .rows = {},
                    .columns = {},
                    .values = {}};
      for (const auto& task : measured["tasks"]) chart.rows.push_back(task.get<std::string>());
      chart.columns = chart.rows;
      for (const auto& row : measured["cosine"]) {
        auto& values = chart.values.emplace_back();
        for (const auto& value : row) values.push_back(value.is_number() ? (1.0 + value.get<double>()) / 2.0 : 0.5);
      }
      text += heatmap(
          chart, fmt::format("Over all parameters, seed {}: 1 where two tasks pull the same way, 0.5 where they have "
                             "nothing to do with each other, 0 where they pull apart.",
                             some.front().seed));
    }
  }
  return text;
}

std::string section(std::span<const Cell> cells) { return transfer_picture(cells) + cosine_pictures(cells); }

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
        "subspace, before and after training; the principal angles whether subspaces have become the same. Opposed "
        "tasks want contrary answers under two instructions; 0, 50 or 100 % of their texts are the same: each has a "
        "subspace of half "
        "the total rank, beside one subspace of all of it and LoRA of about as many parameters. Each method has the "
        "learning rate of one list with which its first seed did best on examples that it did not learn "
        "from: on all tasks, which those trained on one task share, and on opposed tasks with the same texts, "
        "which those with fewer share.",
    .variants = interference_variants,
    .reference = reference_of,
    .cells_table = cells_table,
    .section = section,
    .rates = "5e-4,2e-3,4e-3,8e-3",
    .rate_group = rate_group,
};

}  // namespace csreft
