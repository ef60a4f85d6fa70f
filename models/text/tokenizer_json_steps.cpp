#include "models/text/tokenizer_json_steps.h"

#include <algorithm>
#include <array>

#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/base/json_file.h"
#include "models/text/byte_alphabet.h"
#include "models/text/tokenizer.h"

namespace csreft {
namespace {

using Json = nlohmann::json;

// A component of the file and the types of it that are read, a Sequence of them among them.
struct Kind {
  const char* key;
  const char* list;  // under which a Sequence has its parts
  std::vector<std::string_view> types;
};

const std::array<Kind, 4>& kinds() {
  static const std::array<Kind, 4> all{{
      {"normalizer",
       "normalizers",
       {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Prepend", "Replace", "Strip", "ByteLevel"}},
      {"pre_tokenizer",
       "pretokenizers",
       {"Split", "ByteLevel", "Digits", "Metaspace", "Punctuation", "Whitespace", "WhitespaceSplit",
        "CharDelimiterSplit"}},
      {"decoder", "decoders", {"ByteLevel", "ByteFallback", "Fuse", "Metaspace", "Replace", "Strip"}},
      {"post_processor", "processors", {"TemplateProcessing", "RobertaProcessing", "BertProcessing", "ByteLevel"}},
  }};
  return all;
}

// The parts of nested Sequences, or the one that stands for itself; none for null. Throws Error for too deep nesting.
void append_parts(const Json& component, const Kind& kind, const std::string& file, std::vector<const Json*>& parts,
                  int depth = 0) {
  require(depth < 16, "{}: {} has Sequences within Sequences, {} deep: expected less", file, kind.key, depth);
  if (component.is_null()) return;
  if (json_type(component) != "Sequence") return parts.push_back(&component);
  const auto& list = json_member(component, kind.list, file);
  require(list.is_array(), "{}: {} is {}: expected a list", file, kind.list, list.type_name());
  for (const auto& part : list) append_parts(part, kind, file, parts, depth + 1);
}

std::vector<const Json*> parts_of(const Json& component, const Kind& kind, const std::string& file) {
  std::vector<const Json*> parts;
  append_parts(component, kind, file, parts);
  for (const auto* part : parts) {
    const auto type = json_type(*part);
    require(std::ranges::find(kind.types, type) != kind.types.end(),
            "{}: {} '{}' is not supported: expected Sequence or one of {}", file, kind.key, printable(type),
            fmt::join(kind.types, ", "));
  }
  return parts;
}

bool flag(const Json& object, const char* key, bool absent, const std::string& file) {
  return find_json<bool>(object, key, file).value_or(absent);
}

std::string text(const Json& object, const char* key, const std::string& file) {
  return get_json<std::string>(object, key, file);
}

// {"String": TEXT} or {"Regex": PATTERN}
std::variant<std::string, Regex> read_pattern(const Json& object, const std::string& file) {
  const auto& pattern = json_member(object, "pattern", file);
  if (pattern.is_object() && pattern.contains("Regex")) return Regex(text(pattern, "Regex", file), file);
  require(pattern.is_object() && pattern.contains("String"), "{}: the pattern {} is not supported: expected {}", file,
          printable(pattern.dump()), R"({"String": TEXT} or {"Regex": PATTERN})");
  auto literal = text(pattern, "String", file);
  require(!literal.empty(), "{}: a pattern is an empty text: expected a text", file);
  return literal;
}

NormalizerStep read_normalizer_step(const Json& step, const std::string& file) {
  const auto type = json_type(step);
  if (type == "NFC") return NormalForm::nfc;
  if (type == "NFD") return NormalForm::nfd;
  if (type == "NFKC") return NormalForm::nfkc;
  if (type == "NFKD") return NormalForm::nfkd;
  if (type == "Lowercase") return LowerCase{};
  if (type == "Prepend") return PrependText{text(step, "prepend", file)};
  if (type == "Replace") return ReplaceText{read_pattern(step, file), text(step, "content", file)};
  if (type == "Strip") return StripSpace{flag(step, "strip_left", true, file), flag(step, "strip_right", true, file)};
  return ToByteAlphabet{};
}

MatchBehavior read_behavior(const Json& step, std::string_view absent, const std::string& file) {
  constexpr std::array<std::pair<std::string_view, MatchBehavior>, 5> names{{
      {"Isolated", MatchBehavior::isolated},
      {"Removed", MatchBehavior::removed},
      {"MergedWithPrevious", MatchBehavior::merged_with_previous},
      {"MergedWithNext", MatchBehavior::merged_with_next},
      {"Contiguous", MatchBehavior::contiguous},
  }};
  const auto given = find_json<std::string>(step, "behavior", file).value_or(std::string(absent));
  for (const auto& [name, behavior] : names) {
    if (name == given) return behavior;
  }
  fail(
      "{}: the behavior '{}' is not supported: expected Isolated, Removed, MergedWithPrevious, MergedWithNext or "
      "Contiguous",
      file, printable(given));
}

SplitPieces read_split_pieces(const Json& step, const std::string& file) {
  auto pattern = read_pattern(step, file);
  if (const auto* literal = std::get_if<std::string>(&pattern)) pattern = Regex(Regex::escaped(*literal), file);
  return {std::get<Regex>(pattern), read_behavior(step, "", file), flag(step, "invert", false, file)};
}

Metaspace read_metaspace(const Json& step, const std::string& file) {
  Metaspace metaspace;
  metaspace.replacement = text(step, "replacement", file);
  require(!metaspace.replacement.empty(), "{}: Metaspace has an empty replacement: expected a character", file);
  const auto scheme = find_json<std::string>(step, "prepend_scheme", file).value_or("always");
  require(scheme == "always" || scheme == "first" || scheme == "never",
          "{}: the prepend_scheme '{}' is not supported: expected always, first or never", file, printable(scheme));
  metaspace.prefix = scheme == "first" ? Metaspace::Prefix::first : Metaspace::Prefix::always;
  if (scheme == "never" || !flag(step, "add_prefix_space", true, file)) metaspace.prefix = Metaspace::Prefix::never;
  metaspace.split = flag(step, "split", true, file);
  return metaspace;
}

// `last`: nothing follows, so the model itself can read bytes.
void append_byte_level(const Json& step, bool last, const std::string& file, PreTokenizer& steps) {
  if (flag(step, "add_prefix_space", true, file)) steps.emplace_back(PrefixSpace{});
  if (flag(step, "use_regex", true, file)) steps.emplace_back(SplitPieces{Regex(gpt2_pattern, file)});
  if (!last) steps.emplace_back(SpellBytes{});
}

void append_pre_tokenizer_step(const Json& step, bool last, const std::string& file, PreTokenizer& steps) {
  const auto type = json_type(step);
  if (type == "ByteLevel") return append_byte_level(step, last, file, steps);
  if (type == "Split") return static_cast<void>(steps.emplace_back(read_split_pieces(step, file)));
  if (type == "Metaspace") return static_cast<void>(steps.emplace_back(read_metaspace(step, file)));
  if (type == "Digits") {
    const auto behavior =
        flag(step, "individual_digits", false, file) ? MatchBehavior::isolated : MatchBehavior::contiguous;
    steps.emplace_back(SplitPieces{Regex("\\p{N}", file), behavior});
  } else if (type == "Punctuation") {
    steps.emplace_back(SplitPieces{Regex(R"([\p{P}!-/:-@\[-`{-~])", file), read_behavior(step, "Isolated", file)});
  } else if (type == "Whitespace") {
    steps.emplace_back(
        SplitPieces{Regex(fmt::format("[{0}]+|[^{0}\\s]+", unicode_word), file), MatchBehavior::removed, true});
  } else if (type == "WhitespaceSplit") {
    steps.emplace_back(SplitPieces{Regex("\\s", file), MatchBehavior::removed});
  } else {
    steps.emplace_back(SplitPieces{Regex(Regex::escaped(text(step, "delimiter", file)), file), MatchBehavior::removed});
  }
}

// The byte of "<0x0A>"; the token itself if it is not written so.
std::string byte_fallback(const std::string& token) {
  const auto byte = byte_of_piece(token);
  return byte ? std::string(1, *byte) : token;
}

std::string without_ends(std::string_view rest, char content, std::size_t start, std::size_t stop) {
  for (; start > 0 && rest.starts_with(content); --start) rest.remove_prefix(1);
  for (; stop > 0 && rest.ends_with(content); --stop) rest.remove_suffix(1);
  return std::string(rest);
}

// Takes characters off the ends of each token or, once they are fused, of the text.
void append_strip(const Json& step, bool fused, const std::string& file, TokenDecoder& decoder) {
  const auto content = text(step, "content", file);
  const auto start = get_json<std::uint64_t>(step, "start", file), stop = get_json<std::uint64_t>(step, "stop", file);
  require(content.size() == 1, "{}: the decoder strips '{}': expected one ASCII character", file, printable(content));
  if (!fused) {
    decoder.steps.emplace_back(
        [c = content.front(), start, stop](const std::string& token) { return without_ends(token, c, start, stop); });
    return;
  }
  require((content == " " && start <= 1 && stop == 0) || start + stop == 0,
          "{}: the decoder strips {} and {} of '{}' off a text: expected one space at its start", file, start, stop,
          printable(content));
  decoder.leading_space = decoder.leading_space || start == 1;
}

void append_decoder_step(const Json& step, bool& fused, const std::string& file, TokenDecoder& decoder) {
  const auto type = json_type(step);
  if (type == "Strip") return append_strip(step, fused, file, decoder);
  if (type == "Fuse") fused = true;
  if (type == "ByteLevel") decoder.steps.emplace_back([](const std::string& token) { return bytes_of_token(token); });
  if (type == "ByteFallback") decoder.steps.emplace_back(byte_fallback);
  if (type == "Replace") {
    decoder.steps.emplace_back(
        [replace = Normalizer{ReplaceText{read_pattern(step, file), text(step, "content", file)}}](
            const std::string& token) { return normalize(replace, token); });
  }
  if (type == "Metaspace") {
    const auto metaspace = read_metaspace(step, file);
    decoder.leading_space = decoder.leading_space || metaspace.prefix != Metaspace::Prefix::never;
    decoder.steps.emplace_back(
        [mark = metaspace.replacement](const std::string& token) { return replace_all(token, mark, " "); });
  }
}

// {"cls": [TOKEN, ID], "sep": [TOKEN, ID]}: the first stands in front of a text, the other behind it.
std::string read_cls(const Json& step, const std::string& file) {
  const auto& cls = json_member(step, "cls", file);
  require(cls.is_array() && cls.size() == 2 && cls[0].is_string(), "{}: `cls` is {}: expected [TOKEN, ID]", file,
          printable(cls.dump()));
  return cls[0].get<std::string>();
}

}  // namespace

const Json& json_member(const Json& object, const char* key, const std::string& where) {
  require(object.is_object() && object.contains(key), "{}: expected a member '{}'", where, key);
  return object[key];
}

std::string json_type(const Json& component) {
  if (!component.is_object()) return "";
  const auto type = component.find("type");
  return type != component.end() && type->is_string() ? type->get<std::string>() : "";
}

Normalizer read_normalizer(const Json& component, const std::string& file) {
  Normalizer normalizer;
  for (const auto* step : parts_of(component, kinds()[0], file)) {
    normalizer.push_back(read_normalizer_step(*step, file));
  }
  return normalizer;
}

PreTokenizer read_pre_tokenizer(const Json& component, const std::string& file) {
  PreTokenizer steps;
  const auto parts = parts_of(component, kinds()[1], file);
  for (const auto* part : parts) append_pre_tokenizer_step(*part, part == parts.back(), file, steps);
  return steps;
}

bool ends_in_bytes(const Json& pre_tokenizer, const std::string& file) {
  const auto parts = parts_of(pre_tokenizer, kinds()[1], file);
  return !parts.empty() && json_type(*parts.back()) == "ByteLevel";
}

TokenDecoder read_decoder(const Json& component, const std::string& file) {
  TokenDecoder decoder;
  bool fused = false;
  for (const auto* step : parts_of(component, kinds()[2], file)) append_decoder_step(*step, fused, file, decoder);
  return decoder;
}

std::optional<std::string> read_text_start(const Json& component, const std::string& file) {
  std::vector<std::string> names;
  for (const auto* step : parts_of(component, kinds()[3], file)) {
    const auto type = json_type(*step);
    if (type == "RobertaProcessing" || type == "BertProcessing") names.push_back(read_cls(*step, file));
    if (type != "TemplateProcessing") continue;
    for (const auto& part : json_member(*step, "single", file)) {
      if (!part.is_object() || !part.contains("SpecialToken")) break;
      names.push_back(text(part["SpecialToken"], "id", file));
    }
  }
  require(names.size() <= 1, "{}: post_processor puts '{}' in front of a text: expected one token, or none", file,
          printable(fmt::format("{}", fmt::join(names, "', '"))));
  return names.empty() ? std::nullopt : std::optional(names.front());
}

std::optional<std::string> find_unread_type(const Json& tokenizer) {
  for (const auto& kind : kinds()) {
    const auto component = tokenizer.find(kind.key);
    if (component == tokenizer.end()) continue;
    std::vector<const Json*> parts;
    append_parts(*component, kind, kind.key, parts);
    for (const auto* part : parts) {
      const auto type = json_type(*part);
      if (std::ranges::find(kind.types, type) == kind.types.end()) return fmt::format("{} '{}'", kind.key, type);
    }
  }
  return std::nullopt;
}

}  // namespace csreft
