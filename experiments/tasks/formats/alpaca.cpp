// Stanford Alpaca's format, {"instruction", "input", "output"}, with LLaMA-Factory's "system" and "history": a list of
// earlier turns, each [user, assistant].
#include "core/base/error.h"
#include "experiments/tasks/formats/format.h"

namespace csreft {
namespace {

using nlohmann::json;

std::vector<DataMessage> history_of(const json& turns, const std::string& where) {
  require(turns.is_array(), "\"history\" in {} is {}: expected a list of turns [user, assistant]", where,
          kind_of(turns));
  std::vector<DataMessage> history;
  for (const json& turn : turns) {
    require(turn.is_array() && turn.size() == 2, "a turn of \"history\" in {} is {}: expected [user, assistant]", where,
            turn.is_array() ? fmt::format("a list of {}", turn.size()) : kind_of(turn));
    history.push_back({"user", text_of(turn[0], "a turn of \"history\" in " + where)});
    history.push_back({"assistant", text_of(turn[1], "a turn of \"history\" in " + where)});
  }
  return history;
}

bool read(Fields& fields, Example& example) {
  example.instruction = fields.text("instruction");
  example.input = fields.text("input");
  example.output = fields.text("output");
  const json* const turns = fields.list("history");
  if (turns == nullptr || turns->empty()) return true;
  std::vector<DataMessage> messages = history_of(*turns, fields.where());
  messages.push_back({"user", example.instruction + (example.input.empty() ? "" : "\n" + example.input)});
  if (fields.outputs() == Outputs::required) messages.push_back({"assistant", example.output});
  example.input.clear();
  fill_in(messages, fields, example);
  return true;
}

}  // namespace

extern const Format alpaca_format;
const Format alpaca_format{.name = "Alpaca",
                           .keys = "instruction, input, output, history",
                           .first = "instruction",
                           .response = "output",
                           .read = read};

}  // namespace csreft
