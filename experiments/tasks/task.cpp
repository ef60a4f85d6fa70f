#include "experiments/tasks/task.h"

#include <algorithm>
#include <cctype>

#include <nlohmann/json.hpp>

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/hash.h"

namespace csreft {
namespace {

using nlohmann::json;

constexpr std::string_view whitespace = " \t\r\n\v\f";

// `first_line` is the line of the file on which `text` starts, from 1.
json parse(std::string_view text, std::int64_t first_line, const std::filesystem::path& path) {
  try {
    return json::parse(text);
  } catch (const json::out_of_range&) {
    fail("a number in {}, line {} or later, is out of range: expected finite numbers", path.string(), first_line);
  } catch (const json::parse_error& error) {
    const std::size_t read = std::min(error.byte, text.size());
    const std::string_view before = text.substr(0, read > 0 ? read - 1 : 0);
    const auto line = first_line + std::count(before.begin(), before.end(), '\n');
    const std::size_t last_break = before.rfind('\n');
    const std::size_t column = before.size() - (last_break == before.npos ? 0 : last_break + 1) + 1;
    fail("broken JSON in {}, line {}, column {}{}: expected a list, or one object a line", path.string(), line, column,
         error.byte > text.size() ? " (the text ends here)" : "");
  }
}

const std::string& text_of(const json& element, const char* key, const std::string& where) {
  const auto found = element.find(key);
  require(found != element.end(), "no \"{}\" in {}: expected {{instruction, input, output[, answer]}}", key, where);
  require(found->is_string(), "\"{}\" is a {} in {}: expected a string", key, found->type_name(), where);
  return found->get_ref<const std::string&>();
}

// A name, or a list of names.
std::vector<std::string> names_of(const json& element, const char* key, const std::string& where) {
  const json& value = element.at(key);
  if (value.is_string()) return {value.get<std::string>()};
  require(value.is_array() && std::ranges::all_of(value, [](const json& name) { return name.is_string(); }),
          "\"{}\" is {} in {}: expected a name or a list of names", key, value.dump(), where);
  return value.get<std::vector<std::string>>();
}

Example read_example(const json& element, std::size_t index, const std::filesystem::path& path, Outputs outputs) {
  const std::string where = fmt::format("element {} of {}", index, path.string());
  require(element.is_object(), "{} is a {}: expected an object {{instruction, input, output[, answer]}}", where,
          element.type_name());
  Example example;
  example.instruction = text_of(element, "instruction", where);
  if (outputs == Outputs::required || element.contains("output")) example.output = text_of(element, "output", where);
  if (element.contains("input")) example.input = text_of(element, "input", where);
  if (element.contains("dataset")) example.dataset = text_of(element, "dataset", where);
  require(outputs == Outputs::optional || !element.contains("adapter"),
          "\"adapter\" in {} has no effect: only generate --data answers each example with adapters of its own", where);
  if (element.contains("adapter")) example.adapters = names_of(element, "adapter", where);
  if (element.contains("answer")) example.answer = text_of(element, "answer", where);
  return example;
}

std::vector<json> read_lines(std::string_view text, const std::filesystem::path& path) {
  std::vector<json> elements;
  for (std::int64_t line = 1; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view content = text.substr(0, end);
    if (content.find_first_not_of(whitespace) != content.npos) elements.push_back(parse(content, line, path));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return elements;
}

}  // namespace

Task load_task(const std::filesystem::path& path, Outputs outputs) {
  const std::string text = read_text_file(path);
  const std::size_t start = std::min(text.find_first_not_of(whitespace), text.size());
  std::vector<json> elements;
  if (start < text.size() && text[start] == '{') {
    elements = read_lines(text, path);
  } else if (start < text.size()) {
    json document = parse(text, 1, path);
    require(document.is_array(), "{} holds a {}: expected a list of examples, or one object a line", path.string(),
            document.type_name());
    elements = document.get<std::vector<json>>();
  }
  require(!elements.empty(), "no examples in {}: expected at least one", path.string());

  Task task{.name = path.stem().string(), .examples = {}};
  task.examples.reserve(elements.size());
  for (std::size_t i = 0; i < elements.size(); ++i)
    task.examples.push_back(read_example(elements[i], i, path, outputs));
  return task;
}

std::vector<Task> load_tasks(const std::vector<std::string>& files) {
  std::vector<Task> tasks;
  for (const auto& file : files) {
    tasks.push_back(load_task(file));
    for (std::size_t i = 0; i + 1 < tasks.size(); ++i) {
      require(tasks[i].name != tasks.back().name, "two files are named {}: expected names that tell tasks apart",
              tasks.back().name);
    }
  }
  return tasks;
}

bool has_answers(const Task& task) {
  return std::ranges::all_of(task.examples, [](const Example& e) { return e.answer.has_value(); });
}

std::uint64_t content_hash(const Task& task) {
  std::uint64_t hash = fnv1a_start;
  for (const auto& e : task.examples) {
    for (const auto& text : {e.instruction, e.input, e.output, e.answer.value_or("")}) hash = fnv1a(text + '\n', hash);
  }
  return hash;
}

std::string task_stem(std::string_view name) {
  for (const std::string_view suffix : {".train", ".test"}) {
    if (name.size() > suffix.size() && name.ends_with(suffix)) name.remove_suffix(suffix.size());
  }
  return std::string(name);
}

std::vector<std::string> task_stems(std::span<const Task> tasks) {
  std::vector<std::string> stems;
  for (const auto& task : tasks) {
    if (std::string stem = task_stem(task.name); std::ranges::find(stems, stem) == stems.end()) {
      stems.push_back(std::move(stem));
    }
  }
  return stems;
}

namespace {

// The length of the longest start that all instructions share and that ends with a whole word, of `text` as far as it
// is shared; from_end: of the longest end that starts with one.
std::size_t shared_length(std::span<const Example> examples, bool from_end) {
  const std::string& first = examples.front().instruction;
  const auto at = [from_end](const std::string& text, std::size_t i) {
    return text[from_end ? text.size() - 1 - i : i];
  };
  std::size_t length = first.size();
  for (const auto& e : examples) {
    std::size_t same = 0;
    while (same < std::min(length, e.instruction.size()) && at(e.instruction, same) == at(first, same)) ++same;
    length = same;
  }
  while (length > 0 && whitespace.find(at(first, length - 1)) == whitespace.npos) --length;
  return length;
}

void remove_ends(Task& task, const std::string& prefix, const std::string& suffix) {
  for (auto& e : task.examples) {
    std::string_view text = e.instruction;
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
    if (text.ends_with(suffix)) text.remove_suffix(suffix.size());
    const std::size_t begin = text.find_first_not_of(whitespace);
    if (begin == text.npos) continue;
    e.instruction = std::string(text.substr(begin, text.find_last_not_of(whitespace) + 1 - begin));
  }
}

}  // namespace

void remove_template(Task& train, Task& test) {
  if (train.examples.size() < 2) return;
  const std::string& first = train.examples.front().instruction;
  const std::string prefix = first.substr(0, shared_length(train.examples, /*from_end=*/false));
  const std::string suffix = first.substr(first.size() - shared_length(train.examples, /*from_end=*/true));
  remove_ends(train, prefix, suffix);
  remove_ends(test, prefix, suffix);
}

bool is_correct(std::string_view generated, std::string_view answer) {
  const std::size_t end = generated.find_last_not_of(whitespace);
  if (end == generated.npos) return false;
  generated = generated.substr(0, end + 1);
  generated = generated.substr(generated.find_last_of(whitespace) + 1);  // npos + 1 is 0: the whole text is one word
  if (generated.ends_with('.')) generated.remove_suffix(1);
  return std::ranges::equal(generated, answer,
                            [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
}

}  // namespace csreft
