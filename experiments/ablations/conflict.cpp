#include "experiments/ablations/conflict.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "experiments/report/figure.h"
#include "experiments/training/gradients.h"
#include "reft/interference.h"

namespace csreft {
namespace {

using nlohmann::json;

constexpr std::int64_t most_examples = 16;
constexpr const char* moments[] = {"before", "after"};

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

// A task's gradients on two sets of examples; `second` is `first` where the task has but one example.
struct TaskGradients {
  std::vector<Tensor> first, second;
  bool are_apart = false;
};

TaskGradients gradients_of(const LanguageModel& model, const Method& method, const Task& task) {
  const std::int64_t n = std::min(most_examples, std::ssize(task.examples) / 2);
  const std::int32_t index = method.task_index(task_stem(task.name));
  TaskGradients out;
  out.are_apart = n > 0;
  out.first = task_gradient(model, method, task, {0, std::max<std::int64_t>(n, 1)}, index, "");
  out.second = n > 0 ? task_gradient(model, method, task, {n, n}, index, "") : out.first;
  return out;
}

// Of every two tasks, of the part of their gradients that `part` takes.
template <typename Part>
json cosines(const std::vector<TaskGradients>& gradients, const Part& part) {
  json rows = json::array();
  for (std::size_t a = 0; a < gradients.size(); ++a) {
    json row = json::array();
    for (std::size_t b = 0; b < gradients.size(); ++b) {
      const bool has_two_sets = a != b || gradients[a].are_apart;
      const auto value = has_two_sets ? cosine(part(gradients[a].first), part(gradients[b].second)) : std::nullopt;
      row.push_back(value ? json(*value) : json());
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

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

// What was measured of a cell, or null.
const json* measured_of(const Cell& cell, const char* moment) {
  return cell.summary.contains("measured") ? &cell.summary["measured"][moment] : nullptr;
}

// Over the pairs of tasks, or over the tasks with themselves; empty where no such cosine is known.
std::string mean_cosine(const Cell& cell, const char* moment, bool with_itself) {
  const json* measured = measured_of(cell, moment);
  if (measured == nullptr) return "";
  const json& matrix = (*measured)["cosine"];
  double sum = 0.0, n = 0.0;
  for (std::size_t a = 0; a < matrix.size(); ++a) {
    for (std::size_t b = 0; b < matrix.size(); ++b) {
      if ((a == b) != with_itself || !matrix[a][b].is_number()) continue;
      sum += matrix[a][b].get<double>();
      ++n;
    }
  }
  return n > 0.0 ? fmt::format("{:.4f}", sum / n) : "";
}

std::string smallest_angle(const Cell& cell) {
  const json* measured = measured_of(cell, "after");
  if (measured == nullptr || !measured->contains("principal_angles")) return "";
  double smallest = 90.0;
  for (const auto& place : (*measured)["principal_angles"]) {
    for (const auto& pair : place) smallest = std::min(smallest, pair["degrees"].front().get<double>());
  }
  return fmt::format("{:.2f}", smallest);
}

std::string cosine_lines(const std::string& beginning, const json& tasks, const json& matrix) {
  std::string lines;
  for (std::size_t a = 0; a < matrix.size(); ++a) {
    for (std::size_t b = 0; b < matrix.size(); ++b) {
      lines += fmt::format("{}\t{}\t{}\t{}\n", beginning, tasks[a].get<std::string>(), tasks[b].get<std::string>(),
                           matrix[a][b].is_number() ? fmt::format("{:.4f}", matrix[a][b].get<double>()) : "");
    }
  }
  return lines;
}

// From -1 to 1, put on the scale of 0 to 1; what is not known stays so.
Heatmap cosine_chart(const json& measured, const std::string& variant, const char* moment) {
  Heatmap chart{.id = fmt::format("cosine-{}-{}", variant, moment),
                .title = fmt::format("Gradients of tasks, {}, {} training: (1 + cosine) / 2", variant, moment),
                .x_label = "task, on other examples",
                .rows = {},
                .columns = {},
                .values = {}};
  for (const auto& task : measured["tasks"]) chart.rows.push_back(task.get<std::string>());
  chart.columns = chart.rows;
  for (const auto& row : measured["cosine"]) {
    auto& values = chart.values.emplace_back();
    for (const auto& value : row) {
      values.push_back(value.is_number() ? (1.0 + value.get<double>()) / 2.0
                                         : std::numeric_limits<double>::quiet_NaN());
    }
  }
  return chart;
}

}  // namespace

json measure_conflict(const LanguageModel& model, const Method& method, const TaskSet& tasks) {
  const auto parameters = method.parameters();
  std::vector<TaskGradients> gradients;
  json names = json::array();
  for (const auto& task : tasks.train) {
    names.push_back(task_stem(task.name));
    gradients.push_back(gradients_of(model, method, task));
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

FurtherColumns conflict_columns() {
  return {.names = {"gradient_cosine_before", "gradient_cosine_after", "own_cosine_before", "own_cosine_after",
                    "smallest_angle"},
          .of = [](const Cell& cell) {
            return std::vector{mean_cosine(cell, "before", false), mean_cosine(cell, "after", false),
                               mean_cosine(cell, "before", true), mean_cosine(cell, "after", true),
                               smallest_angle(cell)};
          }};
}

std::string cosines_tsv(std::span<const Cell> cells) {
  std::string text = "variant\tseed\twhen\tpart\ttask\tother\tcosine\n";
  for (const auto& cell : cells) {
    for (const char* moment : moments) {
      const json* measured = measured_of(cell, moment);
      if (measured == nullptr) continue;
      const auto lines = [&](const std::string& part, const json& matrix) {
        text += cosine_lines(fmt::format("{}\t{}\t{}\t{}", cell.variant, cell.seed, moment, part), (*measured)["tasks"],
                             matrix);
      };
      lines("all", (*measured)["cosine"]);
      for (const auto& [layer, matrix] : (*measured)["cosine_by_layer"].items()) lines("layer " + layer, matrix);
      std::size_t subspace = 0;
      for (const auto& matrix : (*measured)["cosine_by_subspace"]) {
        lines(fmt::format("subspace {}", ++subspace), matrix);
      }
    }
  }
  return text;
}

std::string cosine_pictures(std::span<const Cell> cells, std::span<const std::string_view> variants) {
  std::string text;
  for (const auto variant : variants) {
    const auto some = cells_of(cells, variant);
    for (const char* moment : moments) {
      const json* measured = some.empty() ? nullptr : measured_of(some.front(), moment);
      if (measured == nullptr) continue;
      text += figure(cosine_chart(*measured, std::string(variant), moment),
                     fmt::format("Over all parameters, seed {}: 1 where two tasks pull the same way, 0.5 where they "
                                 "have nothing to do with each other, 0 where they pull apart. A row and a column are "
                                 "of different examples, also of one task: what it has with itself is the most that "
                                 "these few examples could show of any two.",
                                 some.front().seed));
    }
  }
  return text;
}

}  // namespace csreft
