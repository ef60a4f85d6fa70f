#include "models/text/normalizer.h"

#include "core/base/error.h"
#include "models/text/byte_alphabet.h"
#include "models/text/tokenizer.h"

namespace csreft {
namespace {

std::string applied(const PrependText& step, std::string_view text) {
  return text.empty() ? std::string() : step.text + std::string(text);
}

std::string applied(const ReplaceText& step, std::string_view text) {
  if (const auto* from = std::get_if<std::string>(&step.pattern)) return replace_all(text, *from, step.content);
  Regex::Search search(std::get<Regex>(step.pattern), text);
  std::string replaced;
  std::size_t done = 0;
  while (const auto match = search.next()) {
    replaced.append(text.substr(done, match->begin - done)).append(step.content);
    done = match->end;
  }
  return replaced.append(text.substr(done));
}

std::string applied(NormalForm form, std::string_view text) { return normal_form(text, form); }

std::string applied(LowerCase, std::string_view text) { return lower_case(text); }

std::string applied(const StripSpace& step, std::string_view text) {
  const auto first = [&] { return text.substr(0, utf8_front(text).length); };
  while (step.left && !text.empty() && is_white_space(code_point(first()))) text.remove_prefix(first().size());
  const auto last = [&] { return text.substr(text.size() - last_character_length(text)); };
  while (step.right && !text.empty() && is_white_space(code_point(last()))) text.remove_suffix(last().size());
  return std::string(text);
}

std::string applied(ToByteAlphabet, std::string_view text) { return in_byte_alphabet(text); }

}  // namespace

std::string normalize(const Normalizer& normalizer, std::string_view text) {
  const auto most = 64 * text.size() + (std::size_t{1} << 20U);  // replacements of replacements would grow without end
  std::string normalized(text);
  for (const auto& step : normalizer) {
    normalized = std::visit([&](const auto& known) { return applied(known, normalized); }, step);
    require(normalized.size() <= most, "the normalizer makes {} bytes of a text of {}: expected {} at most",
            normalized.size(), text.size(), most);
  }
  return normalized;
}

}  // namespace csreft
