#include "models/text/byte_level_bpe.h"

#include <array>
#include <memory>
#include <queue>
#include <unordered_map>

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage): pcre2.h reads it.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/base/error.h"

namespace csreft {

// \s is left to `with_unicode_white_space`.
const char* const gpt2_pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

constexpr const char* llama3_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+)"
    R"(|\s+(?!\S)|\s+)";

// PCRE2 counts U+180E as white space, Unicode's White_Space and Hugging Face's tokenizers do not: \s and \S are spelled
// out as the property.
std::string with_unicode_white_space(std::string_view pattern, const std::string& source) {
  constexpr std::string_view white_space = R"(\t-\r\x{85}\p{Z})";
  std::string spelled;
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    require(!(in_class && c == '['), "{}: a class within a class is not supported in the pattern {}: expected \\[",
            source, printable(pattern));
    if (c != '\\' || i + 1 == pattern.size()) {
      in_class = c == '[' || (in_class && c != ']');
      spelled += c;
      continue;
    }
    const char escaped = pattern[++i];
    require(!(in_class && escaped == 'S'), "{}: \\S inside a class is not supported in the pattern {}: expected \\s",
            source, printable(pattern));
    if (escaped == 's') {
      spelled += in_class ? fmt::format("{}", white_space) : fmt::format("[{}]", white_space);
    } else if (escaped == 'S') {
      spelled += fmt::format("[^{}]", white_space);
    } else {
      spelled += {c, escaped};
    }
  }
  return spelled;
}

class Regex {
 public:
  Regex(const std::string& pattern, const std::string& source) : source_(source) {
    const auto spelled = with_unicode_white_space(pattern, source);
    int error = 0;
    PCRE2_SIZE position = 0;
    // Bytes that are no UTF-8 match nothing.
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(spelled.data()), spelled.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF, &error, &position, nullptr));
    require(code_ != nullptr, "{}: the pattern {} does not compile at character {}: expected a regular expression",
            source, printable(spelled), position);
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // without it matching is only slower
  }

  // Calls part(text) for each match and each stretch between matches, in order; none of them empty.
  template <typename Part>
  void split(std::string_view text, Part part) const {
    const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> data(
        pcre2_match_data_create_from_pattern(code_.get(), nullptr), &pcre2_match_data_free);
    std::size_t done = 0;
    for (std::size_t from = 0; from < text.size();) {
      const int matched = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                                      PCRE2_NOTEMPTY, data.get(), nullptr);
      if (matched == PCRE2_ERROR_NOMATCH) break;
      require(matched > 0,
              "{}: the pre-tokenizer fails on a text of {} bytes (PCRE2 error {}): expected a shorter text", source_,
              text.size(), matched);
      const auto* offsets = pcre2_get_ovector_pointer(data.get());
      if (offsets[0] > done) part(text.substr(done, offsets[0] - done));
      part(text.substr(offsets[0], offsets[1] - offsets[0]));
      done = from = offsets[1];
    }
    if (done < text.size()) part(text.substr(done));
  }

 private:
  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  };
  std::unique_ptr<pcre2_code, Free> code_;
  std::string source_;
};

// GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the 68 others for U+0100 onwards.
std::array<char32_t, 256> byte_alphabet() {
  std::array<char32_t, 256> alphabet{};
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool is_printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    alphabet[byte] = is_printable ? byte : next++;
  }
  return alphabet;
}

// All code points of the alphabet are below U+0144: two bytes of UTF-8 at most.
std::string utf8_of(char32_t code_point) {
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xC0U | (code_point >> 6U)), static_cast<char>(0x80U | (code_point & 0x3FU))};
}

// The bytes that a token's characters stand for; the token itself if it is not written in the alphabet.
std::string bytes_of(std::string_view token, const std::unordered_map<std::string, char>& byte_of) {
  std::string bytes;
  for (auto rest = token; !rest.empty();) {
    const auto length = utf8_front(rest).length;
    const auto found = byte_of.find(std::string(rest.substr(0, length)));
    if (found == byte_of.end()) return std::string(token);
    bytes += found->second;
    rest.remove_prefix(length);
  }
  return bytes;
}

constexpr std::int32_t no_token = -1;

class ByteLevelBpe {
 public:
  explicit ByteLevelBpe(const BpeVocabulary& vocabulary);
  std::vector<std::int32_t> encode(std::string_view text) const;
  const TokenTable& table() const { return table_; }

 private:
  struct Merge {
    std::int32_t rank, merged;
  };
  struct Step {
    std::optional<Regex> regex;
    bool add_prefix_space;
  };
  static std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
    return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32U) | static_cast<std::uint32_t>(right);
  }
  void read_tokens(const BpeVocabulary& vocabulary);
  void read_merges(const BpeVocabulary& vocabulary);
  // Cuts `part` by the steps from `step` on and encodes what results.
  void encode_part(std::string_view part, std::size_t step, std::vector<std::int32_t>& ids) const;
  void encode_word(std::string_view word, std::vector<std::int32_t>& ids) const;
  void merge_pairs(std::vector<std::int32_t>& ids) const;

  TokenTable table_;
  TokenMatcher added_tokens_;
  std::vector<Step> steps_;
  std::array<std::int32_t, 256> byte_ids_{};
  std::unordered_map<std::string, std::int32_t> ids_;    // by a token as the vocabulary writes it
  std::unordered_map<std::string, std::int32_t> words_;  // by a token's bytes; only with ignore_merges
  std::unordered_map<std::uint64_t, Merge> merges_;
};

ByteLevelBpe::ByteLevelBpe(const BpeVocabulary& vocabulary) {
  read_tokens(vocabulary);
  read_merges(vocabulary);
  for (const auto& [pattern, add_prefix_space] : vocabulary.pre_tokenizer) {
    auto regex = pattern.empty() ? std::nullopt : std::optional<Regex>(std::in_place, pattern, vocabulary.source);
    steps_.push_back({std::move(regex), add_prefix_space});
  }
}

void ByteLevelBpe::read_tokens(const BpeVocabulary& vocabulary) {
  const auto size = vocabulary.tokens.size();
  require(vocabulary.types.empty() || vocabulary.types.size() == size,
          "{}: {} token types for {} tokens: expected one each", vocabulary.source, vocabulary.types.size(), size);
  for (const auto& id : {vocabulary.bos, vocabulary.eos, vocabulary.unknown}) {
    require(!id || (*id >= 0 && static_cast<std::size_t>(*id) < size),
            "{}: special token id {} is outside the vocabulary: expected 0 to {}", vocabulary.source, id.value_or(0),
            static_cast<std::int64_t>(size) - 1);
  }
  const auto alphabet = byte_alphabet();
  std::unordered_map<std::string, char> byte_of;
  for (std::size_t byte = 0; byte < 256; ++byte) byte_of[utf8_of(alphabet[byte])] = static_cast<char>(byte);

  for (std::size_t i = 0; i < size; ++i) {
    const auto& token = vocabulary.tokens[i];
    const auto id = static_cast<std::int32_t>(i);
    require(!token.empty(), "{}: token {} is empty: expected a text", vocabulary.source, id);
    const auto [first, is_new] = ids_.emplace(token, id);
    if (!is_new) {
      fail("{}: tokens {} and {} are both '{}': expected distinct tokens", vocabulary.source, first->second, id,
           printable(token));
    }
    const auto type = vocabulary.types.empty() ? TokenType::normal : vocabulary.types[i];
    const bool added = type == TokenType::control || type == TokenType::user_defined;
    if (added) added_tokens_.add(token, id);
    table_.text.push_back(added ? token : bytes_of(token, byte_of));
    table_.special.push_back(type == TokenType::control);
    if (vocabulary.ignore_merges && !added) words_.emplace(table_.text.back(), id);
  }
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const auto found = ids_.find(utf8_of(alphabet[byte]));
    byte_ids_[byte] = found == ids_.end() ? vocabulary.unknown.value_or(no_token) : found->second;
  }
  table_.bos = vocabulary.bos;
  table_.eos = vocabulary.eos;
  table_.add_bos = vocabulary.add_bos;
}

void ByteLevelBpe::read_merges(const BpeVocabulary& vocabulary) {
  for (std::size_t i = 0; i < vocabulary.merges.size(); ++i) {
    const auto& merge = vocabulary.merges[i];
    const auto id_of = [&](const std::string& token) {
      const auto found = ids_.find(token);
      if (found == ids_.end()) {
        fail("{}: merge {} '{}' needs the token '{}': expected it in the vocabulary", vocabulary.source, i,
             printable(merge), printable(token));
      }
      return found->second;
    };
    const auto space = merge.find(' ');
    if (space == merge.npos) {
      fail("{}: merge {} '{}' is no pair: expected two tokens and a space between", vocabulary.source, i,
           printable(merge));
    }
    const auto left = merge.substr(0, space);
    const auto right = merge.substr(space + 1);
    const auto left_id = id_of(left);
    const auto right_id = id_of(right);
    merges_[pair_key(left_id, right_id)] = {static_cast<std::int32_t>(i), id_of(left + right)};
  }
}

std::vector<std::int32_t> ByteLevelBpe::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto* added = added_tokens_.match(text.substr(i));
    if (added == nullptr) {
      ++i;
      continue;
    }
    encode_part(text.substr(begin, i - begin), 0, ids);
    ids.push_back(added->second);
    begin = i += added->first.size();
  }
  encode_part(text.substr(begin), 0, ids);
  return ids;
}

void ByteLevelBpe::encode_part(std::string_view part, std::size_t step, std::vector<std::int32_t>& ids) const {
  if (part.empty()) return;
  if (step == steps_.size()) return encode_word(part, ids);
  const auto& [regex, add_prefix_space] = steps_[step];
  const auto cut = [&](std::string_view text) {
    if (!regex) return encode_part(text, step + 1, ids);
    regex->split(text, [&](std::string_view piece) { encode_part(piece, step + 1, ids); });
  };
  if (add_prefix_space && part.front() != ' ') return cut(" " + std::string(part));
  cut(part);
}

void ByteLevelBpe::encode_word(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (!words_.empty()) {
    const auto found = words_.find(std::string(word));
    if (found != words_.end()) return ids.push_back(found->second);
  }
  std::vector<std::int32_t> symbols;
  symbols.reserve(word.size());
  for (const char c : word) {
    const auto id = byte_ids_[static_cast<unsigned char>(c)];
    if (id != no_token) symbols.push_back(id);
  }
  merge_pairs(symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

// Merges the pair of the lowest rank, the leftmost of equals, until no pair has one: n symbols in O(n log n).
void ByteLevelBpe::merge_pairs(std::vector<std::int32_t>& ids) const {
  struct Candidate {
    Merge merge;
    std::size_t left, right;
    std::int32_t left_id, right_id;
    bool operator<(const Candidate& other) const {
      return merge.rank != other.merge.rank ? merge.rank > other.merge.rank : left > other.left;
    }
  };
  const auto end = ids.size();
  std::vector<std::size_t> previous(end), next(end);  // neighbours among the symbols that are left; `end` is none
  std::priority_queue<Candidate> candidates;
  const auto propose = [&](std::size_t left, std::size_t right) {
    if (left == end || right == end) return;
    const auto found = merges_.find(pair_key(ids[left], ids[right]));
    if (found != merges_.end()) candidates.push({found->second, left, right, ids[left], ids[right]});
  };
  for (std::size_t i = 0; i < end; ++i) {
    previous[i] = i == 0 ? end : i - 1;
    next[i] = i + 1;
    propose(i, next[i]);
  }
  while (!candidates.empty()) {
    const auto [merge, left, right, left_id, right_id] = candidates.top();
    candidates.pop();
    // A symbol that was merged since is another token or, as the right half of a pair, none.
    if (ids[left] != left_id || ids[right] != right_id) continue;
    ids[left] = merge.merged;
    ids[right] = no_token;
    next[left] = next[right];
    if (next[left] != end) previous[next[left]] = left;
    propose(previous[left], left);
    propose(left, next[left]);
  }
  std::erase(ids, no_token);
}

}  // namespace

void set_gguf_pre_tokenizer(std::string_view name, BpeVocabulary& vocabulary) {
  vocabulary.ignore_merges = vocabulary.add_bos = name == "llama-bpe";
  if (name == "smollm") {
    vocabulary.pre_tokenizer = {{"\\p{N}"}, {gpt2_pattern}};
  } else if (name == "gpt-2") {
    vocabulary.pre_tokenizer = {{gpt2_pattern}};
  } else if (name == "llama-bpe") {
    vocabulary.pre_tokenizer = {{llama3_pattern}};
  } else if (name == "default") {  // llama.cpp's cuts for files that name none
    vocabulary.pre_tokenizer = {{R"([\p{P}$+<=>^~|]+)"}, {gpt2_pattern}, {"\\p{N}+"}, {"[0-9][0-9][0-9]"}};
  } else {
    fail("{}: the pre-tokenizer '{}' is not supported: expected smollm, gpt-2, llama-bpe or default", vocabulary.source,
         printable(name));
  }
}

Tokenizer make_bpe_tokenizer(const BpeVocabulary& vocabulary) {
  const auto model = std::make_shared<const ByteLevelBpe>(vocabulary);
  return Tokenizer(model->table(), [model](std::string_view text) { return model->encode(text); });
}

}  // namespace csreft
