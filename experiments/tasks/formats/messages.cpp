// OpenAI's chat format: {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}.
#include "experiments/tasks/formats/format.h"

namespace csreft {
namespace {

bool read(Fields& fields, Example& example) {
  const auto* const list = fields.value("messages");
  std::vector<Message> messages;
  if (list != nullptr && !read_messages(*list, fields, messages)) return false;
  fill_in(messages, fields, example);
  return true;
}

}  // namespace

extern const Format messages_format;
const Format messages_format{.name = "messages", .keys = "messages", .first = "messages", .response = "", .read = read};

}  // namespace csreft
