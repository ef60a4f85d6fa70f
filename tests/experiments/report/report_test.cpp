#include "experiments/report/report.h"

#include <cmath>
#include <regex>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "experiments/report/plot.h"
#include "tests/environment.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace {

using csreft::Error;
using csreft::render_report;
using csreft::RunReport;

RunReport small_report() {
  RunReport report;
  report.title = "Two <skills> & \"one\" method";
  report.command = "./run train --seed 1 && echo 'done'";
  report.model = "tiny";
  report.facts = {{"device", "cpu"}};
  report.methods = {{.name = "csreft",
                     .trainable_parameters = 1234567,
                     .percent = 0.25,
                     .percent_without_router = 0.125,
                     .tokens_per_second = 1500,
                     .seconds = 75,
                     .peak_memory_bytes = std::size_t{3} << 29U,
                     .train_loss = {2.0, 1.5, std::nan(""), 1.0}}};
  report.scores = {{"a", "accuracy", "untrained", 0.25, 100}, {"b", "accuracy", "untrained", 0.35, 100},
                   {"a", "accuracy", "csreft", 0.75, 100},    {"b", "accuracy", "csreft", 1.0, 100},
                   {"c", "nll", "untrained", 2.5, 10},        {"c", "nll", "csreft", 1.25, 10}};
  report.gates = {{.method = "csreft", .tasks = {"a", "b"}, .mean_alpha = {{0.1, 0.9}, {0.8, 0.2}}}};
  report.gate_histories = {{.method = "csreft", .steps = {{{"a", {0.5, 0.5}}}, {{"b", {0.2, 0.8}}}, {{"a", {0, 1}}}}}};
  report.validations = {{.method = "csreft", .steps = {2, 4}, .cross_entropy = {1.25, 1.5}, .kept = 2}};
  report.routers = {{"csreft", {0.5, 0.25, 0.125}}};
  report.samples = {{.prompt = "2 < 3?", .outputs = {{"before", "no"}, {"csreft", "it is true."}}, .expected = "true"}};
  return report;
}

}  // namespace

TEST_SUITE_BEGIN("needs gnuplot");

TEST_CASE("a report has its numbers in words, every section, and nothing from outside") {
  const std::string page = render_report(small_report());
  CHECK(contains(page, "30.0\u00a0% →</span> 87.5\u00a0%"));
  CHECK(contains(page, "2.500 →</span> 1.250"));
  CHECK(contains(page, "Mean accuracy over 2 tasks"));
  CHECK(contains(page, "<td>csreft</td><td>1.2500</td><td>2</td><td>1.5000</td><td>2</td>"));
  CHECK(contains(page, "1,234,567"));
  CHECK(contains(page, "1.50 GiB"));
  CHECK(contains(page, "1 min 15 s"));
  for (const char* section :
       {"Before and after", "Training", "Validation", "What the router does", "Cost", "Samples"}) {
    CHECK(contains(page, std::string("<h2>") + section));
  }
  CHECK(contains(page, "Gates of csreft over training"));
  CHECK(contains(page, "<td>csreft</td><td>0.50</td><td>25 %</td><td>0.125</td>"));
  CHECK(contains(page, "are of the test prompts alone"));
  CHECK(contains(page, "Wilson’s interval"));
  CHECK(contains(page, "class=\"text right\">it is true."));
  CHECK_FALSE(contains(page, "class=\"text right\">no"));
  CHECK_FALSE(contains(page, "<script"));
  CHECK_FALSE(contains(page, "src="));
  CHECK_FALSE(contains(page, "interrupted"));
}

TEST_CASE("a sequence of tasks is a matrix of shaded cells, with its measures when all tasks are learnt") {
  RunReport report;
  report.sequences = {
      {.method = "growing",
       .metric = "accuracy",
       .tasks = {"a", "b"},
       .scores = {{0.5, 0.25}, {0.4, 1.0}},
       .untrained = {0.0, 0.2},
       .measures = csreft::Transfer{.average = 0.7, .backward = -0.1, .forward = 0.05, .forgetting = 0.1}},
      {.method = "loreft", .metric = "nll", .tasks = {"a", "b"}, .scores = {{2.0, 4.0}}}};
  const std::string page = render_report(report);
  CHECK(contains(page, "<h2>One task after the other</h2>"));
  CHECK(contains(page, "<tr><th>growing after</th><th>a</th><th>b</th></tr>"));
  // The darkest shade is half of the colour.
  CHECK(contains(page, "<tr><td>(untrained)</td><td style=\"background:rgba(0,158,115,0.00)\">0.0</td>"));
  CHECK(contains(page,
                 "<tr><td>b</td><td style=\"background:rgba(0,158,115,0.20)\">40.0</td>"
                 "<td style=\"background:rgba(0,158,115,0.50)\">100.0</td></tr>"));
  CHECK(contains(page, "After the last: mean 70.0, backward transfer -10.0, forward transfer +5.0, forgetting +10.0."));
  // Of nll less is better, and nothing is known before the last task is learnt.
  const std::string unfinished = page.substr(page.find("loreft after"));
  CHECK(contains(unfinished, "rgba(0,158,115,0.50)\">2.000</td><td style=\"background:rgba(0,158,115,0.00)\">4.000"));
  CHECK_FALSE(contains(unfinished, "After the last"));
}

TEST_CASE("a task has one name on the page, unless two tasks would then have the same") {
  RunReport report;
  report.scores = {{"a.test", "accuracy", "csreft", 0.75, 100}, {"b.test", "accuracy", "csreft", 1.0, 100}};
  report.gate_histories = {{.method = "csreft", .steps = {{{"b.train", {0.5, 0.5}}}, {{"a.train", {0.2, 0.8}}}}}};
  const std::string page = render_report(report);
  for (const char* suffix : {".test", ".train"}) CHECK_FALSE(contains(page, suffix));
  report.scores.push_back({"b.train", "accuracy", "csreft", 1.0, 100});
  const EnvironmentVariable path("PATH", "/nowhere");  // without gnuplot the names stand in a table
  const std::string other = render_report(report);
  CHECK(contains(other, "<td>a</td>"));
  CHECK(contains(other, "<td>b.test</td>"));
  CHECK(contains(other, "<td>b.train</td>"));
}

TEST_CASE("scores over seeds show their deviation, and say so") {
  RunReport report = small_report();
  for (auto& score : report.scores) score.deviation = 0.02;
  const std::string page = render_report(report);
  CHECK(contains(page, "Means over seeds; error bars: one standard deviation."));
  CHECK_FALSE(contains(page, "Wilson"));

  // Of what was run once, no interval of another kind stands beside them.
  report.scores.push_back({report.scores.front().task, report.scores.front().metric, "once", 0.25, 100});
  const EnvironmentVariable path("PATH", "/nowhere");  // without gnuplot the numbers stand in a table
  const std::string table = render_report(report);
  CHECK(contains(table, "<td>25.0</td>"));
  CHECK_FALSE(contains(table, "Wilson"));
}

TEST_CASE("a method has one colour in all pictures, whatever stands beside it there") {
  RunReport report = small_report();
  report.methods.insert(report.methods.begin(), {.name = "loreft", .train_loss = {2.0, 1.0}});
  report.scores.push_back({"a", "accuracy", "loreft", 0.5, 100});
  const std::string page = render_report(report);
  // loreft is the first method, csreft the second; the bars of csreft come before those of loreft.
  const auto count = [&](const std::string& colour) {
    const std::regex pattern("rgb\\( *" + colour + "\\)");
    return std::distance(std::sregex_iterator(page.begin(), page.end(), pattern), std::sregex_iterator());
  };
  CHECK(count("0, *114, *178") > 0);  // #0072b2
  CHECK(count("213, *94, *0") > 0);   // #d55e00
  const std::size_t validation = page.find("aria-label=\"Cross-entropy on validation data\"");
  REQUIRE(validation != std::string::npos);
  const std::string picture = page.substr(validation, page.find("</svg>", validation) - validation);
  CHECK(std::regex_search(picture, std::regex("rgb\\( *213, *94, *0\\)")));
  CHECK_FALSE(std::regex_search(picture, std::regex("rgb\\( *0, *114, *178\\)")));
}

TEST_CASE("curves that fall far and end close to each other have a logarithmic axis; others have not") {
  const auto drawn = [](std::vector<double> first, std::vector<double> second) {
    return csreft::draw(csreft::LineChart{.id = "x",
                                          .title = "Loss",
                                          .x_label = "step",
                                          .y_label = "nats",
                                          .series = {{.name = "a", .values = std::move(first), .x = {1, 2, 3}},
                                                     {.name = "b", .values = std::move(second), .x = {1, 2, 3}}}});
  };
  const auto has_tick = [](const std::string& svg, const std::string& tick) {
    return std::regex_search(svg, std::regex(">\\s*" + tick + "\\s*<"));
  };
  // From 8 to 0.25 and 0.26: powers of two are written.
  const std::string logarithmic = drawn({8, 1, 0.25}, {7, 1.2, 0.26});
  CHECK(has_tick(logarithmic, "0.25"));
  CHECK(has_tick(logarithmic, "8"));
  CHECK_FALSE(has_tick(drawn({8, 6, 5}, {7, 5, 4.9}), "8192"));
  CHECK(has_tick(drawn({8, 6, 5}, {7, 5, 4.9}), "6.5"));
  CHECK(has_tick(drawn({8, 1, 0}, {7, 1.2, 0.1}), "0"));  // 0 has no logarithm
}

TEST_CASE("bars that are too narrow for their values have them in a table") {
  RunReport report;
  for (int v = 0; v < 16; ++v) {
    for (const char* task : {"a", "b", "c", "d"}) {
      report.scores.push_back({task, "accuracy", "variant-" + std::to_string(v), 0.5, 100});
    }
  }
  const std::string page = render_report(report);
  CHECK(contains(page, "<tr><td>variant-15</td><td>50.0 (40.4–59.6)</td>"));
  report.scores.resize(8);
  CHECK_FALSE(contains(render_report(report), "(40.4–59.6)"));
}

TEST_CASE(
    "mistakes show what was expected, what came and the gates, as text, and long ones are cut between characters") {
  RunReport report;
  std::string umlauts = "x";  // so that a cut at an even byte is within a letter
  for (int i = 0; i < 400; ++i) umlauts += "ä";
  report.mistakes = {{.method = "csreft",
                      .wrong = 3,
                      .n = 10,
                      .examples = {{"a.test", "2 < 3?", "yes", "no & no", {0.25, 1.0}}, {"b.test", "?", "x", umlauts}}},
                     {.method = "loreft", .wrong = 0, .n = 10}};
  const std::string page = render_report(report);
  CHECK(contains(page, "<h2>What it got wrong</h2>"));
  CHECK(contains(page, "csreft: 3 of 10 answers are wrong; 2 of them"));
  CHECK(contains(page, "<p>loreft: 0 of 10 answers are wrong.</p>"));
  CHECK(contains(page, "2 &lt; 3?"));
  CHECK(contains(page, "<dt>task</dt><dd>a</dd>"));
  CHECK(contains(page, "no &amp; no</dd><dt>gates</dt><dd>0.25 1.00</dd>"));
  CHECK(contains(page, "ää …</dd></dl>"));
  CHECK_FALSE(contains(page, "\xC3 …"));
}

TEST_CASE("text in a report is text, never markup") {
  RunReport report = small_report();
  report.scores[0].task = "<b>'&`touch x`";
  const std::string page = render_report(report);
  CHECK(contains(page, "<h1>Two &lt;skills&gt; &amp; &quot;one&quot; method</h1>"));
  CHECK(contains(page, "2 &lt; 3?"));
  CHECK(contains(page, "./run train --seed 1 &amp;&amp; echo &#39;done&#39;"));
  CHECK(contains(page, "&lt;b>'&amp;`touch x`"));
  CHECK_FALSE(contains(page, "<b>"));
}

TEST_CASE("the ids of a report's pictures differ, and every reference has its target") {
  const std::string page = render_report(small_report());
  std::set<std::string> ids;
  const std::regex id("\\bid=['\"]([^'\"]*)['\"]");
  for (std::sregex_iterator i(page.begin(), page.end(), id), end; i != end; ++i) CHECK(ids.insert((*i)[1]).second);
  CHECK(ids.size() > 4);
  const std::regex reference("(?:href=['\"]#|url\\(#)([^'\")]*)");
  for (std::sregex_iterator i(page.begin(), page.end(), reference), end; i != end; ++i) CHECK(ids.contains((*i)[1]));
}

TEST_CASE("a report leaves out what the run does not have") {
  RunReport report;
  report.title = "Nothing yet";
  report.interrupted = true;
  const std::string page = render_report(report);
  CHECK(contains(page, "The run was interrupted"));
  CHECK_FALSE(contains(page, "<h2>"));
  CHECK_FALSE(contains(page, "<svg"));

  report.scores = {{"c", "nll", "untrained", 2.5, 10}, {"c", "nll", "loreft", 1.25, 10}};
  const std::string only_nll = render_report(report);
  CHECK(contains(only_nll, "nll (nats per token)"));
  CHECK_FALSE(contains(only_nll, "Accuracy"));

  report.scores = {{"c", "accuracy", "loreft", 0.5, 10}};
  CHECK_FALSE(contains(render_report(report), "after training"));
}

TEST_CASE("a report is written whole, or its place is left as it was") {
  const TemporaryFolder folder;
  csreft::write_report(folder / "report.html", small_report());
  CHECK(folder.read("report.html").ends_with("</html>\n"));
  CHECK_THROWS_AS(csreft::write_report(folder / "none/report.html", small_report()), Error);
}

TEST_CASE("gates of unequal lengths are an error") {
  RunReport report = small_report();
  report.gates[0].mean_alpha[1].pop_back();
  CHECK_THROWS_WITH_AS(render_report(report), doctest::Contains("1 values in row b"), Error);
}

TEST_SUITE_END();

TEST_CASE("charts of unequal lengths are errors") {
  CHECK_THROWS_AS(csreft::draw(csreft::LineChart{}), Error);
  CHECK_THROWS_AS(csreft::draw(csreft::BarChart{}), Error);
  CHECK_THROWS_AS(csreft::draw(csreft::Heatmap{}), Error);
}

TEST_CASE("without gnuplot a report has its numbers, and says that it has no pictures") {
  const EnvironmentVariable path("PATH", "/nowhere");
  const std::string page = render_report(small_report());
  CHECK(contains(page, "No pictures: there was no gnuplot when this page was made."));
  CHECK_FALSE(contains(page, "<svg"));
  CHECK_FALSE(contains(page, "<figure"));
  CHECK_FALSE(contains(page, "<h2>Training"));  // which was a picture alone
  CHECK(contains(page, "<th>accuracy (%)</th><th>untrained</th><th>csreft</th>"));
  CHECK(contains(page, "<tr><td>b</td><td>35.0 (26.4–44.7)</td><td>100.0 (96.3–100.0)</td></tr>"));
  CHECK(contains(page, "<tr><td>c</td><td>2.500</td><td>1.250</td></tr>"));
  CHECK(contains(page, "<td>csreft</td><td>0.50</td><td>25 %</td><td>0.125</td>"));
  CHECK(contains(page, "it is true."));
}
