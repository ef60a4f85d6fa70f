// Templates of many families, and expressions over many values, against jinja2.
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/base/atomic_file.h"
#include "core/base/child_process.h"
#include "models/text/jinja/jinja.h"
#include "tests/error_text.h"
#include "tests/source.h"

using csreft::jinja::Template;
using Json = nlohmann::ordered_json;

namespace {

struct Golden {
  Json json = Json::parse(csreft::read_text_file(source("tests/golden_texts/chat_templates/golden.json")));

  static std::string source_of(const std::string& family) {
    return csreft::read_text_file(source("tests/golden_texts/chat_templates/" + family + ".jinja"));
  }
  Json variables(const std::string& conversation, bool add_generation_prompt) const {
    Json out{{"messages", json["conversations"][conversation]}, {"tools", nullptr}, {"documents", nullptr}};
    out["add_generation_prompt"] = add_generation_prompt;
    for (const auto& [name, text] : json["special_tokens"].items()) out[name] = text;
    return out;
  }
};

// What Python's jinja2 makes of templates; nothing where there is none.
std::optional<Json> rendered_by_python(const Json& cases) {
  const auto python = csreft::find_program("python3");
  const auto script = source("tests/models/text/jinja/render.py").string();
  if (!python || !std::filesystem::exists(script)) return std::nullopt;
  const auto result =
      csreft::run_child({python->string(), script}, {.input = cases.dump(), .errors_apart = true, .seconds = 600});
  if (result.code == 3) return std::nullopt;  // it has no jinja2
  REQUIRE_MESSAGE(result.code == 0, result.errors);
  return Json::parse(result.output);
}

// The variables of the expressions.
Json values() {
  return {
      {"s", "Hello World"},
      {"a", {3, 1, 2}},
      {"d", {{"x", 1}, {"y", "z"}}},
      {"n", nullptr},
      {"u", "Größe 日本語"},
      {"five", 5},
      {"yes", true},
      {"empty", ""},
      {"lines", " a b\nc "},
      {"nested", Json::array({Json::array({1}), 2})},
      {"messages", Json::array({{{"role", "user"}, {"content", "Hi"}}, {{"role", "assistant"}, {"content", "Yo"}}})}};
}

// What is no operation on a value.
const std::vector<std::string> statements{
    "{{ dict(d, **{'q': 1}) }}",
    "{{ dict(q=1, **d) }}",
    "{{ dict(x=1, **d) }}",
    "{{ dict(**a) }}",
    "{{ range(*a) | list }}",
    "{{ range(*[1, 9], *[2]) }}",
    "{{ range(*[1], 5) }}",
    "{{ s.replace(*['l', 'L'], **{}) }}",
    "{{ s | replace(*['l', 'L']) }}",
    "{% macro f(a, b=2) %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, 3, c=4) }}{{ f(*a) }}",
    "{% macro f(a, b=2) %}{{ a }}{{ kwargs }}{% endmacro %}{{ f(1, a=4) }}{{ f(b=3, c=1) }}",
    "{% macro f(a, b=2) %}{{ a }}{% endmacro %}{{ f(1, a=4) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f(a) %}{% if true %}{{ varargs | length }}{% endif %}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f() %}[{{ caller(1) }}]{% endmacro %}{% call(x) f() %}{{ x }}{% endcall %}",
    "{% macro f() %}[{{ caller() if caller else 'none' }}]{% endmacro %}{{ f() }}",
    "{% macro f() %}[]{% endmacro %}{% call f() %}a{% endcall %}",
    "{% macro f(caller=none) %}[{{ caller }}]{% endmacro %}{{ f() }}",
    "{% set caller = 5 %}{% macro f() %}[{{ caller }}]{% endmacro %}{{ f() }}",
    "{% set j = joiner() %}{% for x in a %}{{ j() }}{{ x }}{% endfor %}",
    "{% set j = joiner(sep='|') %}{{ j() }}{{ j() }}",
    "{% set c = cycler('a', 'b', 'c') %}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.current }}",
    "{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.reset() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.next() }}",
    "{{ cycler() }}",
    "{% for x in [1, 1, 2] %}{{ loop.changed(x) }}{% endfor %}",
    "{% for x in [1, 1, 2] %}{{ loop.changed() }}{{ loop.changed(x, 1) }}{% endfor %}",
    "{{ 'a&lt;b&gt; &quot;c&quot; <i>d</i> &#39;&#x41;&nope; & <!-- x <b> --> e < f' | striptags }}",
    "{{ '<p>x<!-- y' | striptags }}",
    "{{ [('a b', 'ü'), (1, '/')] | urlencode }}",
    "{{ 'one two  three-four five' | truncate(14) }}",
    "{{ 'one two  three-four five' | truncate(19) }}",
    "{{ 'one two' | truncate(2) }}",
    "{{ 'onetwothreefourfive' | truncate(9) }}",
    "{{ a | slice(0) | list }}",
    "{{ a | slice(-1) | list }}",
    "{% for g in messages | groupby('role') %}{{ g.grouper }}:{{ g.list | length }}:{{ g[0] }} {% endfor %}",
    "{% for k, m in messages | groupby('content') %}{{ k }}{{ m }}{% endfor %}",
    "{{ ['b', 'A', 'a', 'B'] | groupby(0) | list }}",
    "{{ joiner is defined }}{{ cycler is callable }}",
};

// Each operation on each value.
std::vector<std::string> expressions() {
  const std::vector<std::string> operations{"",
                                            "|upper",
                                            "|title",
                                            "|trim",
                                            "|length",
                                            "|list",
                                            "|first",
                                            "|last",
                                            "|string",
                                            "|int",
                                            "|float",
                                            "|tojson",
                                            "|sort",
                                            "|unique|list",
                                            "|join(',')",
                                            "|default(1)",
                                            "|d(1,true)",
                                            "|reverse|list",
                                            "|capitalize",
                                            "|map('string')|list",
                                            "|sum",
                                            "|min",
                                            "|items|list",
                                            "[0]",
                                            "[-1]",
                                            "['role']",
                                            "[1:]",
                                            "[::-1]",
                                            "[:-1:2]",
                                            ".x",
                                            ".items()",
                                            ".split()",
                                            ".strip('a ')",
                                            " + 1",
                                            " + 'a'",
                                            " * 2",
                                            " // 2",
                                            " % 3",
                                            " ~ 1",
                                            "|truncate(6, leeway=0)",
                                            "|truncate(5, true, '~', 1)",
                                            "|center(13)",
                                            "|urlencode",
                                            "|striptags",
                                            "|slice(2)|list",
                                            "|slice(3, '-')|list",
                                            "|groupby('role')|list",
                                            "|groupby('role', default='x', case_sensitive=true)|list",
                                            "|sort(attribute='role,content')",
                                            ".swapcase()",
                                            ".startswith('W', 6)",
                                            ".endswith(('o', 'b'), 1, 5)",
                                            ".find('o', 5)",
                                            ".rfind('l', -4, -1)",
                                            ".index('', 2, 2)",
                                            ".count('l', 3)",
                                            ".count('', 9, 4)",
                                            " == 5",
                                            " < 3",
                                            " in 'abc'",
                                            " in [5]",
                                            " and 1",
                                            " or 1",
                                            " if s else 2",
                                            " is string",
                                            " is defined",
                                            " is number",
                                            " is sequence",
                                            " is iterable",
                                            " is mapping",
                                            " is odd",
                                            " is none",
                                            " is true"};
  std::vector<std::string> all;
  std::vector<std::string> names{"missing", "(1, 'x')"};
  const Json variables = values();
  for (const auto& [name, value] : variables.items()) names.push_back(name);
  for (const auto& value : names) {
    for (const auto& operation : operations) all.push_back("{{ " + value + operation + " }}");
  }
  return all;
}

}  // namespace

// The templates are written anew in the style of their families; the texts are jinja2's.
TEST_CASE("the templates of many families give jinja2's texts of all conversations") {
  const Golden golden;
  CHECK(golden.json["texts"].size() >= 22);
  for (const auto& [family, conversations] : golden.json["texts"].items()) {
    const Template chat(Golden::source_of(family));
    for (const auto& [name, expected] : conversations.items()) {
      for (const bool prompt : {false, true}) {
        CAPTURE(family);
        CAPTURE(name);
        CAPTURE(prompt);
        Json text;
        const std::string error = error_text(
            [&] { text = chat.render(golden.variables(name, prompt), golden.json["now"].get<std::time_t>()); });
        CHECK(text == expected[prompt ? 1 : 0]);
        CHECK(expected[prompt ? 1 : 0].is_null() == contains(error, "refuses this conversation"));
      }
    }
  }
}

TEST_CASE("where Python has jinja2, it makes the same of all templates and of expressions over many values") {
  const Golden golden;
  Json cases = Json::array();
  const auto now = golden.json["now"].get<std::time_t>();
  for (const auto& [family, conversations] : golden.json["texts"].items()) {
    for (const auto& [name, expected] : conversations.items()) {
      cases.push_back({{"template", Golden::source_of(family)}, {"variables", golden.variables(name, true)}});
    }
  }
  for (const auto& source : statements) cases.push_back({{"template", source}, {"variables", values()}});
  for (const auto& source : expressions()) cases.push_back({{"template", source}, {"variables", values()}});
  const auto expected = rendered_by_python({{"now", now}, {"cases", cases}});
  if (!expected) {
    CHECK_MESSAGE(std::getenv("CSREFT_EXPECT_JINJA2") == nullptr, "expected a python3 with jinja2");
    MESSAGE("skipped: no Python with jinja2");
    return;
  }
  REQUIRE(expected->size() == cases.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto text_of = [&] {
      try {
        return Json(Template(cases[i]["template"].get<std::string>()).render(cases[i]["variables"], now));
      } catch (const csreft::Error&) {
        return Json();
      }
    };
    CAPTURE(cases[i]["template"].dump());
    CHECK(text_of() == (*expected)[i]);
  }
}
