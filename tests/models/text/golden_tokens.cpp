#include "tests/models/text/golden_tokens.h"

#include <algorithm>
#include <cstdint>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace {

// What is wrong, or nothing.
std::string check_text(const csreft::Tokenizer& tokenizer, const std::string& text,
                       const std::vector<std::int32_t>& expected) {
  const auto ids = tokenizer.encode(text);
  if (ids != expected) {
    const auto [got, wanted] = std::mismatch(ids.begin(), ids.end(), expected.begin(), expected.end());
    const auto id_at = [](auto at, auto end) { return at == end ? std::string("the end") : fmt::format("{}", *at); };
    return fmt::format("id {} is {}, expected {}", got - ids.begin(), id_at(got, ids.end()),
                       id_at(wanted, expected.end()));
  }
  const auto decoded = tokenizer.decode(ids, false);
  if (decoded != text) return fmt::format("decoded to '{}'", decoded);
  csreft::IncrementalDecoder decoder(tokenizer, false);
  std::string joined;
  for (const auto id : ids) joined += decoder.push(id);
  joined += decoder.finish();
  return joined == text ? "" : fmt::format("decoded one by one to '{}'", joined);
}

}  // namespace

GoldenTokens check_golden_tokens(const csreft::Tokenizer& tokenizer, const std::filesystem::path& tokens_json,
                                 const std::string& key) try {
  std::ifstream stream(tokens_json);
  csreft::require(stream.is_open(), "{}: cannot be read: expected a list of texts and ids", tokens_json.string());
  GoldenTokens result;
  for (const auto& entry : nlohmann::json::parse(stream)) {
    const auto text = entry.at("text").get<std::string>();
    const auto wrong = check_text(tokenizer, text, entry.at(key).get<std::vector<std::int32_t>>());
    if (!wrong.empty()) {
      result.failures.push_back(fmt::format("{} text {} '{}': {}", key, result.texts, text.substr(0, 60), wrong));
    }
    ++result.texts;
  }
  return result;
} catch (const nlohmann::json::exception& error) {
  csreft::fail("{}: {}: expected a list of {{\"text\", \"{}\"}}", tokens_json.string(), error.what(), key);
}
