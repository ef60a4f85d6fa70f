// csreft NAME [flags]: runs an experiment of the table.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "core/base/nearest.h"
#include "core/base/split.h"
#include "core/ranks/launcher.h"
#include "experiments/cli/cli.h"

namespace csreft {

int quickstart(Arguments arguments);
int train(Arguments arguments);
int evaluate_model(Arguments arguments);
int generate_text(Arguments arguments);
int chat(Arguments arguments);
int inspect(Arguments arguments);
int list_runs(Arguments arguments);
int compare(Arguments arguments);
int merge(Arguments arguments);
int make_random(Arguments arguments);
int table1(Arguments arguments);
int ablate(Arguments arguments);
int bench(Arguments arguments);
int gpu_check(Arguments arguments);
int roofline(Arguments arguments);
int soak_training(Arguments arguments);

namespace {

constexpr std::array table{
    Experiment{"quickstart", "a small chat model learns four word skills: CS-ReFT against LoReFT, with a report",
               quickstart},
    Experiment{"train", "fine-tune a model with one method on your tasks", train,
               /*on_ranks=*/true},
    Experiment{"evaluate", "score a model, with or without an adapter, on tasks", evaluate_model},
    Experiment{"generate", "continue a prompt, or answer a file of instructions", generate_text},
    Experiment{"chat", "a conversation with a model in the terminal, the base model's answers beside its adapter's",
               chat},
    Experiment{"runs", "list the runs that are here: what was trained on what, how well, and whether it is finished",
               list_runs},
    Experiment{"compare", "tables and pictures of several runs, and how sure the differences between them are",
               compare},
    Experiment{"inspect", "what an adapter does to one prompt: gates, edits, hidden states, next token", inspect},
    Experiment{"merge", "write a model with a LoRA adapter merged into its weights as a Hugging Face folder", merge},
    Experiment{"make-random", "write a model of a known shape with random weights as a Hugging Face folder",
               make_random},
    Experiment{"table1", "every method on your tasks, each at its best learning rate: the paper's Table 1", table1,
               /*on_ranks=*/true},
    Experiment{"ablate", "compare variants over seeds in one command", ablate, /*on_ranks=*/true},
    Experiment{"bench", "measure this machine, and the project against it", bench},
    Experiment{"gpu-check", "run the tests on a CUDA device, and measure the project against what the card can do",
               gpu_check},
    Experiment{"roofline", "the least time of a training step of Llama-2-7B on two cards: an estimate", roofline},
    Experiment{"soak", "train a small model for very many steps: whether memory, speed and orthonormal matrices last",
               soak_training},
};

int list_experiments() {
  fmt::print("{0} NAME [flags]; {0} NAME --help lists the flags of each.\n\n", command_name());
  for (const auto& experiment : table) fmt::print("  {:<12} {}\n", experiment.name, experiment.summary);
  return 0;
}

// Names the experiments, and the commands of the script that started this programme: CSREFT_COMMANDS, by commas.
[[noreturn]] void refuse(std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& experiment : table) names.push_back(experiment.name);
  const char* const others = std::getenv("CSREFT_COMMANDS");
  const auto commands = others != nullptr ? split(others) : std::vector<std::string_view>();
  names.insert(names.end(), commands.begin(), commands.end());
  fail_unknown("command", name, names);
}

int run(Arguments arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h") return list_experiments();
  const auto found = std::ranges::find(table, arguments[0], &Experiment::name);
  if (found == table.end()) refuse(arguments[0]);
  if (!found->on_ranks) require_one_process(fmt::format("{} is the work of one", found->name));
  return found->run(arguments.subspan(1));
}

}  // namespace

std::span<const Experiment> experiments() { return table; }

}  // namespace csreft

int main(int argc, char** argv) {
  constexpr int usage_error = 2;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  try {
    const int code = csreft::run(arguments);
    const bool is_written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
    csreft::require(is_written, "cannot write to the standard output: {}", std::strerror(errno));
    return code;
  } catch (const csreft::CheckPassed&) {
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", csreft::one_line(error.what()));
    return usage_error;
  }
}
