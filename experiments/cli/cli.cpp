#include "experiments/cli/cli.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <type_traits>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "core/base/nearest.h"
#include "core/base/temporary.h"
#include "experiments/cli/config_flags.h"
#include "experiments/cli/terminal.h"

namespace csreft {

std::string shell_quoted(const std::string& word) {
  if (!word.empty() && word.find_first_of(" \t\n'\"\\$&|;<>()*?[]#~`{}!") == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

namespace {

constexpr std::string_view default_command = "./run";
constexpr std::size_t description_column = 34;  // of a help page

// CLI11 marks the opposite of a switch, which the reader can see; what follows in the line keeps its column.
std::string without_marks(std::string help) {
  constexpr std::string_view mark = "{false}";
  for (std::size_t at = 0; (at = help.find(mark, at)) != std::string::npos;) {
    help.erase(at, mark.size());
    const bool text_follows = at < help.size() && help[at] == ' ';
    if (text_follows) help.insert(at, mark.size(), ' ');
  }
  return help;
}

// `name`, which CLI11 lists behind a flag's own, taken out; what follows in the line keeps its column.
void take_out(std::string& help, const std::string& name) {
  const std::string text = "," + name + " ";
  const std::size_t at = help.find(text);
  if (at == std::string::npos) return;
  help.erase(at, text.size() - 1);
  const std::size_t end = help.find('\n', at), gap = help.find("  ", at);
  if (gap < end) help.insert(gap, text.size() - 1, ' ');
}

// CLI11 ends a group of flags, and begins the next, with a blank line: one of the two.
std::string without_double_blanks(std::string text) {
  constexpr std::string_view two = "\n\n\n";
  for (std::size_t at = 0; (at = text.find(two, at)) != std::string::npos;) text.erase(at, 1);
  return text;
}

// Whether a value names a file or a folder, as by a / or an extension, that is not there: by itself, or as NAME=FILE.
bool is_missing(const std::string& text) {
  const std::filesystem::path path(text), named(text.substr(text.find('=') + 1));
  double number = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return false;
  std::error_code ignored;
  return (text.find('/') != std::string::npos || path.has_extension()) && !std::filesystem::exists(path, ignored) &&
         !std::filesystem::exists(named, ignored);
}

// What the option that CLI11's "Could not convert: NAME = VALUE" speaks of takes.
std::string expected_value(const CLI::App& app, const std::string& text) {
  const std::size_t begin = text.find(": ") + 2;
  const auto* const option = app.get_option_no_throw(text.substr(begin, text.find(" = ") - begin));
  const std::string type = option != nullptr ? option->get_type_name() : "";
  if (type == "FLOAT") return "a number";
  if (type == "INT") return "a whole number";
  return type == "UINT" ? "a whole number of 0 or more" : "another value";
}

CLI::Validator not_less_than_zero() {
  const auto check = [](const std::string& text) {
    return text.starts_with('-') ? text + " is less than 0" : std::string();  // else it would be a large number
  };
  return {check, /*description=*/""};
}

// Whether the script that starts this programme asks, before a build, what an older one thinks of a command.
bool only_checks() {
  const char* check = std::getenv("CSREFT_CHECK");
  return check != nullptr && *check != '\0';
}

}  // namespace

std::string command_name() {
  const char* name = std::getenv("CSREFT_COMMAND");
  return name != nullptr && *name != '\0' ? shell_quoted(name) : std::string(default_command);
}

Flags::Flags(std::string_view name, std::string_view summary, std::vector<std::string> examples)
    : app_(std::make_unique<CLI::App>(std::string(summary), fmt::format("{} {}", command_name(), name))), name_(name) {
  app_->get_formatter()->column_width(description_column);
  app_->set_help_flag("-h,--help", "this text")->group("Options");
  app_->add_option("--config", config_,
                   "take flags from this JSON object, as {\"seed\": 1, \"test\": [\"a.json\", \"b.json\"]}, or from a "
                   "run's config.json; those that are given here take the place of the file's")
      ->type_name("FILE")
      ->group("Options");
  std::string footer = "Examples:";
  for (auto& example : examples) {
    if (example.starts_with(default_command)) example.replace(0, default_command.size(), command_name());
    footer += "\n  " + example;
  }
  app_->footer(footer);
}

Flags::~Flags() = default;

template <typename T>
CLI::Option* Flags::add(const std::string& flag, T& value, const std::string& help) {
  CLI::Option* option = app_->add_option(flag, value, help)->capture_default_str()->group(group_);
  if constexpr (std::is_unsigned_v<T>) option->check(not_less_than_zero());
  return option;
}
template CLI::Option* Flags::add(const std::string&, std::string&, const std::string&);
template CLI::Option* Flags::add(const std::string&, int&, const std::string&);
template CLI::Option* Flags::add(const std::string&, std::int64_t&, const std::string&);
template CLI::Option* Flags::add(const std::string&, std::uint64_t&, const std::string&);
template CLI::Option* Flags::add(const std::string&, double&, const std::string&);

void Flags::add_required(const std::string& flag, std::string& value, const std::string& help,
                         const std::string& expected) {
  required_.emplace_back(add(flag, value, help)->required(), expected);
}

void Flags::add_path(const std::string& flag, std::string& value, const std::string& help, const std::string& kind) {
  add(flag, value, help)->type_name(kind);
}

CLI::Option* Flags::add_list(const std::string& flag, std::vector<std::string>& values, const std::string& help,
                             const std::string& kind) {
  return app_->add_option(flag, values, help)->group(group_)->type_name(kind);
}

CLI::Option* Flags::add_switch(const std::string& flag, bool& value, const std::string& help) {
  const bool has_opposite = flag.find('!') != std::string::npos;
  const std::string_view state = !has_opposite ? "" : value ? " (default: on)" : " (default: off)";
  return app_->add_flag(flag, value, fmt::format("{}{}", help, state))->group(group_);
}

void Flags::add_described(const std::string& flag, const std::string& help, const std::string& value,
                          const std::function<void(const std::string&)>& on_text) {
  app_->add_option_function<std::string>(flag, on_text, help)->group(group_)->default_str(value)->type_name("");
}

void Flags::add_described_switch(const std::string& flag, const std::string& help, const std::string& value,
                                 std::function<void(bool)> on_switch) {
  const std::string names = fmt::format("{},!--no-{}", flag, flag.substr(2));
  app_->add_flag_function(
          names, [on_switch = std::move(on_switch)](std::int64_t count) { on_switch(count > 0); },
          fmt::format("{} (default: {})", help, value))
      ->group(group_);
}

std::vector<std::string_view> Flags::flag_names() const {
  std::vector<std::string_view> names;
  for (const auto* option : app_->get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back(name);
  }
  return names;
}

bool Flags::given(const std::string& flag) const {
  const auto* option = app_->get_option_no_throw(flag);
  return option != nullptr && option->count() > 0;
}

std::vector<std::string> Flags::given() const {
  std::vector<std::string> flags;
  for (const auto* option : app_->get_options()) {
    if (option->count() > 0) flags.push_back(option->get_name());
  }
  return flags;
}

void Flags::refuse_extra(const std::string& word) const {
  require(word.starts_with('-'),
          "the word '{}' belongs to no flag: expected flags and their values, those of several words in quotes; {} {} "
          "--help lists them",
          word, command_name(), name_);
  const auto names = flag_names();
  const std::string bare = word.substr(std::min(word.find_first_not_of('-'), word.size()));
  const std::string_view near = nearest(bare.substr(0, bare.find('=')), names);
  fail("unknown flag {}{}: expected one of those that {} {} --help lists", word,
       near.empty() ? "" : fmt::format(" (did you mean --{}?)", near), command_name(), name_);
}

// CLI11's message begins with the flag's name and a colon.
void Flags::refuse_count(const std::string& message) const {
  const std::string flag = message.substr(0, message.find(':'));
  const auto* const option = app_->get_option_no_throw(flag);
  const std::size_t given = option != nullptr ? option->count() : 0;
  require(given < 2, "{} is given {} times: expected once", flag, given);
  const std::string type = option != nullptr ? option->get_type_name() : "";
  fail("{} has no value: expected {}", flag, type.empty() ? "one after it" : flag + " " + type);
}

void Flags::check_required() const {
  for (const auto& [option, expected] : required_) {
    require(option->count() > 0, "{} is missing: expected {}", option->get_name(), expected);
  }
}

void Flags::check_files() const {
  constexpr std::array<std::string_view, 3> kinds{"FILE", "FOLDER", "MODEL"};
  constexpr std::array<std::string_view, 2> written{"--out", "--json"};
  for (const auto* option : app_->get_options()) {
    if (std::ranges::find(kinds, option->get_type_name()) == kinds.end()) continue;
    if (std::ranges::find(written, option->get_name()) != written.end()) continue;
    for (const auto& value : option->results()) {
      require(!is_missing(value), "there is no {}: expected a file or a folder for {}", value, option->get_name());
    }
  }
}

std::string Flags::help() const {
  std::string text = without_double_blanks(without_marks(app_->help()));
  for (const auto& name : hidden_) take_out(text, name);
  if (::isatty(STDOUT_FILENO) == 0) return text;  // whoever reads it may search it by lines
  return wrapped_help(text, description_column, terminal_width(stdout));
}

bool Flags::parse(Arguments arguments) {
  arguments_ = with_config(arguments, *app_);
  command_ = command_name() + " " + name_;
  for (const auto& argument : arguments_) command_ += " " + shell_quoted(argument);
  // CLI11 takes the words from the back.
  std::vector<std::string> reversed(arguments_.rbegin(), arguments_.rend());
  try {
    app_->parse(reversed);
  } catch (const CLI::CallForHelp&) {
    fmt::print("{}", help());
    return false;
  } catch (const CLI::ExtrasError&) {
    refuse_extra(app_->remaining().front());
  } catch (const CLI::ArgumentMismatch& error) {
    refuse_count(one_line(error.what()));
  } catch (const CLI::RequiredError&) {
    check_required();
    throw;
  } catch (const CLI::ConversionError& error) {
    fail("{}: expected {}", one_line(error.what()), expected_value(*app_, error.what()));
  } catch (const CLI::ParseError& error) {
    fail("{}: expected what {} {} --help says", one_line(error.what()), command_name(), name_);
  }
  if (only_checks()) check_files();
  return true;
}

void begin_work() {
  if (only_checks()) throw CheckPassed();
}

std::string one_line(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) c = ' ';
  }
  return text;
}

std::unique_ptr<AtomicFile> open_output(const std::string& path) {
  if (path.empty()) return nullptr;
  remove_abandoned(path);
  return std::make_unique<AtomicFile>(path);
}

void write_output(const std::unique_ptr<AtomicFile>& file, std::string_view text) {
  if (file == nullptr) return;
  file->write(text);
  file->commit();
}

}  // namespace csreft
