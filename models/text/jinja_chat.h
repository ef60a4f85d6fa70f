// Conversations by a model's own template: what chat_template.h promises for JinjaForm.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/text/conversation.h"
#include "models/text/tokenizer.h"

namespace csreft {

// `name` is the template's, for errors.
struct JinjaChat {
  const std::string& name;
  const JinjaForm& form;
  const Tokenizer& tokenizer;
};

std::vector<std::int32_t> encode_jinja_prompt(const JinjaChat& chat, std::span<const Message> messages);
std::vector<std::int32_t> encode_jinja_response(const JinjaChat& chat, std::string_view output);
// The token with which the template ends an assistant's turn, or EOS. Throws Error if the tokenizer has neither.
std::int32_t jinja_response_end(const JinjaChat& chat);
std::string jinja_own_system_message(const std::string& name, const JinjaForm& form);

}  // namespace csreft
