// {"prompt": "...", "completion": "..."}, both texts or both lists of messages. A text is put into the model's chat
// template as an instruction and its response are.
#include <algorithm>
#include <span>

#include "core/base/error.h"
#include "experiments/tasks/blank.h"
#include "experiments/tasks/formats/format.h"

namespace csreft {
namespace {

bool is_response(const DataMessage& message) {
  return message.role == "assistant" && message.is_learnt && !is_blank(message.content);
}

bool is_list(const nlohmann::json* value) { return value != nullptr && value->is_array(); }

bool read(Fields& fields, Example& example) {
  if (!is_list(fields.value("prompt")) && !is_list(fields.value("completion"))) {
    example.instruction = fields.text("prompt");
    example.output = fields.text("completion");
    return true;
  }
  const auto* const prompt = fields.list("prompt");
  const auto* const completion = fields.list("completion");
  require((prompt == nullptr || prompt->is_array()) && (completion == nullptr || completion->is_array()),
          "prompt and completion of {} are of two kinds: expected two texts, or two lists of messages", fields.where());
  std::vector<DataMessage> messages;
  if (prompt != nullptr && !read_messages(*prompt, fields, messages)) return false;
  const std::size_t n_prompt = messages.size();
  if (completion != nullptr && !read_messages(*completion, fields, messages)) return false;
  require(messages.size() == n_prompt || messages.back().role == "assistant",
          "the completion of {} ends with the {}'s message: expected the assistant's", fields.where(),
          messages.empty() ? "" : messages.back().role);
  const bool has_response = std::ranges::any_of(std::span(messages).subspan(n_prompt), is_response);
  // The assistant's messages of a prompt are no response.
  if (!has_response) messages.resize(n_prompt);
  const bool has_question = messages.empty() || messages.back().role != "assistant";
  require(has_response || has_question || fields.outputs() == Outputs::optional || !fields.answer_is_response(),
          "the prompt of {} ends with the assistant's message: expected the user's, which one of `choices` answers",
          fields.where());
  if (has_response || fields.may_be_question()) {
    fill_in(messages, fields, example);
  } else if (!messages.empty()) {
    example.instruction = messages.back().content;
  }
  return true;
}

}  // namespace

extern const Format prompt_completion_format;
const Format prompt_completion_format{.name = "prompt and completion",
                                      .keys = "prompt, completion",
                                      .first = "prompt",
                                      .response = "completion",
                                      .read = read};

}  // namespace csreft
