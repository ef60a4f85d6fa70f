#include <nlohmann/json.hpp>

#include "models/text/jinja/jinja.h"
#include "tests/fuzz/target.h"

namespace csreft {

namespace {

using nlohmann::ordered_json;

// Between them, what chat templates of the field use: loops, conditions, macros, namespaces, slices, filters, tests,
// methods, blocks, refusals.
std::vector<std::string> seeds() {
  return {
      "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m.content | trim + '<|im_end|>\\n' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
      "{{- bos_token }}{%- if messages[0]['role'] == 'system' %}{%- set system = messages[0].content %}"
      "{%- set messages = messages[1:] %}{%- else %}{%- set system = none %}{%- endif %}"
      "{%- for m in messages -%}{%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}"
      "{{ raise_exception('roles must alternate') }}{%- endif -%}"
      "{{ '[INST] ' ~ (system ~ '\\n' if loop.first and system is not none else '') ~ m.content.strip() ~ ' [/INST]' }}"
      "{%- endfor -%}{{ eos_token }}",
      "{%- macro line(role, text, end='\\n') -%}{{ '%s: %s' | format(role, text) }}{{ end }}{%- endmacro -%}"
      "{% set ns = namespace(n=0) %}{% for role in messages | map(attribute='role') | unique %}{% for m in messages | "
      "selectattr('role', 'equalto', role) %}"
      "{% set ns.n = ns.n + 1 %}{{ line(role | upper, m.content | replace('a', 'b')) }}{% endfor %}{% endfor %}"
      "{{ ns.n | string | length }}{{ messages | map(attribute='role') | join(', ') }}{{ strftime_now('%d %b %Y') }}",
      "{% set d = {'a': [1, 2.5, true], 'b': (none, 'x')} %}{{ d | tojson(indent=2) }}{% for k, v in d.items() %}"
      "{% if k in ['a'] and v is sequence and not v is string %}{% continue %}{% endif %}{{ k.split('a')[-1][::-1] }}"
      "{% endfor %}{{ range(3) | list | sum }}{% filter upper %}x{% endfilter %}"
      "{% generation %}{{ messages | selectattr('role', 'equalto', 'user') | list | last }}{% endgeneration %}",
  };
}

void read(std::string_view input) {
  static const ordered_json variables{{"messages", ordered_json::array({{{"role", "system"}, {"content", "be brief"}},
                                                                        {{"role", "user"}, {"content", "caf\xC3\xA9?"}},
                                                                        {{"role", "assistant"}, {"content", " yes "}},
                                                                        {{"role", "user"}, {"content", ""}}})},
                                      {"add_generation_prompt", true},
                                      {"bos_token", "<s>"},
                                      {"eos_token", "</s>"}};
  static_cast<void>(jinja::Template(input).render(variables, 0));
}

}  // namespace

extern const FuzzTarget chat_template_target;
const FuzzTarget chat_template_target{"chat_template", "a chat template, and a conversation in it", seeds, read};

}  // namespace csreft
