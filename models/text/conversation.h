// What chat templates are given, and what they make of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "models/text/jinja/jinja.h"

namespace csreft {

struct Message {
  std::string role, content;  // role: "system", "user" or "assistant"
};

// The texts of a model's special tokens by the names that a chat template has for them: "bos_token": "<s>".
using SpecialTokens = std::map<std::string, std::string>;

// A model's own, as its authors wrote it.
struct JinjaForm {
  jinja::Template text;
  SpecialTokens special_tokens;
};

struct EncodedConversation {
  std::vector<std::int32_t> ids;
  // Half-open spans of `ids`: each assistant's turn, with the id that ends it. What a Jinja template writes otherwise
  // once a later turn follows (an answer without its thinking) has no span.
  std::vector<std::pair<std::int64_t, std::int64_t>> responses;
};

}  // namespace csreft
