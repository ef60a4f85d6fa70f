// The command line: one table of experiments, one way to parse flags, one way to fail.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/atomic_file.h"
#include "core/base/error.h"

// CLI11's headers take seconds to compile: include them where members of an Option are called.
namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace csreft {

using Arguments = std::span<const std::string>;

// A word as a shell must be given it.
std::string shell_quoted(const std::string& word);

// How the user starts this programme: the path CSREFT_COMMAND, which a bundle sets, as a shell must be given it, or
// ./run.
std::string command_name();

// The exit code of a command that Ctrl-C stopped.
inline constexpr int interrupted_exit = 130;

struct Experiment {
  std::string_view name;
  std::string_view summary;
  // Returns the exit code. Errors are thrown.
  int (*run)(Arguments arguments);
  // Whether several processes that a launcher (mpirun, srun) has started at once share the work.
  bool on_ranks = false;
};

// The table, in experiments/main.cpp. To add an experiment: a file beside it, and a line there.
std::span<const Experiment> experiments();

// What begin_work() throws: a command that is only to be checked has passed.
struct CheckPassed {};

// Every command calls it where its flags are known to be right, before it writes, computes or waits for anything.
// Throws CheckPassed where only a check is wanted (the variable CSREFT_CHECK).
void begin_work();

// The flags of one experiment. `examples` are whole command lines from ./run on, which the help ends with.
class Flags {
 public:
  Flags(std::string_view name, std::string_view summary, std::vector<std::string> examples);
  ~Flags();

  // A flag with a value, a text or a number; its default is what `value` holds, and the help shows it.
  template <typename T>
  CLI::Option* add(const std::string& flag, T& value, const std::string& help);
  // A text without which there is nothing to do: a flag, or by a name without dashes a word by itself. `expected` says
  // in errors what it may be.
  void add_required(const std::string& flag, std::string& value, const std::string& help, const std::string& expected);
  // A flag that names a file or a folder: its help says so.
  void add_path(const std::string& flag, std::string& value, const std::string& help, const std::string& kind = "FILE");
  // A flag that may be given more than once, or be followed by several values.
  CLI::Option* add_list(const std::string& flag, std::vector<std::string>& values, const std::string& help,
                        const std::string& kind = "FILE");
  // "--x", or "--x,!--no-x": then the help shows what `value` holds.
  CLI::Option* add_switch(const std::string& flag, bool& value, const std::string& help);
  // A flag that hands its text on; the help shows `value` as its default.
  void add_described(const std::string& flag, const std::string& help, const std::string& value,
                     const std::function<void(const std::string&)>& on_text);
  // "--x" and "--no-x".
  void add_described_switch(const std::string& flag, const std::string& help, const std::string& value,
                            std::function<void(bool)> on_switch);
  // An older name of a flag ("--tests,--limit"), which goes on to work and is not shown.
  void hide(const std::string& name) { hidden_.push_back(name); }
  // The heading under which the help lists the flags added from here on.
  void group(std::string heading) { group_ = std::move(heading); }

  // False if help was asked for, and printed. Where only a check is wanted, goes on to the files that flags name.
  // Throws Error for an unknown flag (and suggests the nearest), a word that belongs to no flag, a missing or
  // ill-formed value, a flag that is given twice, a required one that is not there, or a file of --config with another
  // key than flags or a value of another type.
  bool parse(Arguments arguments);
  // Those that were parsed, with what the file of --config says in its place.
  Arguments arguments() const { return arguments_; }
  // Whether the experiment has the flag and the user gave it.
  bool given(const std::string& flag) const;
  // All that the user gave, with their dashes.
  std::vector<std::string> given() const;
  // The command that repeats this run.
  const std::string& command() const { return command_; }

 private:
  std::vector<std::string_view> flag_names() const;
  [[noreturn]] void refuse_extra(const std::string& word) const;
  [[noreturn]] void refuse_count(const std::string& message) const;
  void check_required() const;
  void check_files() const;
  std::string help() const;

  std::unique_ptr<CLI::App> app_;
  std::string name_;
  std::string group_ = "Options";
  std::string command_, config_;
  std::vector<std::string> arguments_, hidden_;
  std::vector<std::pair<const CLI::Option*, std::string>> required_;  // with what each may be
};

// The file that --out or --json names, opened before any work, so that a bad place is found at once; null for "".
std::unique_ptr<AtomicFile> open_output(const std::string& path);
// Writes and closes it; nothing if it is null.
void write_output(const std::unique_ptr<AtomicFile>& file, std::string_view text);

// The text with a space for each control character, so that an error stays one line whatever a name in it holds.
std::string one_line(std::string text);

}  // namespace csreft
