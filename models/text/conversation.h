// What chat templates are given.
#pragma once

#include <map>
#include <string>

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

}  // namespace csreft
