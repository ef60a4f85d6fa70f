#include "models/text/jinja/jinja.h"

#include <ctime>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "tests/error_text.h"

namespace {

using csreft::jinja::Template;
using Json = nlohmann::ordered_json;

constexpr std::time_t noon = 1721997296;  // 26 July 2024, 12:34:56 UTC

Json variables() {
  return {{"a", {3, 1, 2}},
          {"d", {{"x", 1}, {"y", "z"}, {"items", 5}}},
          {"messages", {{{"role", "user"}, {"content", " Hi "}}, {{"role", "assistant"}, {"content", "Yö"}}}},
          {"n", nullptr},
          {"s", "Hello World"},
          {"u", "日本語"}};
}

std::string rendered(const std::string& source) { return Template(source).render(variables(), noon); }
std::string refusal(const std::string& source) {
  return error_text([&] { rendered(source); });
}

}  // namespace

TEST_CASE("white space around tags goes as trim_blocks, lstrip_blocks, - and + say") {
  CHECK(rendered("a\n  {% if true %}\nb\n  {% endif %}\nc\n") == "a\nb\nc");
  CHECK(rendered("a {%- if true -%} \n b {%- endif %}") == "ab");
  CHECK(rendered("  {%+ if true +%}\nb{% endif %}") == "  \nb");
  CHECK(rendered("  {{ 1 }}\n {{- 2 -}} \n3") == "  123");
  CHECK(rendered(" {# a\n {{ x }} #}\nb{#- c -#} d") == "bd");
  CHECK(rendered("{% raw %}{{ x }} {% y %}{% endraw %}") == "{{ x }} {% y %}");
  CHECK(rendered("{{ '\\n' }}\r\nx\n\n") == "\n\nx\n");
}

TEST_CASE("values are printed as Python prints them") {
  CHECK(rendered("{{ true }} {{ none }} {{ 1.0 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.1 + 0.2 }}") ==
        "True None 1.0 1e+16 1e-05 0.30000000000000004");
  CHECK(rendered("{{ [1, 'a', \"b'c\", none, {'k': (1,)}] }}") == "[1, 'a', \"b'c\", None, {'k': (1,)}]");
  CHECK(rendered("{{ d.items() }} {{ missing }}|{{ 'x' if false }}|") ==
        "dict_items([('x', 1), ('y', 'z'), ('items', 5)]) ||");
  CHECK(rendered("{{ '\\u00e9\\x41\\t\\'' 'b' }}") == "éA\t'b");
}

TEST_CASE("operators are Python's") {
  CHECK(rendered("{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 3 ** 2 }} {{ 7 / 2 }} {{ 5.5 // -2 }}") ==
        "3 -4 2 64 3.5 -3.0");
  CHECK(rendered("{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' in 'abc' }} {{ 'q' not in d }} {{ 1 == 1.0 == true }}") ==
        "True False True True True");
  CHECK(rendered("{{ 1 ~ none ~ 'x' }} {{ 'ab' * 2 }} {{ [1] + [2] }} {{ n or 'b' }} {{ 0 and x.y }}") ==
        "1Nonex abab [1, 2] b 0");
  CHECK(rendered("{{ u[1] }} {{ u[::-1] }} {{ u[-2:] }} {{ s[1:-1:2] }} {{ a[::-2] }} {{ u[7] is defined }}") ==
        "本 語本日 本語 el ol [2, 3] False");
}

TEST_CASE("loops know where they are, and can be left") {
  CHECK(rendered("{% for x in a if x != 1 %}{{ loop.index }}/{{ loop.length }}{{ loop.last }} {% endfor %}") ==
        "1/2False 2/2True ");
  CHECK(rendered("{% for k, v in d.items() %}{{ k }}={{ v }}{{ loop.previtem }} {% endfor %}") ==
        "x=1 y=z('x', 1) items=5('y', 'z') ");
  CHECK(rendered("{% for x in [] %}{% else %}none{% endfor %}") == "none");
  CHECK(rendered("{% for i in range(9) %}{% if i == 1 %}{% continue %}{% elif i == 4 %}{% break %}{% endif %}{{ i }}"
                 "{% endfor %}") == "023");
  CHECK(rendered("{% set x = 1 %}{% for i in a %}{{ x }}{% set x = i %}{% endfor %}{{ x }}") == "1111");
  CHECK(rendered("{% set ns = namespace(n=0) %}{% for i in a %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}") ==
        "6");
}

TEST_CASE("macros, blocks that are set, called and filtered") {
  CHECK(rendered("{% macro f(a, b='B') %}<{{ a }}{{ b }}>{% endmacro %}{{ f(1) }}{{ f(b=2, a=3) }}{{ f() }}") ==
        "<1B><32><B>");
  CHECK(rendered("{% macro f() %}[{{ caller(5) }}]{% endmacro %}{% call(z) f() %}{{ z }}{% endcall %}") == "[5]");
  CHECK(rendered("{% set x | upper %}a{{ 1 }}{% endset %}{{ x }}{% filter trim %} b {% endfilter %}") == "A1b");
  CHECK(rendered("{% with q = 1 %}{{ q }}{% endwith %}{{ q }}{% generation %}g{% endgeneration %}") == "1g");
}

TEST_CASE("filters, tests and methods") {
  CHECK(rendered("{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }}") ==
        "[' Hi ']");
  CHECK(rendered("{{ {'a': [1, 'é\"\\n<'], 'b': {}} | tojson }} {{ {'a': [1]} | tojson(indent=1) }}") ==
        "{\"a\": [1, \"é\\\"\\n<\"], \"b\": {}} {\n \"a\": [\n  1\n ]\n}");
  CHECK(rendered(
            "{{ a | sort | join('-') }} {{ a | first }} {{ [] | last is undefined }} {{ missing | default('d') }}") ==
        "1-2-3 3 True d");
  CHECK(rendered("{{ 'a b'.split(' ', 1) }} {{ ' x '.strip() }} {{ s.replace('l', 'L', 1) }} {{ s.find('W') }} "
                 "{{ s.endswith('ld') }} {{ d.get('q', 4) }} {{ 'ß' | upper }}") ==
        "['a', 'b'] x HeLlo World 6 True 4 SS");
  CHECK(rendered(
            "{{ s is string and d is mapping and a is sequence and n is none and 3 is odd and x is not defined }}") ==
        "True");
  CHECK(rendered("{{ 2.567 | round(2) }} {{ '42' | int }} {{ -3 | abs }} {{ 'a\\nb' | indent(2) }}") ==
        "2.57 42 3 a\n  b");
  CHECK(rendered("{{ strftime_now('%Y') }}") == "2024");
}

TEST_CASE("filters that lay out, group and cut") {
  CHECK(rendered("{{ 'one two three four' | truncate(10, leeway=0) }}|{{ 'one two' | truncate(5, true, '~', 0) }}|{{ s "
                 "| truncate(9) }}") == "one...|one ~|Hello World");
  CHECK(rendered("[{{ 'ab' | center(7) }}] {{ '<p>a &amp;\n <b>b</b>&#33;</p><!-- > -->' | striptags }}") ==
        "[   ab  ] a & b!");
  CHECK(rendered("{{ 'a b/ü?' | urlencode }} {{ {'k 1': 'a/b', 'n': 2} | urlencode }}") ==
        "a%20b/%C3%BC%3F k+1=a%2Fb&n=2");
  CHECK(rendered("{{ range(7) | slice(3) | list }} {{ [1, 2] | slice(3, 'x') | list }}") ==
        "[[0, 1, 2], [3, 4], [5, 6]] [[1], [2], ['x']]");
  CHECK(rendered("{% for g in [{'k': 'b', 'n': 1}, {'k': 'a', 'n': 2}, {'k': 'B', 'n': 3}] | groupby('k') %}{{ "
                 "g.grouper }}={{ g.list | map(attribute='n') | list }} {% endfor %}") == "a=[2] b=[1, 3] ");
  CHECK(rendered("{{ [{'a': 1, 'b': 2}, {'a': 1, 'b': 1}] | sort(attribute='a,b') }}") ==
        "[{'a': 1, 'b': 1}, {'a': 1, 'b': 2}]");
}

TEST_CASE("arguments of a list and of a dict, and what a macro gets beyond its parameters") {
  CHECK(rendered("{{ dict(d, **{'q': 1}) }} {{ range(*[1, 4]) | list }} {{ '{} {k}'.format(*'a', **{'k': 2}) }}") ==
        "{'x': 1, 'y': 'z', 'items': 5, 'q': 1} [1, 2, 3] a 2");
  CHECK(
      rendered("{% macro f(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, b=3, *[4], **{'c': 5}) }}") ==
      "1(2, 4){'b': 3, 'c': 5}");
  CHECK(rendered("{% macro f() %}{{ caller is defined }}{% endmacro %}{{ f() }}{% call f() %}{% endcall %}") ==
        "FalseTrue");
  CHECK(contains(refusal("{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}"), "called with 2 arguments"));
  CHECK(contains(refusal("{% macro f(a) %}{{ a }}{% endmacro %}{{ f(b=2) }}"), "takes no 'b' by name"));
  CHECK(contains(refusal("{% macro f(a) %}{{ a }}{% endmacro %}{% call f(1) %}{% endcall %}"), "takes no 'caller'"));
  CHECK(contains(refusal("{{ dict(a=1, **{'a': 2}) }}"), "the argument 'a' is given twice"));
  CHECK(contains(refusal("{{ dict(**[1]) }}"), "`**` stands before a 'list'"));
  for (const char* source :
       {"{{ f(*a, *b) }}", "{{ f(**a, b) }}", "{{ f(*a, b) }}", "{{ f(**a, **b) }}", "{{ f(*) }}"}) {
    CHECK_MESSAGE(contains(refusal(source), "line 1: "), source);
  }
}

TEST_CASE("what remembers its calls: a joiner, a cycler, and a loop's changed") {
  CHECK(rendered("{% set j = joiner('; ') %}{{ j() }}a{{ j() }}b{{ j() }}c") == "a; b; c");
  CHECK(rendered("{% set c = cycler(1, 2) %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}"
                 "{{ c.current }}") == "1212None1");
  CHECK(rendered("{% for x in [1, 1, 2, 1] %}{{ loop.changed(x) }} {% endfor %}") == "True False True True ");
  CHECK(rendered("{% for x in [1, 2] %}{{ loop.changed(loop) }} {% endfor %}") == "True False ");
  CHECK(contains(refusal("{{ cycler() }}"), "cycler has no values"));
}

TEST_CASE("a text's methods look between a start and an end") {
  CHECK(
      rendered("{{ s.startswith('W', 6) }} {{ s.endswith('o', 0, 5) }} {{ s.find('o', 5) }} {{ s.rfind('o', 0, -4) }} "
               "{{ s.count('l', 4) }} {{ u.find('語', -1) }} {{ s.find('', 12) }} {{ 'aBß'.swapcase() }}") ==
      "True True 7 4 1 2 -1 AbSS");
}

TEST_CASE("a template that is not understood is an error of one line that names the template's") {
  CHECK(refusal("a\n{{ ") == "line 2: a tag does not end: expected }}");
  CHECK(contains(refusal("{% if x %}a"), "line 1: the template ends: expected {% endif %}"));
  CHECK(contains(refusal("\n\n{% include 'x' %}"), "line 3: the tag 'include' is not supported"));
  CHECK(contains(refusal("{{ 'a }}"), "line 1: a text does not end"));
  CHECK(contains(refusal("{{ (1] }}"), "unexpected ']'"));
  CHECK(contains(refusal("{# a"), "a comment does not end"));
  CHECK(contains(refusal("{{ 99999999999999999999 }}"), "64 bits"));
  CHECK(
      contains(refusal("{{ " + std::string(100'000, '(') + "1" + std::string(100'000, ')') + " }}"), "nested deeper"));
  CHECK(contains(refusal("{{ a" + std::string(100'000, '.') + " }}"), "expected a name"));
  CHECK(contains(refusal(std::string(2'000'000, 'x')), "expected at most"));
  for (const char* source :
       {"{", "{%", "{%-", "{{-}}", "{{ 1 +%}", "{% for %}", "{% raw %}", "{% set a.b.c = 1 %}", "{{ '\\ud800' }}",
        "{{ 1 if }}", "{% macro f(a=1, b) %}{% endmacro %}", "{{ 0x }}", "{{ a.", "{% break %}"}) {
    const std::string text = refusal(source);
    CHECK_MESSAGE((std::string(source) == "{" || !text.empty()), source);
    CHECK(text.find('\n') == std::string::npos);
  }
}

TEST_CASE("what jinja.h lists as missing is refused") {
  for (const std::string tag : {"include 'x'", "import 'x' as y", "from 'x' import y", "extends 'x'", "block x",
                                "autoescape true", "do x", "debug", "trans"}) {
    CHECK_MESSAGE(contains(refusal("{% " + tag + " %}"), "is not supported"), tag);
  }
  CHECK(contains(refusal("{% for x in a recursive %}{% endfor %}"), "recursive loops are not supported"));
  for (const std::string filter : {"filesizeformat", "pprint", "random", "urlize", "wordwrap", "xmlattr"}) {
    CHECK(contains(refusal("{{ s | " + filter + " }}"), "no filter is named '" + filter + "'"));
  }
  for (const std::string test : {"escaped", "filter", "test"}) {
    CHECK(contains(refusal("{{ s is " + test + " }}"), "no test is named '" + test + "'"));
  }
  CHECK(contains(refusal("{{ lipsum() }}"), "'lipsum' is undefined"));
  CHECK(contains(refusal("{% macro f() %}{% endmacro %}{{ f.name.x }}"), "has no attribute 'name'"));
  CHECK(contains(refusal("{{ '{:>5}'.format(1) }}"), "no format of its own"));
  for (const std::string method : {"encode", "expandtabs", "format_map", "isascii", "isidentifier", "isprintable",
                                   "istitle", "maketrans", "translate"}) {
    CHECK(contains(refusal("{{ s." + method + "() }}"), "has no attribute '" + method + "'"));
  }
}

TEST_CASE("what a template cannot do with its values is an error that names the line") {
  CHECK(refusal("a\n{{ missing.x }}") == "line 2: 'missing' is undefined");
  CHECK(refusal("{{ d.q.r }}") == "line 1: 'dict object' has no attribute 'q'");
  CHECK(contains(refusal("{{ raise_exception('no\nway') }}"), "the template refuses this conversation: no<0x0A>way"));
  CHECK(contains(refusal("{{ a.append(1) }}"), "would change a list"));
  CHECK(contains(refusal("{{ 1 + 'a' }}"), "'int' + 'str'"));
  CHECK(contains(refusal("{{ 1 // 0 }}"), "divided by zero"));
  CHECK(contains(refusal("{{ 9223372036854775807 + 1 }}"), "64 bits"));
  CHECK(contains(refusal("{{ s | nosuch }}"), "no filter is named 'nosuch'"));
  CHECK(contains(refusal("{{ s is nosuch }}"), "no test is named 'nosuch'"));
  CHECK(contains(refusal("{% for x in 5 %}{% endfor %}"), "not iterable"));
}

TEST_CASE("a template that does not end, or eats memory, is an error") {
  std::string body;
  for (int i = 0; i < 60; ++i) body += "{% if n %}{% endif %}";
  CHECK(contains(refusal("{% for i in range(99999) %}" + body + "{% endfor %}"), "steps"));
  CHECK(contains(refusal("{{ 'x' * 1000000000 }}"), "more than"));
  CHECK(
      contains(refusal("{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}"),
               "more than"));
  CHECK(contains(refusal("{% set n = namespace(x=[1]) %}{% for i in range(999) %}{% set n.x = [n.x] %}{% endfor %}"),
                 "nested deeper"));
  CHECK(
      contains(refusal("{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}"),
               "holds more"));
  CHECK(contains(refusal("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), "nested deeper"));
  CHECK(contains(refusal("{{ range(1000000) }}"), "range has more"));
  CHECK(contains(refusal("{% for i in range(99999) %}{{ 'x' * 10000 }}{% endfor %}"), "more than"));
}
