#include "models/text/added_tokens.h"

#include <algorithm>

#include <fmt/format.h>

#include "models/text/tokenizer.h"
#include "models/text/unicode.h"

namespace csreft {
namespace {

std::size_t white_space_at_end(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size()) {
    const auto rest = text.substr(0, text.size() - length);
    const auto last = rest.substr(rest.size() - last_character_length(rest));
    if (!is_white_space(code_point(last))) break;
    length += last.size();
  }
  return length;
}

std::size_t white_space_at_start(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size()) {
    const auto rest = text.substr(length);
    const auto first = rest.substr(0, utf8_front(rest).length);
    if (!is_white_space(code_point(first))) break;
    length += first.size();
  }
  return length;
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.content.empty(); });
  std::ranges::sort(tokens_, {}, &AddedToken::content);
  const auto same = [](const AddedToken& a, const AddedToken& b) { return a.content == b.content; };
  tokens_.erase(std::unique(tokens_.begin(), tokens_.end(), same), tokens_.end());
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const auto& content = tokens_[i].content;
    starts_[static_cast<unsigned char>(content.front())] = true;
    // What a token starts with precedes it, and so do the shorter tokens of its neighbour.
    std::optional<std::size_t> shorter;
    if (i > 0) shorter = i - 1;
    while (shorter && !content.starts_with(tokens_[*shorter].content)) shorter = shorter_[*shorter];
    shorter_.push_back(shorter);
    if (tokens_[i].single_word && !word_) word_.emplace(fmt::format("\\A[{}]", unicode_word), "added tokens");
  }
}

const AddedToken* AddedTokenMatcher::match(std::string_view text) const {
  const auto after = std::ranges::upper_bound(
      tokens_, text, {}, [](const AddedToken& token) -> std::string_view { return token.content; });
  if (after == tokens_.begin()) return nullptr;
  std::optional<std::size_t> found = static_cast<std::size_t>(after - tokens_.begin()) - 1;
  while (found && !text.starts_with(tokens_[*found].content)) found = shorter_[*found];
  return found ? &tokens_[*found] : nullptr;
}

bool AddedTokenMatcher::stands_alone(std::string_view text, std::size_t begin, std::size_t end) const {
  const auto is_word = [&](std::string_view part) { return Regex::Search(*word_, part).next().has_value(); };
  const auto before = text.substr(0, begin);
  if (!before.empty() && is_word(before.substr(begin - last_character_length(before)))) return false;
  return end == text.size() || !is_word(text.substr(end, utf8_front(text.substr(end)).length));
}

void AddedTokenMatcher::split(std::string_view text, const std::function<void(const Part&)>& part) const {
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size() && !tokens_.empty();) {
    const auto* token = starts_[static_cast<unsigned char>(text[i])] ? match(text.substr(i)) : nullptr;
    if (token == nullptr) {
      ++i;
      continue;
    }
    auto begin = i, end = i + token->content.size();
    i = end;
    if (token->single_word && !stands_alone(text, begin, end)) continue;
    if (token->lstrip) begin = std::max(done, begin - white_space_at_end(text.substr(0, begin)));
    if (token->rstrip) end += white_space_at_start(text.substr(end));
    if (done < begin) part({done, begin, nullptr});
    part({begin, end, token});
    done = end;
  }
  if (done < text.size()) part({done, text.size(), nullptr});
}

}  // namespace csreft
