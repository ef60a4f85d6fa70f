#include "experiments/cli/option_flags.h"

#include <algorithm>

namespace csreft {
namespace {

// The same type, without a place.
OptionValue without_place(const OptionValue& value) {
  return std::visit([](auto* pointer) { return OptionValue(decltype(pointer)(nullptr)); }, value);
}

std::string help_of_owner(const Option& option) {
  return option.expected.empty() ? option.help : fmt::format("{}; {}", option.help, option.expected);
}

// What owners say otherwise than the first does -> the owners who say it.
std::map<std::string, std::vector<std::string>> departures(
    const std::vector<std::pair<std::string, std::string>>& texts) {
  std::map<std::string, std::vector<std::string>> out;
  for (const auto& [owner, text] : texts) {
    if (text == texts.front().second) continue;
    auto& owners = out[text];
    if (std::ranges::find(owners, owner) == owners.end()) owners.push_back(owner);
  }
  return out;
}

bool is_switch(const Option& option) { return std::holds_alternative<bool*>(option.value); }

}  // namespace

void OptionFlags::enter(std::string_view choice, std::string_view entry) {
  entry_ = fmt::format("{} {}", flag_of(choice), entry);
  entry_name_ = entry;
}

void OptionFlags::leave() {
  entry_.clear();
  entry_name_.clear();
}

void OptionFlags::visit(Option& option) {
  const std::string value = text_of(option.value);
  const std::string& whose = entry_name_.empty() ? owner_ : entry_name_;
  const auto found =
      std::ranges::find_if(entries_, [&](const auto& entry) { return entry->option.name == option.name; });
  if (found != entries_.end()) {
    require((*found)->option.value.index() == option.value.index(), "option {} has two types", option.name);
    (*found)->owners.push_back(owner_);
    (*found)->helps.emplace_back(whose, help_of_owner(option));
    (*found)->defaults.emplace_back(whose, value);
    if ((*found)->entry != entry_) (*found)->entry.clear();
    return;
  }
  auto entry = std::make_unique<Entry>();
  entry->option = {option.name, option.help, without_place(option.value), option.expected, {}, option.choices};
  entry->owners.push_back(owner_);
  entry->helps.emplace_back(whose, help_of_owner(option));
  entry->defaults.emplace_back(whose, value);
  entry->entry = entry_;
  entries_.push_back(std::move(entry));
}

std::string OptionFlags::help_of(const Entry& entry) {
  std::string help = entry.option.help;
  if (!entry.entry.empty()) help += fmt::format(" (of {})", entry.entry);
  if (!entry.option.expected.empty()) help += fmt::format("; {}", entry.option.expected);
  if (!entry.option.choices.empty()) help += ":";
  for (const auto& [name, summary] : entry.option.choices) {
    help += fmt::format("\n  {}{}{}", name, summary.empty() ? "" : ": ", summary);
  }
  for (const auto& [text, owners] : departures(entry.helps)) {
    help += fmt::format("\n  {}: {}", fmt::join(owners, ", "), text);
  }
  return help;
}

// "4", or where owners differ "all; lora: everywhere".
std::string OptionFlags::default_of(const Entry& entry) {
  std::string text = entry.defaults.front().second;
  for (const auto& [value, owners] : departures(entry.defaults))
    text += fmt::format("; {}: {}", fmt::join(owners, ", "), value);
  return text;
}

void OptionFlags::add_flag(Flags& flags, Entry& entry) {
  const std::string flag = flag_of(entry.option.name);
  const std::string help = help_of(entry);
  if (is_switch(entry.option)) {
    flags.add_described_switch(flag, help, default_of(entry), [&entry](bool on) {
      entry.text = on ? "on" : "off";
      entry.is_given = true;
    });
  } else {
    flags.add_described(flag, help, default_of(entry), [&entry](const std::string& text) {
      entry.text = text;
      entry.is_given = true;
    });
  }
}

void OptionFlags::leave_out(std::string_view name) {
  std::erase_if(entries_, [name](const auto& entry) { return entry->option.name == name; });
}

void OptionFlags::add_to(Flags& flags, std::string_view shared, const std::map<std::string, std::string>& headings) {
  const auto heading_of = [&](const Entry& entry) -> std::string {
    const std::string& owner = entry.owners.front();
    const bool alone = std::ranges::count(entry.owners, owner) == std::ssize(entry.owners);
    const auto found = headings.find(owner);
    return alone && found != headings.end() ? found->second : std::string(shared);
  };
  std::vector<std::string> order{std::string(shared)};
  for (const auto& entry : entries_) {
    const std::string heading = heading_of(*entry);
    if (std::ranges::find(order, heading) == order.end()) order.push_back(heading);
  }
  for (const auto& heading : order) {
    flags.group(heading);
    for (const auto& entry : entries_) {
      if (heading_of(*entry) == heading) add_flag(flags, *entry);
    }
  }
}

nlohmann::json OptionFlags::given() const {
  nlohmann::json out = nlohmann::json::object();
  for (const auto& entry : entries_) {
    if (entry->is_given) out[entry->option.name] = parse_option(entry->option, entry->text);
  }
  return out;
}

}  // namespace csreft
