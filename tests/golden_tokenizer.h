// Golden values of a tokenizer.
#pragma once

#include <filesystem>
#include <string>

#include "models/text/tokenizer.h"
#include "tests/golden_compare.h"

// All texts of tokens.json against their ids under `key`, exact, as one result; the first failures are in its detail.
void report_golden_tokens(const std::string& name, const csreft::Tokenizer& tokenizer,
                          const std::filesystem::path& tokens_json, const std::string& key, const GoldenSink& sink);
