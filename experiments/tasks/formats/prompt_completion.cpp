// {"prompt": "...", "completion": "..."}, both texts or both lists of messages. A text is put into the model's chat
// template as an instruction and its response are.
#include "core/base/error.h"
#include "experiments/tasks/formats/format.h"

namespace csreft {
namespace {

bool is_list(const nlohmann::json* value) { return value != nullptr && value->is_array(); }

bool read(Fields& fields, Example& example) {
  const auto* const prompt = fields.value("prompt");
  const auto* const completion = fields.value("completion");
  if (!is_list(prompt) && !is_list(completion)) {
    example.instruction = fields.text("prompt");
    example.output = fields.text("completion");
    return true;
  }
  require((prompt == nullptr || prompt->is_array()) && (completion == nullptr || completion->is_array()),
          "prompt and completion of {} are of two kinds: expected two texts, or two lists of messages", fields.where());
  std::vector<Message> messages;
  if (prompt != nullptr && !read_messages(*prompt, fields, messages)) return false;
  const std::size_t n_prompt = messages.size();
  if (completion != nullptr && !read_messages(*completion, fields, messages)) return false;
  const bool has_response = messages.size() > n_prompt;
  require(!has_response || messages.back().role == "assistant",
          "the completion of {} ends with the {}'s message: expected the assistant's", fields.where(),
          messages.empty() ? "" : messages.back().role);
  if (has_response || fields.outputs() == Outputs::optional) {
    fill_in(messages, fields, example);
  } else {
    example.history = std::move(messages);  // the assistant's messages of a prompt are no response
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
