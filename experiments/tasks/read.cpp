#include "experiments/tasks/read.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <fmt/ranges.h>

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "experiments/tasks/blank.h"
#include "experiments/tasks/elements.h"
#include "experiments/tasks/formats/format.h"
#include "experiments/tasks/scoring.h"

namespace csreft {
namespace {

using nlohmann::json;

// "{messages}, {instruction, input, output} or {text}"
std::string known_formats() {
  std::vector<std::string> forms;
  for (const auto* format : data_formats()) forms.push_back(fmt::format("{{{}}}", format->keys));
  const std::string last = forms.back();
  forms.pop_back();
  return fmt::format("{} or {}", fmt::join(forms, ", "), last);
}

std::vector<std::string> column_names() {
  std::set<std::string> names(std::begin(common_columns), std::end(common_columns));
  for (const auto* format : data_formats()) {
    std::string_view keys = format->keys;
    while (!keys.empty()) {
      const std::size_t end = std::min(keys.find(", "), keys.size());
      names.emplace(keys.substr(0, end));
      keys.remove_prefix(std::min(end + 2, keys.size()));
    }
  }
  return {names.begin(), names.end()};
}

// "a, b, c": the first of them, where there are many.
std::string list_of(std::span<const std::string> keys) {
  constexpr std::size_t most = 20;
  std::string text = fmt::format("{}", fmt::join(keys.first(std::min(most, keys.size())), ", "));
  if (keys.size() > most) text += fmt::format(" and {} more", keys.size() - most);
  for (char& c : text) c = c >= 0 && c < ' ' ? ' ' : c;
  return text;
}

std::string keys_text(const json& element) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : element.items()) keys.push_back(key);
  return keys.empty() ? "no keys" : fmt::format("the keys {}", list_of(keys));
}

// The first whose column has a value, or else the first whose column is there.
const Format& format_of(const json& element, Fields& fields) {
  const auto has_value = [&](const Format* format) {
    return (format->first_is_list ? fields.list(format->first) : fields.value(format->first)) != nullptr;
  };
  const auto has_column = [&](const Format* format) { return fields.has(format->first); };
  const auto formats = data_formats();
  auto found = std::ranges::find_if(formats, has_value);
  if (found == formats.end()) found = std::ranges::find_if(formats, has_column);
  if (found != formats.end()) return **found;
  const std::string key = fields.key_of("instruction");
  fail("no \"{}\" in {}, which has {}: expected {}, or --field instruction=KEY", key.empty() ? "instruction" : key,
       fields.where(), keys_text(element), known_formats());
}

// A name, or a list of names.
std::vector<std::string> names_of(const json& value, const std::string& key, const std::string& where) {
  if (value.is_string()) return {value.get<std::string>()};
  require(value.is_array() && std::ranges::all_of(value, [](const json& name) { return name.is_string(); }),
          "\"{}\" is {} in {}: expected a name or a list of names", key, value.dump(), where);
  return value.get<std::vector<std::string>>();
}

std::vector<std::string> choices_of(const json& list, const std::string& where) {
  require(list.is_array(), "\"choices\" in {} is {}: expected a list of answers", where, kind_of(list));
  std::vector<std::string> choices;
  for (const json& choice : list) choices.push_back(text_of(choice, "one of \"choices\" in " + where));
  return choices;
}

// The choice that is an answer, or else the same number ("2.0" for 2).
const std::string* choice_of(const std::string& answer, const std::vector<std::string>& choices) {
  auto found = std::ranges::find(choices, answer);
  if (found == choices.end()) {
    const auto is_same = [&](const std::string& choice) { return plain_number(choice) == plain_number(answer); };
    found = std::ranges::find_if(choices, is_same);
  }
  return found == choices.end() ? nullptr : &*found;
}

// An answer that is no choice itself may be the number of one, from 0. Without an output, the answer is the response.
void read_choice(Fields& fields, Example& example) {
  const json* const answer = fields.value("answer");
  if (const std::string* const choice = example.answer ? choice_of(*example.answer, example.choices) : nullptr) {
    example.answer = *choice;
  } else if (answer != nullptr && answer->is_number_unsigned()) {
    const auto index = answer->get<std::uint64_t>();
    require(index < example.choices.size(),
            "the answer in {} is {}: expected one of its {} choices, or its number from 0", fields.where(), index,
            example.choices.size());
    example.answer = example.choices[index];
  }
  if (example.answer && is_blank(example.output)) example.output = *example.answer;
}

void read_common(Fields& fields, Example& example) {
  if (example.system.empty()) example.system = fields.text("system");
  if (std::string answer = fields.text("answer"); !is_blank(answer)) example.answer = std::move(answer);
  example.dataset = fields.text("dataset");
  if (const json* const list = fields.list("choices"); list != nullptr && !list->empty()) {
    example.choices = choices_of(*list, fields.where());
    read_choice(fields, example);
  }
  if (const json* const adapters = fields.list("adapter")) {
    require(fields.outputs() == Outputs::optional,
            "\"adapter\" in {} has no effect: only generate --data answers each example with adapters of its own",
            fields.where());
    example.adapters = names_of(*adapters, "adapter", fields.where());
  }
  fields.set_aside("generator");  // AlpacaEval's: who wrote the output
}

bool has_prompt(const Example& e) { return !is_blank(e.instruction) || !is_blank(e.input) || !e.history.empty(); }

// Collects what the elements of a file are.
class TaskReader {
 public:
  TaskReader(const std::string& name, const std::string& where, const DataReading& reading)
      : name_(name), where_(where), reading_(reading) {}

  void read(const json& element, std::size_t index) {
    const std::string where = fmt::format("element {} of {}", index, where_);
    ++n_elements_;
    if (element.is_null() || (element.is_object() && element.empty())) {
      ++n_without_task_;
      return skip(&Skipped::empty);
    }
    require(element.is_object(), "{} is {}: expected an object {}", where, kind_of(element), known_formats());
    Fields fields(element, reading_, where);
    const Format& format = format_of(element, fields);
    if (!format.response.empty() && !first_of_.contains(&format)) first_of_[&format] = {where, keys_text(element)};
    Example example;
    const bool is_read = format.read(fields, example);
    read_common(fields, example);
    const std::string task = task_of(element, where);
    take_note_of_keys(element, fields);
    if (!is_read) return skip(&Skipped::with_tools, task);
    const bool has_response = !is_blank(example.output);
    if (!has_prompt(example) && !has_response) return skip(&Skipped::empty, task);
    if (!has_response && reading_.outputs == Outputs::required) return skip(&Skipped::without_response, task);
    if (!has_prompt(example) && reading_.outputs == Outputs::optional) return skip(&Skipped::empty, task);
    Place& place = place_of(task);
    check_answers(place, example, where, fields.key_of("answer"));
    place.task.examples.push_back(std::move(example));
  }

  FileTasks finish(const MendedText& mended) {
    require(n_elements_ > 0, "no examples in {}: expected at least one", where_);
    check_field_names();
    FileTasks out;
    std::size_t used = 0;
    for (auto& place : places_) {
      used += place.task.examples.size();
      collect_answers(place.task);
      out.tasks.push_back(std::move(place.task));
    }
    if (used == 0) check_responses();
    require(used > 0, "no examples in {} can be used, {}: expected at least one", where_, describe(skipped_, 0));
    if (reading_.task_column.empty()) out.tasks.front().skipped = skipped_;
    note_keys(out.notes);
    note_empty_elements(out.notes);
    if (mended.surrogates > 0) {
      out.notes.push_back(fmt::format("{}: {} escaped {} of a surrogate pair without the other {} read as U+FFFD",
                                      where_, mended.surrogates, mended.surrogates == 1 ? "half" : "halves",
                                      mended.surrogates == 1 ? "is" : "are"));
    }
    return out;
  }

 private:
  // A task, and the first of its examples that has an answer and that has none.
  struct Place {
    Task task;
    std::string with_answer{}, without_answer{};
  };
  struct First {
    std::string where, keys;
  };

  std::string task_of(const json& element, const std::string& where) const {
    const std::string& column = reading_.task_column;
    if (column.empty()) return name_;
    const auto found = element.find(column);
    std::string task = found == element.end() ? "" : text_of(*found, fmt::format("\"{}\" in {}", column, where));
    require(!is_blank(task), "no \"{}\" in {}: expected the task of each element there, as --task-column says", column,
            where);
    require(std::ranges::none_of(task, [](char c) { return c >= 0 && c < ' '; }),
            "\"{}\" in {} has line breaks or control characters: expected a task's name", column, where);
    return task;
  }

  Place& place_of(const std::string& task) {
    const auto [found, is_new] = place_of_name_.try_emplace(task, places_.size());
    if (is_new) places_.push_back({.task = {.name = task, .examples = {}}});
    return places_[found->second];
  }

  void skip(std::int64_t Skipped::*reason) { ++(skipped_.*reason); }
  void skip(std::int64_t Skipped::*reason, const std::string& task) {
    skip(reason);
    if (!reading_.task_column.empty()) ++(place_of(task).task.skipped.*reason);
  }

  // Scores are of all examples, or of none.
  void check_answers(Place& place, const Example& example, const std::string& where, const std::string& key) {
    if (reading_.outputs == Outputs::optional) return;
    std::string& first = example.answer ? place.with_answer : place.without_answer;
    if (first.empty()) first = where;
    require(place.with_answer.empty() || place.without_answer.empty(),
            "{} has no \"{}\", which others have ({}): expected one in each, or in none", place.without_answer, key,
            place.with_answer);
  }

  void take_note_of_keys(const json& element, const Fields& fields) {
    for (const auto& [key, value] : element.items()) {
      if (!keys_.contains(key)) keys_[key] = false;
      if (key == reading_.task_column || fields.keys_read().contains(key)) keys_[key] = true;
    }
    unread_keys_of_messages_.insert(fields.unread_keys_of_messages().begin(), fields.unread_keys_of_messages().end());
  }

  void check_field_names() const {
    for (const auto& [name, key] : reading_.fields) {
      require(keys_.empty() || keys_.contains(key),
              "no \"{}\" in {}, whose elements have {}: expected it for --field {}={}", key, where_,
              keys_text_of_file(), name, key);
    }
  }

  // A column of responses that no element has is most likely one of another name.
  void check_responses() const {
    if (reading_.outputs == Outputs::optional) return;
    for (const auto& [format, first] : first_of_) {
      const std::string key = Fields(json(), reading_, "").key_of(format->response);
      require(keys_.contains(key), "no \"{}\" in {}, which has {}: expected {{{}}}, or --field {}=KEY", key,
              first.where, first.keys, format->keys, format->response);
    }
  }

  std::string keys_text_of_file() const {
    std::vector<std::string> keys;
    for (const auto& [key, is_read] : keys_) keys.push_back(key);
    return list_of(keys);
  }

  // Elements that have no column tell no task, by which they would be counted.
  void note_empty_elements(std::vector<std::string>& notes) const {
    if (reading_.task_column.empty() || n_without_task_ == 0) return;
    notes.push_back(fmt::format("{}: skipped {} of {} elements, which are empty and of no task", where_,
                                n_without_task_, n_elements_));
  }

  void note_keys(std::vector<std::string>& notes) const {
    if (!unread_keys_of_messages_.empty()) {
      const std::vector<std::string> keys(unread_keys_of_messages_.begin(), unread_keys_of_messages_.end());
      notes.push_back(fmt::format("{}: of messages, the {} {} {} not read", where_, keys.size() == 1 ? "key" : "keys",
                                  list_of(keys), keys.size() == 1 ? "is" : "are"));
    }
    std::vector<std::string> unread;
    for (const auto& [key, is_read] : keys_) {
      if (!is_read) unread.push_back(key);
    }
    if (unread.empty()) return;
    notes.push_back(fmt::format("{}: the {} {} {} not read; --field NAME=KEY says what a key stands for", where_,
                                unread.size() == 1 ? "key" : "keys", list_of(unread),
                                unread.size() == 1 ? "is" : "are"));
  }

  const std::string& name_;
  const std::string& where_;
  const DataReading& reading_;
  std::size_t n_elements_ = 0, n_without_task_ = 0;
  std::vector<Place> places_;
  std::map<std::string, std::size_t> place_of_name_;
  Skipped skipped_;
  std::map<std::string, bool> keys_;  // whether somebody has read it
  std::set<std::string> unread_keys_of_messages_;
  std::map<const Format*, First> first_of_;  // the first element of each
};

// Of "data.train.jsonl.gz" it is "data.train".
std::string name_of(const std::filesystem::path& path) {
  return (path.extension() == ".gz" ? path.stem() : path).stem().string();
}

FileTasks read_file(const DataFile& file, const DataReading& reading) {
  const std::string name = file.name.empty() ? name_of(file.path) : file.name;
  return read_tasks(read_text_file(file.path), name, file.path.string(), reading);
}

// Appends the task or, where a column tells tasks apart, its examples to those of the same name.
void add_task(std::vector<Task>& tasks, Task task, bool may_join) {
  const auto same = std::ranges::find(tasks, task.name, &Task::name);
  require(same == tasks.end() || may_join,
          "two files are named {}: expected names that tell tasks apart, as --train NAME=FILE gives them", task.name);
  if (same == tasks.end()) {
    tasks.push_back(std::move(task));
    return;
  }
  std::ranges::move(task.examples, std::back_inserter(same->examples));
  same->skipped += task.skipped;
  collect_answers(*same);
  require(
      has_answers(*same) || std::ranges::none_of(same->examples, [](const Example& e) { return e.answer.has_value(); }),
      "some examples of task {} have an answer and others have not: expected one in each, or in none", same->name);
}

}  // namespace

FieldNames parse_field_names(std::span<const std::string> texts) {
  FieldNames fields;
  const auto names = column_names();
  for (const auto& text : texts) {
    const std::size_t equals = text.find('=');
    require(equals != text.npos && equals > 0 && equals + 1 < text.size(),
            "--field {} is not understood: expected NAME=KEY, such as output=answer", text);
    std::string name = text.substr(0, equals), key = text.substr(equals + 1);
    require(std::ranges::find(names, name) != names.end(), "--field {}: there is no column {}: expected one of {}",
            text, name, fmt::join(names, ", "));
    require(std::ranges::find(fields, name, &FieldNames::value_type::first) == fields.end(),
            "--field {}: {} is given twice: expected once", text, name);
    fields.emplace_back(std::move(name), std::move(key));
  }
  return fields;
}

DataFile parse_data_file(const std::string& text) {
  std::error_code ignored;
  const std::size_t equals = text.find('=');
  if (equals == text.npos || equals == 0 || std::filesystem::exists(text, ignored)) return {text, ""};
  const std::string name = text.substr(0, equals), path = text.substr(equals + 1);
  if (name.find('/') != name.npos) return {text, ""};
  require(!path.empty(), "{} names no file: expected NAME=FILE", text);
  return {path, name};
}

FileTasks read_tasks(std::string bytes, const std::string& name, const std::string& where, const DataReading& reading) {
  TaskReader reader(name, where, reading);
  const MendedText mended = read_elements(std::move(bytes), where,
                                          [&](const json& element, std::size_t index) { reader.read(element, index); });
  return reader.finish(mended);
}

Task load_task(const std::filesystem::path& path, Outputs outputs) {
  return std::move(read_file({path, ""}, {.outputs = outputs}).tasks.front());
}

std::vector<Task> load_tasks(std::span<const std::string> files, const DataReading& reading,
                             std::vector<std::string>* notes) {
  std::vector<Task> tasks;
  for (const auto& text : files) {
    const DataFile file = parse_data_file(text);
    require(file.name.empty() || reading.task_column.empty(),
            "{} names one task, and --task-column {} tells the tasks of its elements: expected one of them", text,
            reading.task_column);
    FileTasks read = read_file(file, reading);
    for (auto& note : read.notes) {
      if (notes != nullptr && std::ranges::find(*notes, note) == notes->end()) notes->push_back(std::move(note));
    }
    for (auto& task : read.tasks) add_task(tasks, std::move(task), !reading.task_column.empty());
  }
  for (const auto& task : tasks) {
    require(!task.examples.empty(), "no examples of task {} in {} can be used, {}: expected at least one", task.name,
            fmt::join(files, ", "), describe(task.skipped, 0));
  }
  return tasks;
}

}  // namespace csreft
