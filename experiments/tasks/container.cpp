#include "experiments/tasks/container.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "core/base/error.h"
#include "core/base/gzip.h"
#include "core/base/lfs_pointer.h"
#include "experiments/tasks/blank.h"

namespace csreft {
namespace {

// A kind of file that is not read: how it begins, or what its name ends in.
struct OtherKind {
  std::string_view start, extension, name, advice;
};

constexpr std::string_view by_pandas =
    "expected JSON, as python3 -c \"import pandas; pandas.{}('{}').to_json('{}.jsonl', orient='records', lines=True)\" "
    "makes of it";

constexpr std::array other_kinds{
    OtherKind{"PAR1", ".parquet", "Parquet", "read_parquet"},
    OtherKind{"ARROW1", ".feather", "Arrow", "read_feather"},
    OtherKind{"\xff\xff\xff\xff", ".arrow", "Arrow",
              "expected JSON, as python3 -c \"import datasets; datasets.Dataset.from_file('{}').to_json('{}.jsonl')\" "
              "makes of it"},
    OtherKind{"", ".csv", "CSV", "read_csv"},
    OtherKind{"", ".tsv", "CSV with tabs", "read_table"},
    OtherKind{"PK\x03\x04", ".zip", "a ZIP archive", "expected a file of it: unzip '{}'"},
    OtherKind{"\x28\xb5\x2f\xfd", ".zst", "compressed by zstd", "expected JSON, or gzip: zstd -d '{}'"},
    OtherKind{"BZh", ".bz2", "compressed by bzip2", "expected JSON, or gzip: bunzip2 '{}'"},
    OtherKind{"\xfd\x37zXZ", ".xz", "compressed by xz", "expected JSON, or gzip: unxz '{}'"},
    OtherKind{"\xff\xfe", "", "UTF-16", "expected UTF-8: iconv -f UTF-16 -t UTF-8 '{}'"},
    OtherKind{"\xfe\xff", "", "UTF-16", "expected UTF-8: iconv -f UTF-16 -t UTF-8 '{}'"},
};

bool may_be_json(std::string_view text) {
  const std::size_t start = text.find_first_not_of(blanks);
  return start != text.npos && (text[start] == '[' || text[start] == '{');
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

void refuse_other_kinds(std::string_view bytes, const std::string& where) {
  if (may_be_json(bytes)) return;
  check_no_lfs_pointer(where, std::as_bytes(std::span(bytes)));
  std::string name = lower(where);
  if (name.ends_with(".gz")) name.resize(name.size() - 3);  // it is unpacked
  for (const auto& kind : other_kinds) {
    const bool begins = !kind.start.empty() && bytes.starts_with(kind.start);
    const bool is_named = !kind.extension.empty() && !bytes.empty() && name.ends_with(kind.extension);
    if (!begins && !is_named) continue;
    const std::string advice = kind.advice.starts_with("read_") ? fmt::format(by_pandas, kind.advice, where, where)
                                                                : fmt::format(fmt::runtime(kind.advice), where, where);
    fail("{} is {}: {}", where, kind.name, advice);
  }
}

constexpr std::string_view nan = "NaN";

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// The length of a number that JSON has no word for, with which `text` begins; 0: none.
std::size_t length_of_no_number(std::string_view text) {
  for (const std::string_view word : {nan, std::string_view("Infinity"), std::string_view("-Infinity")}) {
    if (text.starts_with(word) && (text.size() == word.size() || !is_word(text[word.size()]))) return word.size();
  }
  return 0;
}

// The code unit of the escape \uXXXX with which `text` begins; -1 if it begins otherwise.
int escaped_unit(std::string_view text) {
  constexpr std::size_t length = 6;
  if (!text.starts_with("\\u") || text.size() < length) return -1;
  int unit = 0;
  for (const char c : text.substr(2, length - 2)) {
    const auto digit = std::string_view("0123456789abcdef").find(lower({&c, 1}));
    if (digit == std::string_view::npos) return -1;
    unit = unit * 16 + static_cast<int>(digit);
  }
  return unit;
}

bool is_high_surrogate(int unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool is_low_surrogate(int unit) { return unit >= 0xDC00 && unit < 0xE000; }

}  // namespace

std::string text_of_file(std::string bytes, const std::string& where) {
  std::string text = is_gzip(bytes) ? gunzip(bytes, where) : std::move(bytes);
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  refuse_other_kinds(text, where);
  return text;
}

std::size_t mend_json(std::string& text) {
  constexpr std::size_t escape_length = 6;
  std::size_t surrogates = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = std::string_view(text).substr(i);
    if (text[i] == '"' || text[i] == '\n') {
      in_string = text[i] == '"' && !in_string;  // no string goes on in the next line
    } else if (in_string && text[i] == '\\') {
      const int unit = escaped_unit(rest);
      const bool is_pair = is_high_surrogate(unit) && is_low_surrogate(escaped_unit(rest.substr(escape_length)));
      if (!is_pair && (is_high_surrogate(unit) || is_low_surrogate(unit))) {
        text.replace(i, escape_length, "\\ufffd");
        ++surrogates;
      }
      i += is_pair ? 2 * escape_length - 1 : unit >= 0 ? escape_length - 1 : 1;
    } else if (!in_string && (text[i] == 'N' || text[i] == 'I' || text[i] == '-')) {
      const std::size_t length = i > 0 && is_word(text[i - 1]) ? 0 : length_of_no_number(rest);
      if (length == 0) continue;
      const std::string empty = length == nan.size() ? fmt::format("\"{}\"", not_a_number) : "null";
      text.replace(i, length, empty + std::string(length - empty.size(), ' '));
      i += length - 1;
    }
  }
  return surrogates;
}

}  // namespace csreft
