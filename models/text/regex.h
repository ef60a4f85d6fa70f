// Regular expressions as Hugging Face's tokenizers read them, found by PCRE2.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace csreft {

// Members of a class: what Unicode counts as parts of words (UTS #18, Annex C). Oniguruma's \w differs.
inline constexpr std::string_view unicode_word = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D})";

class Regex {
 public:
  // `pattern` has Oniguruma's Ruby syntax and its meaning of \s, \w, \d, \h, \b, ^ and $. Throws Error, naming `source`
  // and the pattern, for what does not compile and for what PCRE2 would read otherwise: intersections and negated
  // classes within classes, intervals of two or more followed by +.
  Regex(std::string_view pattern, std::string source);

  // A pattern that finds this very text.
  static std::string escaped(std::string_view text);

  struct Match {
    std::size_t begin, end;
  };

  // Finds the matches of a text one by one, empty ones included where no match ends. The text outlives it. Bytes that
  // are no UTF-8 match nothing.
  class Search {
   public:
    Search(const Regex& regex, std::string_view text) : regex_(regex), text_(text) {}
    // Throws Error if the match needs more memory than PCRE2 has for it.
    std::optional<Match> next();

   private:
    const Regex& regex_;
    std::string_view text_;
    std::size_t from_ = 0;
    std::optional<std::size_t> last_end_;
  };

 private:
  struct Code;  // PCRE2's
  std::shared_ptr<const Code> code_;
  std::string source_;
};

}  // namespace csreft
