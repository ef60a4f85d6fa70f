// What report.html shows of a run or a comparison.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "experiments/report/uncertainty.h"
#include "reft/interference.h"
#include "reft/transfer.h"

namespace csreft {

// What the untrained model is called among the methods of a report's scores.
inline constexpr const char* untrained_label = "untrained";

// What write_report shows. Parts without contents are left out.
struct RunReport {
  struct Method {
    std::string name;
    std::int64_t trainable_parameters{};
    double percent{};                 // of the base model's parameters
    double percent_without_router{};  // the same as percent where there is no router
    double tokens_per_second{};       // in training
    double seconds{};                 // of training
    std::size_t peak_memory_bytes{};
    std::vector<double> train_loss;  // cross-entropy of each step, in nats per supervised token
  };
  // The result of `method`, or of the untrained model (untrained_label), on n examples of a task.
  struct Score {
    std::string task;
    std::string metric;  // of tasks/scoring.h
    std::string method;
    double value{};
    std::int64_t n{};
    // Of the values of several seeds, of which `value` is the mean; none: one run.
    std::optional<double> deviation{};
  };
  struct Gates {
    std::string method;
    std::vector<std::string> tasks;
    std::vector<std::vector<double>> mean_alpha;  // [tasks][gates], 0 to 1
  };
  // How a method's gates came about: for each step, the mean gates of each task's examples in it (0 to 1).
  struct GateHistory {
    std::string method;
    std::vector<std::map<std::string, std::vector<double>>> steps;
  };
  // How a method did on validation data in training.
  struct Validation {
    std::string method;
    std::vector<std::int64_t> steps;    // after which it was measured, increasing
    std::vector<double> cross_entropy;  // then
    std::int64_t kept{};                // the step whose values were kept; 0: the last
  };
  struct Router {
    std::string method;
    RouterMeasures measures;
  };
  struct Sample {
    std::string prompt;
    std::vector<std::pair<std::string, std::string>> outputs;  // (label, text): before, then each method
    std::string expected;  // the answer: an output that is_correct (scoring.h) is marked
  };
  // Test examples that a method answers wrong.
  struct Mistakes {
    struct Example {
      std::string task, prompt, expected, output;
      std::vector<double> gates{};  // of the prompt; empty: none
    };
    std::string method;
    std::int64_t wrong{}, n{};        // of n examples
    std::vector<Example> examples{};  // some of them
  };
  // How tasks that a method learnt one after the other do after each.
  struct Sequence {
    std::string method, metric;
    std::vector<std::string> tasks;           // in the order of learning
    std::vector<std::vector<double>> scores;  // [tasks learnt so far][tasks]
    std::vector<double> untrained{};          // [tasks]; empty: not scored
    std::optional<Transfer> measures{};       // when all are learnt
  };
  // By how much a method's score is above that of another, `base`.
  struct Difference {
    std::string method, base;
    std::string task;  // empty: the mean over tasks
    std::string metric;
    double value{};
    std::optional<double> error{};       // one standard error of it
    std::optional<Interval> interval{};  // that it lies in, at 95 %
    std::string kind;                    // how the error was found, in a few words
  };

  std::string title;
  std::string about;    // a paragraph on what is compared and why
  std::string section;  // HTML that follows it; empty: none
  std::string command;  // repeats the run when typed into a shell
  std::string model;
  std::vector<std::pair<std::string, std::string>> facts;  // device, threads, seed, ...
  std::vector<Method> methods;
  std::vector<Score> scores;
  std::vector<Validation> validations;
  std::vector<Gates> gates;
  std::vector<GateHistory> gate_histories;
  std::vector<Router> routers;
  std::vector<Sample> samples;
  std::vector<Mistakes> mistakes{};
  std::vector<Difference> differences{};
  std::vector<Sequence> sequences{};
  bool interrupted{};
};

}  // namespace csreft
