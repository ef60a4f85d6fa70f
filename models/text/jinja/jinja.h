// Chat templates: texts in Jinja that write a conversation as a model expects it.
//
// Rendered as jinja2 3.1 does with transformers' settings: trim_blocks, lstrip_blocks, `break` and `continue`,
// `generation` blocks, a `tojson` that does not escape HTML, `raise_exception`, `strftime_now`, no changes of values.
// What differs: whole numbers have 64 bits; case is changed one character at a time; `safe`, `escape` and `striptags`
// give plain texts, the last one with amp, lt, gt, quot, apos, nbsp and numbers alone resolved; texts of macros and
// generators are errors. run.h says what a rendering may use at most.
//
// What is missing, and an error where it is used:
// - tags: include, import, from, extends, block, autoescape, do, debug, trans; `recursive` loops
// - filters: filesizeformat, pprint, random, urlize, wordwrap, xmlattr
// - tests: escaped, filter, test
// - functions: lipsum; the attributes of a macro
// - methods of texts: encode, expandtabs, format_map, isascii, isidentifier, isprintable, istitle, maketrans and
//   translate; fields of format() other than {}, {0} and {name}
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace csreft::jinja {

// The longest source that is read.
inline constexpr std::size_t max_source_bytes = std::size_t{1} << 20;

// A value: copies share one immutable tree, which any number of threads may render.
class Template {
 public:
  // Throws Error, which names the line, for a source that is too long or not understood.
  explicit Template(std::string_view source);

  // `variables` is an object. Throws Error, which names the line, for what the template cannot do with them and for
  // what it refuses by raise_exception.
  std::string render(const nlohmann::ordered_json& variables, std::time_t now) const;
  std::string render(const nlohmann::ordered_json& variables) const { return render(variables, std::time(nullptr)); }

 private:
  struct Tree;
  std::shared_ptr<const Tree> tree_;
};

}  // namespace csreft::jinja
