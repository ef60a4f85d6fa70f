#include <algorithm>

#include "reft/methods/method.h"
#include "reft/methods/sum.h"

namespace csreft {

std::span<const MethodEntry* const> methods() {
  static const auto table = [] {
    const auto listed = listed_methods();
    std::vector<const MethodEntry*> entries(listed.begin(), listed.end());
    for (const auto& entry : intervention_methods()) entries.push_back(&entry);
    return entries;
  }();
  return table;
}

namespace {

// An option without a method's name goes to each method of the sum that has it.
nlohmann::json by_part(const std::vector<std::string>& parts, MethodSettings& settings, const nlohmann::json& values) {
  const std::vector<std::string> known = option_names(settings);
  nlohmann::json out = nlohmann::json::object();
  for (const auto& [name, value] : values.items()) {
    if (name.find('.') != std::string::npos) continue;
    bool found = false;
    for (const auto& part : parts) {
      const std::string own = fmt::format("{}.{}", part, name);
      if (std::ranges::find(known, own) == known.end()) continue;
      out[own] = value;
      found = true;
    }
    if (!found) out[name] = value;  // refused as unknown
  }
  for (const auto& [name, value] : values.items()) {
    if (name.find('.') != std::string::npos) out[name] = value;
  }
  return out;
}

}  // namespace

ReadOptions read_options(const MethodOptions& options, std::string_view where) {
  const auto parts = parts_of_sum(options.method);
  ReadOptions out;
  nlohmann::json values = options.values;
  if (parts.size() == 1) {
    out.settings = find_named(methods(), "method", options.method).create();
  } else {
    out.settings = sum_settings(parts);
    values = by_part(parts, *out.settings, options.values);
  }
  OptionReader reader(values, std::string(where));
  Options visited(reader);
  out.settings->describe(visited);
  out.unknown = reader.unknown();
  out.known = reader.known();
  return out;
}

std::unique_ptr<MethodSettings> configure(const MethodOptions& options, std::string_view where) {
  ReadOptions read = read_options(options, where);
  for (const auto& name : read.unknown) {
    const std::vector<std::string_view> names(read.known.begin(), read.known.end());
    fail("{}method {} has no option '{}'{}: expected one of {}", where, options.method, name, suggestion(name, names),
         fmt::join(read.known, ", "));
  }
  return std::move(read.settings);
}

}  // namespace csreft
