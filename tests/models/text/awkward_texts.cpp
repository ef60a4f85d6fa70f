#include "tests/models/text/awkward_texts.h"

#include <array>

namespace {

using namespace std::string_view_literals;

constexpr std::string_view fragments[] = {"the"sv,
                                          " the"sv,
                                          "hello"sv,
                                          " World"sv,
                                          "HELLO"sv,
                                          "camelCase"sv,
                                          "don't"sv,
                                          "I'LL"sv,
                                          "we've"sv,
                                          "x"sv,
                                          "a b"sv,
                                          "  "sv,
                                          "   "sv,
                                          "\t"sv,
                                          "\n"sv,
                                          "\n\n"sv,
                                          "\r\n"sv,
                                          " \n"sv,
                                          " "sv,
                                          "        "sv,
                                          "1"sv,
                                          "12"sv,
                                          "123"sv,
                                          "1234"sv,
                                          "3.14"sv,
                                          "1,000,000"sv,
                                          "\u0661\u0662\u0663"sv,
                                          "\u00B2\u00BD"sv,
                                          "!"sv,
                                          "..."sv,
                                          "?!"sv,
                                          "--"sv,
                                          "("sv,
                                          ")"sv,
                                          "[x]"sv,
                                          "{}"sv,
                                          "$5"sv,
                                          "a_b"sv,
                                          "#tag"sv,
                                          "@me"sv,
                                          "http://a.b/c?d=e"sv,
                                          "<b>"sv,
                                          "&amp;"sv,
                                          "\\n"sv,
                                          "'"sv,
                                          "\""sv,
                                          "\u2019s"sv,
                                          "``"sv,
                                          "\u00E9"sv,
                                          "e\u0301"sv,
                                          "na\u00EFve"sv,
                                          "\u00C5"sv,
                                          "A\u030A"sv,
                                          "\u1E9B\u0323"sv,
                                          "\u0130"sv,
                                          "\u017F"sv,
                                          "\uFB01"sv,
                                          "\u2126"sv,
                                          "\u212B"sv,
                                          "\uFF21\uFF11"sv,
                                          "\u00DF"sv,
                                          "\u03A3\u03B1\u03C2"sv,
                                          "\u0416\u0443\u043A"sv,
                                          " \u043C\u0438\u0440"sv,
                                          "\u4F60\u597D"sv,
                                          "\u6570\u5B66"sv,
                                          "\u65E5\u672C\u8A9E"sv,
                                          "\u304B\u306A"sv,
                                          "\u30AB\u30CA"sv,
                                          "\uD55C\uAD6D"sv,
                                          "\u1100\u1161"sv,
                                          "\u3002"sv,
                                          "\u3000"sv,
                                          "\uFF0C"sv,
                                          "\u0645\u0631\u062D\u0628\u0627"sv,
                                          "\u0634\u064F\u0643\u0652\u0631"sv,
                                          "\u05E9\u05C1"sv,
                                          "\u0E2A\u0E27\u0E31\u0E2A\u0E14\u0E35"sv,
                                          "\u0939\u093F\u0928\u094D\u0926\u0940"sv,
                                          "\u0BA4\u0BAE\u0BBF"sv,
                                          "\U0001F600"sv,
                                          "\U0001F468\u200D\U0001F469\u200D\U0001F467"sv,
                                          "\U0001F44D\U0001F3FD"sv,
                                          "\U0001F1E9\U0001F1EA"sv,
                                          "\u2764\uFE0F"sv,
                                          "\U0001D54F"sv,
                                          "\U00010400"sv,
                                          "\000"sv,
                                          "\001"sv,
                                          "\007"sv,
                                          "\033[0m"sv,
                                          "\177"sv,
                                          "\302\205"sv,
                                          "\u00A0"sv,
                                          "\u00AD"sv,
                                          "\u180E"sv,
                                          "\u200B"sv,
                                          "\u200C"sv,
                                          "\u200D"sv,
                                          "\u200E"sv,
                                          "\u2028"sv,
                                          "\u2029"sv,
                                          "\u202F"sv,
                                          "\u205F"sv,
                                          "\uFEFF"sv,
                                          "\uFFFD"sv,
                                          "\u2581"sv,
                                          "\u2581\u2581"sv,
                                          "\u0120"sv,
                                          "\u010A"sv,
                                          "\uE000"sv,
                                          "\U0010FFFF"sv,
                                          "\u0378"sv,
                                          "<s>"sv,
                                          "</s>"sv,
                                          "<unk>"sv,
                                          "<|im_start|>"sv,
                                          "<|im_end|>"sv,
                                          "<|im_end|> "sv,
                                          " <|im_end|>\n"sv,
                                          "<|im_"sv,
                                          "[PAD]"sv,
                                          "<mask>"sv,
                                          "<0x0A>"sv,
                                          "<|end"sv,
                                          "user\n"sv,
                                          "assistant"sv};

// Code points, both ends included.
constexpr std::pair<char32_t, char32_t> ranges[] = {
    {0x20, 0x7E},     {0xA0, 0x34F},    {0x370, 0x52F},     {0x5D0, 0x5EA},    {0x620, 0x6FF},   {0x900, 0x97F},
    {0xE01, 0xE3A},   {0x1100, 0x11FF}, {0x1E00, 0x1FFF},   {0x2000, 0x22FF},  {0x3041, 0x30FF}, {0x4E00, 0x9FEF},
    {0xAC00, 0xD7A3}, {0xFF01, 0xFFEE}, {0x10400, 0x1044F}, {0x1F300, 0x1F64F}};

// SplitMix64 (Steele et al., 2014).
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : state_(seed) {}
  std::size_t below(std::size_t n) {
    state_ += 0x9E3779B97F4A7C15U;
    auto z = state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return static_cast<std::size_t>((z ^ (z >> 31U)) % n);
  }

 private:
  std::uint64_t state_;
};

std::string utf8_of(char32_t c) {
  if (c < 0x80) return {static_cast<char>(c)};
  const std::size_t length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  std::string bytes(length, '\0');
  for (std::size_t i = length; i-- > 1; c >>= 6U) bytes[i] = static_cast<char>(0x80U | (c & 0x3FU));
  bytes[0] = static_cast<char>((0xF00U >> length & 0xFFU) | c);
  return bytes;
}

std::string fragment(Draws& draws) { return std::string(fragments[draws.below(std::size(fragments))]); }

std::string part(Draws& draws) {
  switch (draws.below(20)) {
    case 0: {
      const auto [first, last] = ranges[draws.below(std::size(ranges))];
      return utf8_of(first + static_cast<char32_t>(draws.below(last - first + 1)));
    }
    case 1: {
      const auto repeated = fragment(draws);
      std::string text;
      for (auto n = 1 + draws.below(9); n > 0; --n) text += repeated;
      return text;
    }
    case 2: return {static_cast<char>(32 + draws.below(95))};
    default: return fragment(draws);
  }
}

}  // namespace

std::vector<std::string> awkward_texts(std::size_t n, std::uint64_t seed) {
  Draws draws(seed);
  std::vector<std::string> texts(n);
  for (auto& text : texts) {
    for (auto parts = 1 + draws.below(12); parts > 0; --parts) text += part(draws);
  }
  return texts;
}
