// What the formats of conversations share.
#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "core/base/error.h"
#include "experiments/tasks/blank.h"
#include "experiments/tasks/formats/format.h"

namespace csreft {
namespace {

using nlohmann::json;

constexpr std::string_view tool_role = "tool";

// The names that roles have in data, and ours.
constexpr std::array<std::pair<std::string_view, std::string_view>, 20> role_names{{{"system", "system"},
                                                                                    {"developer", "system"},
                                                                                    {"user", "user"},
                                                                                    {"human", "user"},
                                                                                    {"assistant", "assistant"},
                                                                                    {"gpt", "assistant"},
                                                                                    {"model", "assistant"},
                                                                                    {"bot", "assistant"},
                                                                                    {"chatgpt", "assistant"},
                                                                                    {"chatbot", "assistant"},
                                                                                    {"bing", "assistant"},
                                                                                    {"bard", "assistant"},
                                                                                    {"tool", tool_role},
                                                                                    {"tool_call", tool_role},
                                                                                    {"function", tool_role},
                                                                                    {"function_call", tool_role},
                                                                                    {"function_response", tool_role},
                                                                                    {"observation", tool_role},
                                                                                    {"tool_response", tool_role},
                                                                                    {"ipython", tool_role}}};

std::string_view role_of(const json& message, const char* key, const std::string& where) {
  const auto found = message.find(key);
  require(found != message.end() && found->is_string(), "no role in {}: expected {{role, content}} or {{from, value}}",
          where);
  std::string name = found->get<std::string>();
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto known = std::ranges::find(role_names, name, [](const auto& role) { return role.first; });
  require(known != role_names.end(), "unknown role '{}' in {}: expected system, user or assistant", name, where);
  return known->second;
}

// Text, or a list of parts: texts, or objects {"type": "text", "text"}.
std::string content_of(const json& content, const std::string& where) {
  if (!content.is_array()) return text_of(content, "the content of " + where);
  std::string text;
  for (const json& part : content) {
    if (!part.is_object()) {
      text += text_of(part, "a part of " + where);
      continue;
    }
    const std::string type = part.contains("type") ? text_of(part["type"], "a part's type in " + where) : "text";
    require(type == "text" && part.contains("text"), "a part of {} is of type '{}': expected text alone", where, type);
    text += text_of(part["text"], "a part of " + where);
  }
  return text;
}

bool is_filled(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && !found->is_null() && !found->empty();
}

// Whether a message is learnt: OpenAI's "weight" and axolotl's "train" may say that it is not.
bool is_learnt(const json& message, const std::string& where) {
  bool learnt = true;
  for (const char* key : {"weight", "train"}) {
    const auto found = message.find(key);
    const std::string text = found == message.end() ? "" : text_of(*found, fmt::format("\"{}\" of {}", key, where));
    if (is_blank(text)) continue;
    const bool is_yes = text == "1" || text == "true", is_no = text == "0" || text == "false";
    require(is_yes || is_no, "\"{}\" of {} is {}: expected 0 or 1, or false or true", key, where, text);
    learnt = learnt && is_yes;
  }
  return learnt;
}

void note_unread_keys(const json& message, bool is_sharegpt, Fields& fields) {
  static constexpr std::array<std::string_view, 4> others{"weight", "train", "tool_calls", "function_call"};
  for (const auto& [key, value] : message.items()) {
    const bool is_read = key == (is_sharegpt ? "from" : "role") || key == (is_sharegpt ? "value" : "content") ||
                         std::ranges::find(others, key) != others.end();
    if (!is_read) fields.add_unread_key_of_message(key);
  }
}

// Adds a message to a conversation of turns.
void add_turn(std::vector<DataMessage>& turns, const DataMessage& message) {
  const std::string_view role = message.role == "assistant" ? "assistant" : "user";
  if (is_blank(message.content) || (turns.empty() && role == "assistant")) return;
  if (turns.empty() || turns.back().role != role) {
    turns.push_back({std::string(role), message.content, message.is_learnt});
  } else {
    turns.back().content += "\n\n" + message.content;
    turns.back().is_learnt = turns.back().is_learnt && message.is_learnt;
  }
}

// Takes the last turn, if it is of this role.
std::string take_last(std::vector<DataMessage>& turns, std::string_view role) {
  if (turns.empty() || turns.back().role != role) return "";
  std::string content = std::move(turns.back().content);
  turns.pop_back();
  return content;
}

// Whether the last turn is a question without a response, whatever comes before it.
bool is_question(const std::vector<DataMessage>& messages, const std::vector<DataMessage>& turns, Fields& fields) {
  if (turns.empty() || turns.back().role != "user") return false;
  const bool is_left_blank = messages.back().role == "assistant" && is_blank(messages.back().content);
  return turns.size() == 1 || is_left_blank || fields.may_be_question();
}

// Takes the last response that is learnt, and all behind it.
std::string take_response(std::vector<DataMessage>& turns, Fields& fields) {
  const auto is_response = [&](const DataMessage& turn) {
    return turn.role == "assistant" && (turn.is_learnt || fields.outputs() == Outputs::optional);
  };
  const auto found = std::find_if(turns.rbegin(), turns.rend(), is_response);
  if (found == turns.rend()) {
    take_last(turns, "assistant");
    return "";
  }
  require(found == turns.rbegin() || fields.outputs() == Outputs::optional || is_blank(fields.text("answer")),
          "the answer in {} is to a question behind the last response that is learnt: expected the response to it, or "
          "`choices` with the answer among them",
          fields.where());
  turns.erase(found.base(), turns.end());
  return take_last(turns, "assistant");
}

}  // namespace

bool read_messages(const json& list, Fields& fields, std::vector<DataMessage>& messages) {
  require(list.is_array(), "the conversation in {} is {}: expected a list of messages", fields.where(), kind_of(list));
  for (std::size_t i = 0; i < list.size(); ++i) {
    const json& message = list[i];
    const std::string where = fmt::format("message {} in {}", i, fields.where());
    require(message.is_object(), "{} is {}: expected {{role, content}} or {{from, value}}", where, kind_of(message));
    const bool is_sharegpt = message.contains("from") && !message.contains("role");
    const std::string_view role = role_of(message, is_sharegpt ? "from" : "role", where);
    if (role == tool_role || is_filled(message, "tool_calls") || is_filled(message, "function_call")) return false;
    const char* const key = is_sharegpt ? "value" : "content";
    require(message.contains(key), "no \"{}\" in {}: expected {{role, content}} or {{from, value}}", key, where);
    messages.push_back({std::string(role), content_of(message[key], where), is_learnt(message, where)});
    note_unread_keys(message, is_sharegpt, fields);
  }
  return true;
}

void fill_in(const std::vector<DataMessage>& messages, Fields& fields, Example& example) {
  const auto is_system = [](const DataMessage& message) { return message.role == "system"; };
  const auto first = std::ranges::find_if_not(messages, is_system);
  for (auto message = messages.begin(); message != first; ++message) {
    if (!is_blank(message->content)) example.system += (example.system.empty() ? "" : "\n\n") + message->content;
  }
  std::vector<DataMessage> turns;
  for (auto message = first; message != messages.end(); ++message) add_turn(turns, *message);
  if (!is_question(messages, turns, fields)) example.output = take_response(turns, fields);
  example.instruction = take_last(turns, "user");
  for (std::size_t i = 0; i < turns.size(); ++i) {
    if (turns[i].role == "assistant" && !turns[i].is_learnt) example.not_learnt.push_back(i);
    example.history.push_back({std::move(turns[i].role), std::move(turns[i].content)});
  }
}

}  // namespace csreft
