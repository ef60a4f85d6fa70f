#include "experiments/harness/metrics.h"

#include <sstream>

#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/json_file.h"

namespace csreft {

std::string metrics_line(const StepMetrics& m) {
  return nlohmann::json{{"step", m.step},
                        {"loss", m.loss},
                        {"cross_entropy", m.cross_entropy},
                        {"penalty", m.penalty},
                        {"gradient_norm", m.gradient_norm},
                        {"lr", m.lr},
                        {"tokens", m.tokens},
                        {"seconds", m.seconds}}
             .dump() +
         "\n";
}

std::vector<StepMetrics> read_metrics(const std::filesystem::path& file) {
  std::istringstream lines(read_text_file(file));
  std::vector<StepMetrics> out;
  for (std::string line; std::getline(lines, line);) {
    const std::string where = fmt::format("{}, line {}", file.string(), out.size() + 1);
    const auto json = parse_json_object(line, where);
    out.push_back({.step = get_json<std::int64_t>(json, "step", where),
                   .loss = get_json<double>(json, "loss", where),
                   .cross_entropy = get_json<double>(json, "cross_entropy", where),
                   .penalty = get_json<double>(json, "penalty", where),
                   .gradient_norm = get_json<double>(json, "gradient_norm", where),
                   .lr = get_json<double>(json, "lr", where),
                   .tokens = get_json<std::int64_t>(json, "tokens", where),
                   .seconds = get_json<double>(json, "seconds", where)});
  }
  return out;
}

}  // namespace csreft
