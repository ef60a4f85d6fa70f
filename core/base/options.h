// Options, each described once by whoever owns it: name, help and range stand beside the member that holds the value.
// Flags, --help, JSON files, presets and checks all follow from that description (they are visitors of it).
//
// An owner is a type with `void describe(Options& options)`, which adds its members in order:
//
//   void LoraOptions::describe(Options& options) {
//     options.add("rank", rank, "rank r of A and B", at_least(1));
//     options.add("rslora", rslora, "scale by alpha / sqrt(rank) in place of alpha / rank");
//   }
//
// An option that names an entry of a table, which may have options of its own, is a Chosen (choose()).
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/table.h"

namespace csreft {

// The member that an option sets.
using OptionValue =
    std::variant<bool*, std::int64_t*, std::uint64_t*, double*, std::string*, std::vector<std::string>*>;

struct Option {
  std::string name;  // "router_hidden": the key in JSON; the flag is --router-hidden
  std::string help;
  OptionValue value;
  std::string expected;            // the values it may have, in words: "1 or more"; empty: all of its type
  std::function<bool()> is_valid;  // of the value as it is; unset: always
  // The names that it may have, with a summary of each; empty: any value of its type.
  std::vector<std::pair<std::string, std::string>> choices;
};

// The values that a number may have.
template <typename T>
struct Range {
  std::string expected;  // in words
  std::function<bool(T)> contains;
};
template <typename T>
Range<T> at_least(T least) {
  return {fmt::format("{} or more", least), [least](T x) { return x >= least; }};
}
inline Range<std::int64_t> at_least(int least) { return at_least<std::int64_t>(least); }
// Finite numbers more than 0; of 0 or more; strictly between two; of 0 or more and less than 1.
Range<double> positive();
Range<double> not_negative();
Range<double> between(double low, double high);
Range<double> share_less_than_one();

// What walks through descriptions.
class OptionVisitor {
 public:
  virtual ~OptionVisitor() = default;
  virtual void visit(Option& option) = 0;
  // Whether the options of entries that are not chosen are wanted, too, as flags and help want them.
  virtual bool visits_all_entries() const { return false; }
  // The options from here to leave() belong to this entry of the option `choice`.
  virtual void enter(std::string_view /*choice*/, std::string_view /*entry*/) {}
  virtual void leave() {}
};

// {name: value} of all options that apply; and options set from that (below).
template <typename Owner>
nlohmann::json options_json(Owner& owner);
template <typename Owner>
void set_options(Owner& owner, const nlohmann::json& given, std::string_view where = {});

// A table's entry: how a T of that name is made, with its options at their defaults.
template <typename T>
struct ChoiceEntry {
  std::string_view name;
  std::string_view summary;
  std::function<std::unique_ptr<T>()> create;
};

// An entry of a table, by name, with its options. T has `virtual void describe(Options&)`.
template <typename T>
class Chosen {
 public:
  using Table = std::span<const ChoiceEntry<T>* const>;

  // Throws Error, listing the names and suggesting the nearest, for another name; `what` says what they are.
  Chosen(Table table, std::string what, std::string_view name) : table_(table), what_(std::move(what)) { select(name); }
  // A copy has options of its own, of the same values.
  Chosen(const Chosen& other) : table_(other.table_), what_(other.what_) { copy(other); }
  Chosen& operator=(const Chosen& other) {
    if (this != &other) copy(other);
    return *this;
  }
  Chosen(Chosen&&) noexcept = default;
  Chosen& operator=(Chosen&&) noexcept = default;
  ~Chosen() = default;

  void select(std::string_view name) {
    const ChoiceEntry<T>& entry = find_named(table_, what_, name);
    name_ = entry.name;
    value_ = entry.create();
  }
  const std::string& name() const { return name_; }
  Table table() const { return table_; }
  T& operator*() const { return *value_; }
  T* operator->() const { return value_.get(); }

 private:
  void copy(const Chosen& other) {
    select(other.name_);
    set_options(*value_, options_json(*other.value_));
  }

  Table table_;
  std::string what_, name_;
  std::unique_ptr<T> value_;
};

// What an owner describes itself to.
class Options {
 public:
  explicit Options(OptionVisitor& visitor) : visitor_(visitor) {}
  OptionVisitor& visitor() const { return visitor_; }
  // Whether options that do not apply now are wanted, too.
  bool visits_all_entries() const { return visitor_.visits_all_entries(); }

  template <typename T>
  void add(std::string_view name, T& value, std::string_view help) {
    visit({std::string(name), std::string(help), &value, {}, {}, {}});
  }
  template <typename T>
  void add(std::string_view name, T& value, std::string_view help, Range<T> range) {
    visit({std::string(name),
           std::string(help),
           &value,
           range.expected,
           [&value, contains = range.contains] { return contains(value); },
           {}});
  }
  // A name out of a table whose entries have no options.
  template <typename Table>
  void add_name(std::string_view name, std::string& value, std::string_view help, const Table& table) {
    Option option{std::string(name), std::string(help), &value, {}, {}, {}};
    for (const auto& entry : table) {
      option.choices.emplace_back(entry_of(entry).name, entry_of(entry).summary);
    }
    visit(std::move(option));
  }
  template <typename T>
  void choose(std::string_view name, Chosen<T>& chosen, std::string_view help) {
    std::string value = chosen.name();
    Option option{std::string(name), std::string(help), &value, {}, {}, {}};
    for (const auto* entry : chosen.table()) option.choices.emplace_back(entry->name, entry->summary);
    visit(std::move(option));
    if (value != chosen.name()) chosen.select(value);
    if (!visitor_.visits_all_entries()) return chosen->describe(*this);
    for (const auto* entry : chosen.table()) {
      visitor_.enter(name, entry->name);
      entry->create()->describe(*this);
      visitor_.leave();
    }
  }

 private:
  void visit(Option option) { visitor_.visit(option); }

  OptionVisitor& visitor_;
};

// ---- what follows from a description; Owner has describe(Options&) ------------------------------------------------

// "--router-hidden".
std::string flag_of(std::string_view name);
// The value in print, as a flag takes it: "0.3", "on", "q_proj,v_proj".
std::string text_of(const OptionValue& value);
// What a flag's text says of an option: a JSON value of the option's type. Throws Error, naming the flag and what it
// takes, for text of another kind.
nlohmann::json parse_option(const Option& option, const std::string& text);

class OptionWriter : public OptionVisitor {
 public:
  explicit OptionWriter(nlohmann::json& out) : out_(out) {}
  void visit(Option& option) override;

 private:
  nlohmann::json& out_;
};

// Sets the options that `given`, a JSON object, names. Lists may also be text, parted by commas, and text a list.
// Throws Error for a value of another type, out of range, or not in its table.
class OptionReader : public OptionVisitor {
 public:
  // `where` begins the Error's text, as "adapter.json: "; empty where options come from flags, which are then named.
  OptionReader(const nlohmann::json& given, std::string where) : given_(given), where_(std::move(where)) {}
  void visit(Option& option) override;
  // Throws Error, suggesting the nearest, for a name in `given` that was not visited.
  void check_all_known() const;
  // The names in `given` that were not visited, and those that were, given or not.
  std::vector<std::string> unknown() const;
  const std::vector<std::string>& known() const { return known_; }

 private:
  const nlohmann::json& given_;
  std::string where_;
  std::vector<std::string> known_;
};

// The names of the options that apply, those of chosen entries among them.
class OptionNames : public OptionVisitor {
 public:
  void visit(Option& option) override { names.push_back(option.name); }
  std::vector<std::string> names;
};

template <typename Owner>
nlohmann::json options_json(Owner& owner) {
  nlohmann::json out = nlohmann::json::object();
  OptionWriter writer(out);
  Options options(writer);
  owner.describe(options);
  return out;
}

// Sets options from JSON; those that are not named stay as they are. Throws Error as OptionReader does, for unknown
// names, too.
template <typename Owner>
void set_options(Owner& owner, const nlohmann::json& given, std::string_view where) {
  OptionReader reader(given, std::string(where));
  Options options(reader);
  owner.describe(options);
  reader.check_all_known();
}

template <typename Owner>
std::vector<std::string> option_names(Owner& owner) {
  OptionNames visitor;
  Options options(visitor);
  owner.describe(options);
  return visitor.names;
}

}  // namespace csreft
