// Tasks learnt one after the other: how each does after each.
#include <algorithm>
#include <limits>

#include "experiments/report/page.h"
#include "experiments/report/sections.h"
#include "experiments/tasks/scoring.h"

namespace csreft::sections {
namespace {

// How good each score of a matrix is, from 0 to 1: shares as they are, others between the worst and the best of them.
class Shading {
 public:
  explicit Shading(const RunReport::Sequence& sequence)
      : is_share_(is_share(sequence.metric)), more_is_better_(find_metric(sequence.metric).more_is_better) {
    for (const auto& row : sequence.scores) add(row);
    add(sequence.untrained);
  }

  double of(double score) const {
    if (is_share_) return score;
    if (!(least_ < most_)) return 0.0;
    const double place = (score - least_) / (most_ - least_);
    return more_is_better_ ? place : 1.0 - place;
  }

 private:
  void add(const std::vector<double>& row) {
    for (const double score : row) {
      least_ = std::min(least_, score);
      most_ = std::max(most_, score);
    }
  }

  bool is_share_, more_is_better_;
  double least_ = std::numeric_limits<double>::infinity(), most_ = -std::numeric_limits<double>::infinity();
};

// A measure of transfer, which says nothing of one task.
std::string measure(std::string_view name, const std::optional<double>& value, bool share) {
  if (!value) return "";
  return fmt::format(", {} {:+.{}f}", name, (share ? 100.0 : 1.0) * *value, share ? 1 : 3);
}

std::string caption(const RunReport::Sequence& sequence) {
  const bool share = is_share(sequence.metric);
  std::string text = fmt::format(
      "Columns: {} on the test examples of each task{}. Rows: after which task; the darker, "
      "the better.",
      escape(sequence.metric), share ? ", in %" : "");
  if (!sequence.measures) return text;
  const auto& [average, backward, forward, forgetting] = *sequence.measures;
  text += fmt::format(" After the last: mean {:.{}f}", (share ? 100.0 : 1.0) * average, share ? 1 : 3);
  text += measure("backward transfer", backward, share) + measure("forward transfer", forward, share) +
          measure("forgetting", forgetting, share) + ".";
  if (backward) {
    text +=
        " Backward transfer: the mean change of a task from when it was learnt to the end; forgetting: the mean loss "
        "since it did best.";
  }
  if (forward) text += " Forward transfer: the mean gain on a task before it is learnt, over the untrained model.";
  return text;
}

std::string row(const std::string& name, const std::vector<double>& scores, const RunReport::Sequence& sequence,
                const Shading& shading) {
  constexpr double darkest = 0.5;
  const bool share = is_share(sequence.metric);
  std::string cells = fmt::format("<tr><td>{}</td>", escape(name));
  for (const double score : scores) {
    cells += fmt::format("<td style=\"background:rgba(0,158,115,{:.2f})\">{:.{}f}</td>", darkest * shading.of(score),
                         (share ? 100.0 : 1.0) * score, share ? 1 : 3);
  }
  return cells + "</tr>\n";
}

std::string matrix(const RunReport::Sequence& sequence) {
  std::string head = fmt::format("<tr><th>{} after</th>", escape(sequence.method)), rows;
  for (const auto& task : sequence.tasks) head += fmt::format("<th>{}</th>", escape(task));
  const Shading shading(sequence);
  if (!sequence.untrained.empty()) rows += row("(untrained)", sequence.untrained, sequence, shading);
  for (std::size_t i = 0; i < sequence.scores.size(); ++i) {
    rows += row(sequence.tasks[i], sequence.scores[i], sequence, shading);
  }
  return fmt::format("<figure>{}<figcaption>{}</figcaption></figure>\n", table(head + "</tr>", rows),
                     caption(sequence));
}

}  // namespace

std::string sequences(const RunReport& report) {
  std::string matrices;
  for (const auto& sequence : report.sequences) matrices += matrix(sequence);
  return matrices.empty() ? "" : "<h2>One task after the other</h2>\n" + matrices;
}

}  // namespace csreft::sections
