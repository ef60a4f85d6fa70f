#include "tests/golden_tokenizer.h"

#include "tests/models/text/golden_tokens.h"

void report_golden_tokens(const std::string& name, const csreft::Tokenizer& tokenizer,
                          const std::filesystem::path& tokens_json, const std::string& key, const GoldenSink& sink) {
  const GoldenTokens tokens = check_golden_tokens(tokenizer, tokens_json, key);
  csreft::require(tokens.texts > 0, "{} has no texts", tokens_json.string());
  const auto failed = tokens.failures.size();
  sink({name, failed == 0,
        fmt::format("{} of {} texts differ{}", failed, tokens.texts, failed == 0 ? "" : ": " + tokens.failures[0])});
}
