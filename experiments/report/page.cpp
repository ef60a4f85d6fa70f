#include "experiments/report/page.h"

#include <fmt/format.h>

namespace csreft {
namespace {

constexpr std::string_view style = R"(
:root { color-scheme: light dark; --paper: #fdfdfc; --ink: #1d2126; --faint: #626a73; --rule: #dfe2e5; --card: #f3f4f3;
  --good: #00795a; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181c; --ink: #e4e6e8; --faint: #9aa3ad; --rule: #31373e;
  --card: #1d2126; --good: #4cc9a0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, Helvetica, Arial, sans-serif; -webkit-text-size-adjust: 100%; }
main { max-width: 820px; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.015em; }
h2 { font-size: 1.15rem; margin: 2.8rem 0 .6rem; padding-top: 1.1rem; border-top: 1px solid var(--rule); }
p { margin: .5rem 0; max-width: 42em; }
.faint, figcaption { color: var(--faint); font-size: .9rem; }
.warning { border-left: 3px solid #d55e00; padding-left: .8rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: .9rem; margin: 1.4rem 0; }
.card { background: var(--card); border-radius: .6rem; padding: 1rem 1.1rem; }
.card h3 { font-size: .95rem; margin: 0; }
.card .number { font-size: 1.7rem; line-height: 1.3; font-weight: 600; font-variant-numeric: tabular-nums;
  letter-spacing: -.02em; white-space: nowrap; }
.card .number span { color: var(--faint); font-weight: 400; }
.card p { margin: .15rem 0 0; font-size: .88rem; color: var(--faint); }
figure { margin: 1rem 0; } figcaption { margin-top: .4rem; }
.wide { overflow-x: auto; }
figure svg { display: block; width: 100%; max-width: 47rem; height: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; min-width: 100%; }
th, td { text-align: right; padding: .45rem .7rem; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { font-weight: 600; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.2rem; font-size: .9rem; margin: .8rem 0; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
.sample { background: var(--card); border-radius: .6rem; padding: .9rem 1.1rem; margin: .8rem 0; font-size: .93rem; }
.sample dl { margin: .6rem 0 0; font-size: inherit; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
details { margin: .6rem 0; } summary { cursor: pointer; }
.right { color: var(--good); font-weight: 600; }
pre { background: var(--card); border-radius: .6rem; padding: .8rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere;
  font: .88rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
@media (max-width: 34rem) { main { padding: 1.5rem .8rem 3rem; } h1 { font-size: 1.5rem; overflow-wrap: anywhere; }
  figure svg { min-width: 30rem; } table { font-size: .72rem; } th, td { padding: .3rem .25rem; }
  th, td:first-child { white-space: normal; } }
)";

}  // namespace

std::string escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      case '\'': escaped += "&#39;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

std::string html_page(std::string_view title, std::string_view body) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, "
      "initial-scale=1\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n"
      "<h1>{}</h1>\n{}</main>\n</body>\n</html>\n",
      escape(title), style, escape(title), body);
}

}  // namespace csreft
