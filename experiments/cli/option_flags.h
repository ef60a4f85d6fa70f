// Flags and help of options that their owners describe (core/base/options.h).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/options.h"
#include "experiments/cli/cli.h"

namespace csreft {

// Collects descriptions, makes a flag of each option, and tells what the user gave. Options of one name are one flag,
// whoever has them: its help says what the first owner says, and below it what others say otherwise.
class OptionFlags final : public OptionVisitor {
 public:
  // Adds what an owner describes; `owner` names it in the help ("lora").
  template <typename Owner>
  void describe(Owner& of, std::string owner) {
    owner_ = std::move(owner);
    Options options(*this);
    of.describe(options);
  }
  // From here on options of this name get no flag.
  void leave_out(std::string_view name);
  // Makes the flags: under `shared`, if several owners have one or `heading` of its owner is not there, else under the
  // owner's heading. Call it once, when all have been described.
  void add_to(Flags& flags, std::string_view shared, const std::map<std::string, std::string>& headings = {});
  // {name: value} of the options that the user gave. Throws Error for text that is no value of the option's type.
  nlohmann::json given() const;

  // Throws Error, as OptionReader does, for a value in `given` that an option of this name cannot have, whether or not
  // the entries that are chosen have it. Names that nobody has are passed over.
  template <typename Owner>
  static void check_values(Owner& of, const nlohmann::json& given) {
    ValueCheck check(given, "");
    Options options(check);
    of.describe(options);
  }

  void visit(Option& option) override;
  bool visits_all_entries() const override { return true; }
  void enter(std::string_view choice, std::string_view entry) override;
  void leave() override;

 private:
  struct ValueCheck final : OptionReader {
    using OptionReader::OptionReader;
    bool visits_all_entries() const override { return true; }
  };
  struct Entry {
    Option option;  // without its value
    std::vector<std::string> owners;
    // Of each owner, or entry of a choice, by its name.
    std::vector<std::pair<std::string, std::string>> helps, defaults;
    std::string entry;  // "--gate hard", if it belongs to one alone
    std::string text;   // what the user gave
    bool is_given = false;
  };
  static std::string help_of(const Entry& entry);
  static std::string default_of(const Entry& entry);
  void add_flag(Flags& flags, Entry& entry);

  std::vector<std::unique_ptr<Entry>> entries_;  // in the order of the first descriptions
  // The latter as "gate hard" and by its own name.
  std::string owner_, entry_, entry_name_;
};

}  // namespace csreft
