// {"text": "..."}: text without a prompt, all of which is learnt, in no chat template.
#include "core/base/error.h"
#include "experiments/tasks/formats/format.h"

namespace csreft {
namespace {

bool read(Fields& fields, Example& example) {
  require(fields.outputs() == Outputs::required,
          "{} has a text and no prompt: expected an instruction, a prompt or a conversation to be answered",
          fields.where());
  example.is_text = true;
  example.output = fields.text("text");
  return true;
}

}  // namespace

extern const Format text_format;
const Format text_format{.name = "text", .keys = "text", .first = "text", .response = "", .read = read};

}  // namespace csreft
