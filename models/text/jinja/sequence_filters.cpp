// Filters of lists, dicts and of anything.
#include <algorithm>
#include <functional>

#include "core/base/error.h"
#include "core/base/split.h"
#include "core/base/whole_number.h"
#include "models/text/jinja/builtins.h"
#include "models/text/jinja/operators.h"
#include "models/text/jinja/text.h"

namespace csreft::jinja {
namespace {

std::vector<Value> members(Run& run, const Value& value) {
  run.charge_made(value.is_sequence() ? value.sequence().items.size() * sizeof(Value) : weight(value));
  return iterate(value);
}

Value get_default(Run&, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "default", {"default_value", "boolean"});
  const bool also_false = given[1] && is_true(*given[1]);
  const bool is_missing = value.is<Undefined>() || (also_false && !is_true(value));
  return is_missing ? given[0].value_or(text("")) : value;
}

Value get_length(Run&, const Value& value, const Arguments& arguments) {
  bind(arguments, "length", {});
  return integer(length(value));
}

Value first(Run& run, const Value& value, const Arguments&) {
  if (value.is_sequence() && value.sequence().kind == Sequence::Kind::generator && !value.sequence().consumed) {
    auto& items = value.sequence().items;
    if (items.empty()) return undefined("no first item: the sequence is empty");
    Value front = items.front();
    items.erase(items.begin());
    return front;
  }
  const auto items = members(run, value);
  return items.empty() ? undefined("no first item: the sequence is empty") : items.front();
}

void require_order(const Value& value, std::string_view filter) {
  const bool has_none = value.is_sequence() && value.sequence().kind == Sequence::Kind::generator;
  require(!has_none, "'{}' is of a generator: expected a list, as the filter list makes it", filter);
}

Value last(Run& run, const Value& value, const Arguments&) {
  require_order(value, "last");
  const auto items = members(run, value);
  return items.empty() ? undefined("no last item: the sequence is empty") : items.back();
}

Value list(Run& run, const Value& value, const Arguments&) { return run.made(members(run, value)); }

Value items(Run& run, const Value& value, const Arguments&) {
  if (value.is<Undefined>()) return run.made(std::vector<Value>(), Sequence::Kind::generator);
  require(value.is_dict(), "items is of a '{}': expected a dict", type_name(value));
  std::vector<Value> pairs;
  for (const auto& [key, member] : value.dict().entries) {
    pairs.push_back(run.made(std::vector<Value>{key, member}, Sequence::Kind::tuple));
  }
  return run.made(std::move(pairs), Sequence::Kind::generator);
}

Value reverse(Run& run, const Value& value, const Arguments&) {
  if (value.is_text()) {
    std::string out;
    const auto all = characters(value.text());
    for (auto character = all.rbegin(); character != all.rend(); ++character) out += *character;
    return run.made(std::move(out));
  }
  auto reversed = members(run, value);
  std::ranges::reverse(reversed);
  return run.made(std::move(reversed), Sequence::Kind::generator);
}

// A member that "a.b.0" leads to, the fallback where there is none on the way; the value itself for no path.
Value member_of(Run& run, const Value& value, const std::optional<Value>& path,
                const std::optional<Value>& fallback = std::nullopt) {
  const auto item = [&](const Value& object, const Value& key) {
    Value found = run.item(object, key);
    return found.is<Undefined>() && fallback && !fallback->is<None>() ? *fallback : found;
  };
  if (!path || path->is<None>()) return value;
  if (!path->is_text()) return item(value, *path);
  Value member = value;
  for (const auto& part : split(path->text(), ".")) {
    const auto index = parse_whole_number<std::int64_t>(part);
    member = item(member, index ? Value(*index) : text(std::string(part)));
  }
  return member;
}

Value join(Run& run, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "join", {"d", "attribute"});
  const std::string separator = given[0] ? to_text(*given[0]) : "";
  std::string joined;
  bool is_first = true;
  for (const auto& item : members(run, value)) {
    const Value member = member_of(run, item, given[1]);
    run.charge_made(weight(member) + separator.size());
    if (!is_first) joined += separator;
    joined += to_text(member);
    is_first = false;
  }
  return text(std::move(joined));
}

// What is compared: a text without its case, unless it counts.
Value comparable(Run& run, const Value& value, bool case_counts) {
  return value.is_text() && !case_counts ? run.made(lower(value.text())) : value;
}

std::vector<Value> sorted(Run& run, std::vector<Value> values, const std::function<Value(const Value&)>& key_of,
                          bool case_counts, bool from_largest) {
  std::vector<std::pair<Value, Value>> keyed;
  std::size_t heaviest = 0;
  for (auto& value : values) {
    Value key = comparable(run, key_of(value), case_counts);
    heaviest = std::max(heaviest, weight(key));
    keyed.emplace_back(std::move(key), std::move(value));
  }
  run.charge(keyed.size() * (32 + heaviest) * 20);
  std::ranges::stable_sort(keyed, [&](const auto& a, const auto& b) {
    if (equal(a.first, b.first)) return false;  // also of undefined values, which have no order
    return from_largest ? compared(run, ">", a.first, b.first) : compared(run, "<", a.first, b.first);
  });
  std::vector<Value> out;
  for (auto& [key, value] : keyed) out.push_back(std::move(value));
  return out;
}

bool is_set(const std::optional<Value>& argument) { return argument && is_true(*argument); }

Value sort(Run& run, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "sort", {"reverse", "case_sensitive", "attribute"});
  const bool case_counts = is_set(given[1]),
             has_several = given[2] && given[2]->is_text() && given[2]->text().find(',') != std::string::npos;
  const auto key_of = [&](const Value& item) {
    if (!has_several) return member_of(run, item, given[2]);
    std::vector<Value> keys;  // by the first of "a,b", and where that is equal by the next
    for (const auto& path : split(given[2]->text(), ",")) {
      keys.push_back(comparable(run, member_of(run, item, text(std::string(path))), case_counts));
    }
    return run.made(std::move(keys));
  };
  return run.made(sorted(run, members(run, value), key_of, case_counts, is_set(given[0])));
}

Value dict_sort(Run& run, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "dictsort", {"case_sensitive", "by", "reverse"});
  require(value.is_dict(), "dictsort is of a '{}': expected a dict", type_name(value));
  const std::string by = text_or(given[1], "key");
  require(by == "key" || by == "value", "dictsort is by '{}': expected key or value", by);
  const Value pairs = items(run, value, {});
  const auto key_of = [&](const Value& pair) { return pair.sequence().items[by == "key" ? 0 : 1]; };
  return run.made(sorted(run, members(run, pairs), key_of, is_set(given[0]), is_set(given[2])));
}

Value unique(Run& run, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "unique", {"case_sensitive", "attribute"});
  std::vector<Value> kept;
  std::unordered_map<std::string, bool> seen;
  for (const auto& item : members(run, value)) {
    const Value key = comparable(run, member_of(run, item, given[1]), is_set(given[0]));
    run.charge_made(weight(key));
    if (seen.emplace(hash_key(key), true).second) kept.push_back(item);
  }
  return run.made(std::move(kept), Sequence::Kind::generator);
}

// The smallest (sign 1) or the largest (sign -1).
Value extreme(Run& run, const Value& value, const Arguments& arguments, bool largest) {
  const auto given = bind(arguments, largest ? "max" : "min", {"case_sensitive", "attribute"});
  std::optional<Value> best, best_key;
  for (const auto& item : members(run, value)) {
    Value key = comparable(run, member_of(run, item, given[1]), is_set(given[0]));
    if (best && !compared(run, largest ? ">" : "<", key, *best_key)) continue;
    best = item;
    best_key = std::move(key);
  }
  return best.value_or(undefined("no item: the sequence is empty"));
}
Value minimum(Run& run, const Value& value, const Arguments& arguments) {
  return extreme(run, value, arguments, false);
}
Value maximum(Run& run, const Value& value, const Arguments& arguments) { return extreme(run, value, arguments, true); }

Value sum(Run& run, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "sum", {"attribute", "start"});
  Value total = given[1].value_or(std::int64_t{0});
  for (const auto& item : members(run, value)) total = arithmetic(run, "+", total, member_of(run, item, given[0]));
  return total;
}

Value batch(Run& run, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "batch", {"linecount", "fill_with"});
  const std::int64_t n = integer_or(given[0], 0);
  require(n >= 1, "batch is of {} members: expected 1 or more", n);
  std::vector<Value> rows, row;
  for (const auto& item : members(run, value)) {
    if (static_cast<std::int64_t>(row.size()) == n) rows.push_back(run.made(std::exchange(row, {})));
    row.push_back(item);
  }
  if (!row.empty()) {
    while (given[1] && !given[1]->is<None>() && static_cast<std::int64_t>(row.size()) < n) {
      run.charge_made(sizeof(Value));
      row.push_back(*given[1]);
    }
    rows.push_back(run.made(std::move(row)));
  }
  return run.made(std::move(rows), Sequence::Kind::generator);
}

// In so many lists, of which the first ones have a member more; the others `fill_with`, where it is given.
Value slice(Run& run, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "slice", {"slices", "fill_with"});
  const auto all = members(run, value);
  const std::int64_t wanted = integer_or(given[0], 0);
  require(wanted != 0, "slice is in 0 lists: expected 1 or more");
  const bool fills = given[1] && !given[1]->is<None>();
  std::vector<Value> lists;
  auto next = all.begin();
  for (std::int64_t i = 0; i < wanted; ++i) {
    const bool is_longer = i < std::ssize(all) % wanted;
    const auto end = next + std::ssize(all) / wanted + (is_longer ? 1 : 0);
    std::vector<Value> list(next, end);
    if (fills && !is_longer) list.push_back(*given[1]);
    run.charge_made(sizeof(Value));
    lists.push_back(run.made(std::move(list)));
    next = end;
  }
  return run.made(std::move(lists), Sequence::Kind::generator);
}

// Pairs of a member's value, as the first of a group has it, and the list of those that share it.
Value group_by(Run& run, const Value& value, const Arguments& arguments) {
  const auto given = bind(arguments, "groupby", {"attribute", "default", "case_sensitive"});
  require(given[0].has_value(), "groupby has no attribute: expected one");
  const auto key_of = [&](const Value& item) { return member_of(run, item, given[0], given[1]); };
  std::vector<std::pair<Value, std::vector<Value>>> groups;
  const auto all = sorted(run, members(run, value), key_of, is_set(given[2]), false);
  for (const auto& item : all) {
    const Value key = key_of(item);
    require(!key.is<Undefined>() || all.size() == 1, "groupby meets members without its attribute: expected a default");
    const bool is_same = !groups.empty() && equal(comparable(run, key, is_set(given[2])),
                                                  comparable(run, groups.back().first, is_set(given[2])));
    if (!is_same) groups.emplace_back(key, std::vector<Value>());
    groups.back().second.push_back(item);
  }
  std::vector<Value> pairs;
  for (auto& [key, items] : groups) {
    pairs.push_back(run.made(std::vector<Value>{key, run.made(std::move(items))}, Sequence::Kind::tuple));
    pairs.back().sequence().is_group = true;
  }
  return run.made(std::move(pairs));
}

Value attr(Run& run, const Value& value, const Arguments& arguments) {
  const std::string name = text_or(bind(arguments, "attr", {"name"})[0], "");
  if (value.is_dict()) return find_method(value, name).value_or(undefined("a dict has no attribute '" + name + "'"));
  return run.attribute(value, name);
}

Arguments without_first(const Arguments& arguments, std::size_t n) {
  Arguments rest = arguments;
  rest.positional.erase(rest.positional.begin(), rest.positional.begin() + static_cast<std::ptrdiff_t>(n));
  return rest;
}

Value map(Run& run, const Value& value, const Arguments& arguments) {
  std::vector<Value> out;
  if (!is_true(value)) return run.made(std::move(out), Sequence::Kind::generator);
  if (arguments.positional.empty()) {
    const auto given = bind(arguments, "map", {"attribute", "default"});
    require(given[0].has_value(), "map has no filter: expected the name of one, or an attribute");
    for (const auto& item : members(run, value)) {
      out.push_back(member_of(run, item, given[0], given[1]));
    }
  } else {
    const std::string name = text_or(arguments.positional[0], "");
    const Arguments rest = without_first(arguments, 1);
    for (const auto& item : members(run, value)) out.push_back(apply_filter(run, name, item, rest));
  }
  return run.made(std::move(out), Sequence::Kind::generator);
}

// select, reject, selectattr and rejectattr.
Value chosen(Run& run, const Value& value, const Arguments& arguments, bool by_attribute, bool wanted) {
  std::vector<Value> out;
  if (!is_true(value)) return run.made(std::move(out), Sequence::Kind::generator);
  const std::size_t n_path = by_attribute ? 1 : 0;
  require(arguments.positional.size() >= n_path, "selectattr has no argument: expected an attribute");
  const auto path = by_attribute ? std::optional<Value>(arguments.positional[0]) : std::nullopt;
  const bool has_test = arguments.positional.size() > n_path;
  const std::string test = has_test ? text_or(arguments.positional[n_path], "") : "";
  const Arguments rest = has_test ? without_first(arguments, n_path + 1) : Arguments();
  for (const auto& item : members(run, value)) {
    const Value member = member_of(run, item, path);
    if ((has_test ? apply_test(run, test, member, rest) : is_true(member)) == wanted) out.push_back(item);
  }
  return run.made(std::move(out), Sequence::Kind::generator);
}

constexpr NamedFilter sequence_filter_table[] = {
    {"default", get_default},
    {"d", get_default},
    {"length", get_length},
    {"count", get_length},
    {"first", first},
    {"last", last},
    {"list", list},
    {"items", items},
    {"reverse", reverse},
    {"join", join},
    {"sort", sort},
    {"dictsort", dict_sort},
    {"unique", unique},
    {"min", minimum},
    {"max", maximum},
    {"sum", sum},
    {"batch", batch},
    {"slice", slice},
    {"groupby", group_by},
    {"attr", attr},
    {"map", map},
    {"select", [](Run& r, const Value& v, const Arguments& a) { return chosen(r, v, a, false, true); }},
    {"reject", [](Run& r, const Value& v, const Arguments& a) { return chosen(r, v, a, false, false); }},
    {"selectattr", [](Run& r, const Value& v, const Arguments& a) { return chosen(r, v, a, true, true); }},
    {"rejectattr", [](Run& r, const Value& v, const Arguments& a) { return chosen(r, v, a, true, false); }},
};

}  // namespace

std::span<const NamedFilter> sequence_filters() { return sequence_filter_table; }

}  // namespace csreft::jinja
