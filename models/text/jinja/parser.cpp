#include "models/text/jinja/parser.h"

#include <algorithm>
#include <utility>

#include "models/text/jinja/expression_parser.h"

namespace csreft::jinja {
namespace {

using Kind = Token::Kind;

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokenize(source)), expressions_(tokens_) {}

  Statements parse() {
    auto statements = parse_body({});
    if (!tokens_.is(Kind::end)) tokens_.unexpected("the template's end");
    return statements;
  }

 private:
  using Names = std::initializer_list<std::string_view>;

  // Statements up to a tag that is named so, of which "{%" is read and the name is the current token; or the end.
  Statements parse_body(Names ends) {
    require(++depth_ <= max_syntax_depth, "line {}: blocks are nested deeper than {}: expected fewer levels",
            tokens_.current().line, max_syntax_depth);
    Statements body;
    while (!tokens_.is(Kind::end)) {
      const int line = tokens_.current().line;
      if (tokens_.is(Kind::text)) {
        body.push_back({line, PlainText{tokens_.next().text}});
      } else if (tokens_.is(Kind::output_begin)) {
        tokens_.next();
        body.push_back({line, Output{expressions_.parse_tuple()}});
        tokens_.expect(Kind::output_end, "}}");
      } else {
        tokens_.expect(Kind::tag_begin, "a tag");
        const auto is_end = [&](std::string_view name) { return tokens_.is_name(name); };
        if (std::ranges::any_of(ends, is_end)) break;
        body.push_back(parse_statement());
        tokens_.expect(Kind::tag_end, "%}");
      }
    }
    if (ends.size() > 0 && tokens_.is(Kind::end)) tokens_.unexpected(fmt::format("{{% {} %}}", *(ends.end() - 1)));
    --depth_;
    return body;
  }

  // A block's body behind its tag, with the tag that ends it but for its "%}".
  Statements parse_block(std::string_view end) {
    begin_body();
    auto body = parse_body({end});
    tokens_.next();
    return body;
  }

  void begin_body() {
    tokens_.skip_mark(":");
    tokens_.expect(Kind::tag_end, "%}");
  }

  Statement parse_statement() {
    const int line = tokens_.current().line;
    const std::string tag = tokens_.expect_name("the name of a tag");
    if (tag == "if") return {line, parse_if()};
    if (tag == "for") return {line, parse_for(line)};
    if (tag == "set") return parse_set(line);
    if (tag == "macro") {
      const std::string name = expressions_.parse_name_target().name;
      return {line, Macro{parse_macro(name, "endmacro")}};
    }
    if (tag == "call") return {line, parse_call(line)};
    if (tag == "filter") {
      auto filter = expressions_.parse_block_filters(true);
      return {line, FilterBlock{std::move(filter), parse_block("endfilter")}};
    }
    if (tag == "with") return {line, parse_with()};
    if (tag == "generation") return {line, With{{}, parse_block("endgeneration")}};
    if (tag == "break" || tag == "continue") {
      require(n_loops_ > 0, "line {}: {} stands outside of a loop: expected it in one", line, tag);
      if (tag == "break") return {line, Break{}};
      return {line, Continue{}};
    }
    fail(
        "line {}: the tag '{}' is not supported here: expected if, for, set, macro, call, filter, with, generation, "
        "break or continue",
        line, printable(tag));
  }

  If parse_if() {
    If out;
    while (true) {
      auto condition = expressions_.parse_tuple(false);
      begin_body();
      out.branches.emplace_back(std::move(condition), parse_body({"elif", "else", "endif"}));
      const std::string tag = tokens_.next().text;
      if (tag == "endif") return out;
      if (tag == "else") {
        out.otherwise = parse_block("endif");
        return out;
      }
    }
  }

  For parse_for(int line) {
    For out{expressions_.parse_target(false, "in"), nullptr, nullptr, {}, {}};
    check_loop_target(out.target);
    if (!tokens_.skip_name("in")) tokens_.unexpected("in");
    out.items = expressions_.parse_tuple(false, "recursive");
    if (tokens_.skip_name("if")) out.condition = expressions_.parse();
    require(!tokens_.is_name("recursive"), "line {}: recursive loops are not supported: expected a macro", line);
    begin_body();
    ++n_loops_;
    out.body = parse_body({"else", "endfor"});
    --n_loops_;
    if (tokens_.next().text == "else") out.otherwise = parse_block("endfor");
    return out;
  }

  void check_loop_target(const Target& target) {
    require(target.name != "loop", "line {}: `loop` is the loop's own name: expected another", target.line);
    for (const auto& part : target.parts) check_loop_target(part);
  }

  Statement parse_set(int line) {
    Target target = expressions_.parse_target(true);
    if (tokens_.skip_mark("=")) return {line, Set{std::move(target), expressions_.parse_tuple()}};
    auto filter = expressions_.parse_block_filters(false);
    return {line, SetBlock{std::move(target), std::move(filter), parse_block("endset")}};
  }

  std::vector<Parameter> parse_parameters() {
    std::vector<Parameter> parameters;
    tokens_.expect_mark("(");
    while (!tokens_.is_mark(")")) {
      if (!parameters.empty()) tokens_.expect_mark(",");
      const int line = tokens_.current().line;
      const std::string name = expressions_.parse_name_target().name;
      auto fallback = tokens_.skip_mark("=") ? expressions_.parse() : nullptr;
      require(fallback != nullptr || parameters.empty() || parameters.back().fallback == nullptr,
              "line {}: parameter {} without a default follows one that has it: expected a default", line, name);
      parameters.push_back({name, std::move(fallback)});
    }
    tokens_.next();
    return parameters;
  }

  // From the parameters on; without any for a call block that has none.
  std::shared_ptr<const MacroBody> parse_macro(const std::string& name, std::string_view end) {
    auto parameters = parse_parameters();
    return make_macro(name, std::move(parameters), end);
  }

  std::shared_ptr<const MacroBody> make_macro(const std::string& name, std::vector<Parameter> parameters,
                                              std::string_view end) {
    const int n_loops = std::exchange(n_loops_, 0);  // a loop around a macro is not its body's
    const MacroNames around = expressions_.mentioned();
    expressions_.set_mentioned({});
    auto body = parse_block(end);
    const MacroNames here = expressions_.mentioned();
    expressions_.set_mentioned(
        {around.varargs || here.varargs, around.kwargs || here.kwargs, around.caller || here.caller});
    n_loops_ = n_loops;
    return std::make_shared<MacroBody>(MacroBody{name, std::move(parameters), std::move(body), here});
  }

  CallBlock parse_call(int line) {
    auto parameters = tokens_.is_mark("(") ? parse_parameters() : std::vector<Parameter>();
    auto called = expressions_.parse();
    require(std::holds_alternative<Call>(called->form), "line {}: a call block calls nothing: expected a macro's call",
            line);
    return {std::get<Call>(std::move(called->form)), make_macro("caller", std::move(parameters), "endcall")};
  }

  With parse_with() {
    With out;
    while (!tokens_.is(Kind::tag_end)) {
      if (!out.variables.empty()) tokens_.expect_mark(",");
      Target target = expressions_.parse_target(false);
      tokens_.expect_mark("=");
      out.variables.emplace_back(std::move(target), expressions_.parse());
    }
    out.body = parse_block("endwith");
    return out;
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int depth_ = 0, n_loops_ = 0;
};

}  // namespace

Statements parse(std::string_view source) { return Parser(source).parse(); }

}  // namespace csreft::jinja
