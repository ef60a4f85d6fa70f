// Compares runs: a table, by how much each differs from the first and how sure that is, and their curves in one
// picture.
#include <algorithm>
#include <iterator>
#include <map>

#include "core/base/folder.h"
#include "core/base/split.h"
#include "core/base/version.h"
#include "experiments/cli/cli.h"
#include "experiments/cli/text_table.h"
#include "experiments/report/report.h"
#include "experiments/training/run_comparison.h"
#include "experiments/training/run_folder.h"
#include "experiments/training/run_list.h"
#include "experiments/training/scores.h"

namespace csreft {
namespace {

namespace fs = std::filesystem;

// A folder, or the name of a run as ./run runs lists it.
fs::path folder_of(const std::string& text) {
  std::error_code ignored;
  const fs::path listed = fs::path(runs_folder_name) / text;
  const fs::path folder = fs::exists(text, ignored) || !fs::exists(listed, ignored) ? fs::path(text) : listed;
  return folder.has_filename() ? folder : folder.parent_path();
}

// Each is called as its folder is, unless two are.
std::vector<RunRecord> read_runs(const std::vector<std::string>& texts) {
  std::vector<fs::path> folders;
  std::map<std::string, int> count;
  for (const auto& text : texts) {
    const fs::path folder = folder_of(text);
    const bool is_new = std::ranges::none_of(
        folders, [&](const fs::path& f) { return fs::weakly_canonical(f) == fs::weakly_canonical(folder); });
    require(is_new, "the run {} is named twice: expected each once", folder.string());
    folders.push_back(folder);
    ++count[folder.filename().string()];
  }
  std::vector<RunRecord> runs;
  for (const auto& folder : folders) {
    runs.push_back(read_run(folder));
    const std::string name = folder.filename().string();
    runs.back().name = count[name] == 1 ? name : folder.string();
  }
  return runs;
}

const TaskScore* find_score(const std::vector<TaskScore>& scores, const TaskScore& wanted) {
  const auto found = std::ranges::find_if(
      scores, [&](const TaskScore& s) { return s.task == wanted.task && s.metric == wanted.metric; });
  return found == scores.end() ? nullptr : &*found;
}

// Every task and metric that a run is scored on, once, with values of no run.
std::vector<TaskScore> tasks_of(const std::vector<RunRecord>& runs) {
  std::vector<TaskScore> tasks;
  for (const auto& run : runs) {
    std::ranges::copy_if(run.scores, std::back_inserter(tasks),
                         [&](const TaskScore& score) { return find_score(tasks, score) == nullptr; });
  }
  return tasks;
}

std::vector<std::string> metrics_of(const std::vector<TaskScore>& tasks) {
  std::vector<std::string> metrics;
  for (const auto& task : tasks) {
    if (std::ranges::find(metrics, task.metric) == metrics.end()) metrics.push_back(task.metric);
  }
  return metrics;
}

bool has_metric(const std::vector<TaskScore>& scores, const std::string& metric) {
  return std::ranges::any_of(scores, [&](const TaskScore& s) { return s.metric == metric && s.n > 0; });
}

std::string mean_text(const std::vector<TaskScore>& scores, const std::string& metric) {
  return has_metric(scores, metric) ? fmt::format("{:.3f}", mean_score(scores, metric)) : "-";
}

std::string table_of(const std::vector<RunRecord>& runs) {
  const auto tasks = tasks_of(runs);
  const auto metrics = metrics_of(tasks);
  std::vector<std::vector<std::string>> rows{{"run", "method", "parameters"}};
  for (const auto& task : tasks) rows[0].push_back(fmt::format("{} {}", task.task, task.metric));
  for (const auto& metric : metrics) rows[0].push_back("mean " + metric);
  rows[0].emplace_back("tokens/s");
  for (const auto& metric : metrics) rows[0].push_back("untrained " + metric);
  for (const auto& run : runs) {
    auto& row = rows.emplace_back();
    row = {run.is_finished ? run.name : run.name + " (unfinished)", run.method,
           run.trainable_parameters ? std::to_string(*run.trainable_parameters) : "-"};
    for (const auto& task : tasks) {
      const TaskScore* score = find_score(run.scores, task);
      row.push_back(score != nullptr ? fmt::format("{:.3f} (n = {})", score->value, score->n) : "-");
    }
    for (const auto& metric : metrics) row.push_back(mean_text(run.scores, metric));
    row.push_back(run.tokens_per_second > 0.0 ? fmt::format("{:.0f}", run.tokens_per_second) : "-");
    for (const auto& metric : metrics) row.push_back(mean_text(run.untrained, metric));
  }
  return text_table(rows);
}

// The options that are not the same in all runs: a column for each while these fit on a screen, else a line a run.
std::string options_text(const std::vector<RunRecord>& runs, const std::vector<std::string>& names) {
  constexpr std::size_t most_columns = 120;
  if (names.empty()) return "the runs have the same options\n";
  std::vector<std::vector<std::string>> rows{{"options that differ"}};
  rows[0].insert(rows[0].end(), names.begin(), names.end());
  std::string lines = "options that differ\n";
  for (const auto& run : runs) {
    auto& row = rows.emplace_back(std::vector{run.name});
    for (const auto& name : names) row.push_back(run.options.contains(name) ? run.options.at(name) : "-");
    lines += fmt::format("  {}: {}\n", run.name, describe(run.options, names));
  }
  const std::string table = text_table(rows);
  const auto table_lines = split(table, "\n");
  const auto fits = [](std::string_view line) { return line.size() <= most_columns; };
  return std::ranges::all_of(table_lines, fits) ? table : lines;
}

// Of one run from the first.
struct RunDifferences {
  const RunRecord* run;
  std::vector<ScoreDifference> differences;
};

std::string differences_text(const std::vector<RunDifferences>& all) {
  std::vector<std::vector<std::string>> rows{{"run", "task", "difference", "95 %", "error from"}};
  for (const auto& [run, differences] : all) {
    for (const auto& d : differences) {
      rows.push_back({run->name, d.task.empty() ? "mean " + d.metric : d.task,
                      fmt::format("{:+.3f}{}", d.value, d.error ? fmt::format(" +- {:.3f}", *d.error) : ""),
                      d.interval ? fmt::format("{:+.3f} to {:+.3f}", d.interval->low, d.interval->high) : "",
                      describe(d.source)});
    }
  }
  return rows.size() > 1 ? text_table(rows) : "no task that both runs were scored on by the same metric\n";
}

std::string number_text(const std::optional<double>& value) { return value ? fmt::format("{:.6f}", *value) : ""; }

// A line a score, and a line for each mean over tasks; "" stands for what is not known.
std::string tsv_of(const std::vector<RunRecord>& runs, const std::vector<RunDifferences>& all) {
  std::string text =
      "run\tmethod\ttrainable_parameters\ttokens_per_second\ttask\tmetric\tscore\tn\tuntrained\tdifference\t"
      "standard_error\tlow\thigh\terror_from\n";
  for (const auto& run : runs) {
    const auto own = std::ranges::find(all, &run, &RunDifferences::run);
    const auto line = [&](const TaskScore& score, const std::string& task, const std::optional<double>& untrained) {
      text += fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{:.6f}\t{}\t{}", run.name, run.method,
                          run.trainable_parameters ? std::to_string(*run.trainable_parameters) : "",
                          run.tokens_per_second > 0.0 ? fmt::format("{:.1f}", run.tokens_per_second) : "",
                          task.empty() ? "mean" : task, score.metric, score.value, score.n, number_text(untrained));
      const auto is_this = [&](const ScoreDifference& d) { return d.task == task && d.metric == score.metric; };
      if (own == all.end() || std::ranges::none_of(own->differences, is_this)) {
        text += "\t\t\t\t\t\n";
        return;
      }
      const auto& d = *std::ranges::find_if(own->differences, is_this);
      text += fmt::format("\t{:.6f}\t{}\t{}\t{}\t{}\n", d.value, number_text(d.error),
                          d.interval ? number_text(d.interval->low) : "",
                          d.interval ? number_text(d.interval->high) : "", describe(d.source));
    };
    for (const auto& score : run.scores) {
      const TaskScore* before = find_score(run.untrained, score);
      line(score, score.task, before != nullptr ? std::optional(before->value) : std::nullopt);
    }
    for (const auto& metric : metrics_of(run.scores)) {
      std::int64_t n = 0;
      for (const auto& score : run.scores) n += score.metric == metric ? score.n : 0;
      line({.task = {}, .metric = metric, .value = mean_score(run.scores, metric), .n = n}, "",
           has_metric(run.untrained, metric) ? std::optional(mean_score(run.untrained, metric)) : std::nullopt);
    }
  }
  return text;
}

void add_run(RunReport& report, const RunRecord& run) {
  if (run.trainable_parameters) {
    report.methods.push_back({.name = run.name,
                              .trainable_parameters = *run.trainable_parameters,
                              .percent = run.percent,
                              .percent_without_router = run.percent_without_router,
                              .tokens_per_second = run.tokens_per_second,
                              .seconds = run.seconds,
                              .peak_memory_bytes = run.peak_memory_bytes,
                              .train_loss = run.losses});
  }
  for (const auto& s : run.scores) report.scores.push_back({s.task, s.metric, run.name, s.value, s.n, std::nullopt});
  if (run.validation.empty()) return;
  RunReport::Validation curve{.method = run.name, .steps = {}, .cross_entropy = {}, .kept = run.kept_step};
  for (const auto& record : run.validation) {
    curve.steps.push_back(record.step);
    curve.cross_entropy.push_back(record.cross_entropy);
  }
  report.validations.push_back(std::move(curve));
}

// Of the first run that has it, for each task.
std::vector<TaskScore> untrained_of(const std::vector<RunRecord>& runs) {
  std::vector<TaskScore> scores;
  for (const auto& run : runs) {
    std::ranges::copy_if(run.untrained, std::back_inserter(scores),
                         [&](const TaskScore& score) { return find_score(scores, score) == nullptr; });
  }
  return scores;
}

RunReport report_of(const std::vector<RunRecord>& runs, const std::vector<RunDifferences>& all,
                    const std::vector<std::string>& differing, const std::string& command) {
  RunReport report;
  report.title = "Comparison of runs";
  report.command = command;
  for (const auto& s : untrained_of(runs)) {
    report.scores.push_back({s.task, s.metric, untrained_label, s.value, s.n, std::nullopt});
  }
  for (const auto& run : runs) {
    add_run(report, run);
    const std::string options = describe(run.options, differing);
    report.facts.emplace_back(run.name, fmt::format("{}{}{}{}", run.method, run.is_finished ? "" : ", unfinished",
                                                    options.empty() ? "" : "; ", options));
  }
  for (const auto& [run, differences] : all) {
    for (const auto& d : differences) {
      report.differences.push_back(
          {run->name, runs.front().name, d.task, d.metric, d.value, d.error, d.interval, describe(d.source)});
    }
  }
  report.facts.emplace_back("version", fmt::format("{} ({})", program_version(), program_commit()));
  return report;
}

}  // namespace

int compare(Arguments arguments) {
  std::vector<std::string> texts;
  std::string out;
  Flags flags("compare",
              "Compares runs on their test data, and each with the first: example by example where both have answered "
              "the same examples (answers.jsonl), else by their scores alone. Shows which of their options differ.",
              {"./run compare runs/train-20260101-120000 runs/train-20260101-130000",
               "./run compare first second third --out runs/compared"});
  flags.add_list("runs", texts,
                 "folders of runs or evaluations, or names that ./run runs lists; the first is what the "
                 "others are compared with",
                 "RUN");
  flags.add_path("--out", out, "where compare.tsv and compare.html go; empty: runs/compare-TIME", "FOLDER");
  if (!flags.parse(arguments)) return 0;
  require(texts.size() >= 2, "there are {} runs to compare: expected two or more", texts.size());
  begin_work();
  const auto runs = read_runs(texts);
  std::vector<RunDifferences> all;
  for (std::size_t i = 1; i < runs.size(); ++i) all.push_back({&runs[i], compare_runs(runs.front(), runs[i])});
  std::vector<RunOptions> options;
  for (const auto& run : runs) options.push_back(run.options);
  const auto differing = differing_options(options);
  fmt::print("{}\n{}\ndifferences from {}, with one standard error\n{}", table_of(runs), options_text(runs, differing),
             runs.front().name, differences_text(all));
  if (!out.empty()) make_folder(out);
  const fs::path folder = out.empty() ? make_dated_folder("compare") : fs::path(out);
  write_file_atomically(folder / "compare.tsv", tsv_of(runs, all));
  write_report(folder / "compare.html", report_of(runs, all, differing, flags.command()));
  fmt::print("\ntable: {}\nreport: {}\n", (folder / "compare.tsv").string(), (folder / "compare.html").string());
  return 0;
}

}  // namespace csreft
