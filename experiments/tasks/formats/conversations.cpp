// ShareGPT's format: {"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]}.
#include "experiments/tasks/formats/format.h"

namespace csreft {
namespace {

bool read(Fields& fields, Example& example) {
  const auto* const list = fields.list("conversations");
  std::vector<DataMessage> messages;
  if (list != nullptr && !read_messages(*list, fields, messages)) return false;
  fill_in(messages, fields, example);
  return true;
}

}  // namespace

extern const Format conversations_format;
const Format conversations_format{.name = "conversations",
                                  .keys = "conversations",
                                  .first = "conversations",
                                  .response = "",
                                  .first_is_list = true,
                                  .read = read};

}  // namespace csreft
