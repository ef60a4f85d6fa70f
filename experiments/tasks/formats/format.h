// The formats of elements. A new one is a file beside this one, and its name in experiments/meson.build.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "experiments/tasks/fields.h"
#include "experiments/tasks/task.h"

namespace csreft {

struct Format {
  std::string_view name;
  std::string_view keys;      // as help and errors show them: "instruction, input, output"
  std::string_view first;     // the column by which an element is known; formats are tried in the order of the table
  std::string_view response;  // the column that holds the response; empty: it is a part of the first
  bool first_is_list = false;
  // Fills in the example, but for what every format may have: answer, choices, dataset, adapter and, if the format has
  // no system message of its own, system. False for a conversation with tools. Throws Error for values of other kinds.
  bool (*read)(Fields& fields, Example& example);
};

// The table.
std::span<const Format* const> data_formats();

// Columns that an element of any format may have.
inline constexpr std::string_view common_columns[] = {"answer", "choices", "system", "dataset", "adapter"};

// A message of a conversation.
struct DataMessage {
  std::string role;  // system, user or assistant
  std::string content;
  bool is_learnt = true;  // false where it is the assistant's and says so: "weight": 0, "train": false
};

// The messages of a list of {role, content} or {from, value}, of roles system, user and assistant. False where a tool
// takes part. Throws Error, naming the message, for other forms and roles.
bool read_messages(const nlohmann::json& list, Fields& fields, std::vector<DataMessage>& messages);

// A conversation up to its last response that is learnt: what comes before that is the example's system message,
// history and instruction. There is no response, and the last question is the instruction, where the assistant's last
// message is blank, and where a conversation that ends with the user's message may be a question
// (Fields::may_be_question). Throws Error for an answer to a question behind the response. Templates want user and
// assistant by turns, the user first: what an assistant says before that is left out, a later system message counts as
// the user's, and messages of one role that follow each other are one, with a blank line between.
void fill_in(const std::vector<DataMessage>& messages, Fields& fields, Example& example);

}  // namespace csreft
