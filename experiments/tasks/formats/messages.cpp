// OpenAI's chat format: {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}.
#include "experiments/tasks/formats/format.h"

namespace csreft {
namespace {

bool read(Fields& fields, Example& example) {
  const auto* const list = fields.list("messages");
  std::vector<DataMessage> messages;
  if (list != nullptr && !read_messages(*list, fields, messages)) return false;
  fill_in(messages, fields, example);
  return true;
}

}  // namespace

extern const Format messages_format;
const Format messages_format{
    .name = "messages", .keys = "messages", .first = "messages", .response = "", .first_is_list = true, .read = read};

}  // namespace csreft
