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
  CHECK(contains(page, "one standard error"));
  CHECK(contains(page, "class=\"text right\">it is true."));
  CHECK_FALSE(contains(page, "class=\"text right\">no"));
  CHECK_FALSE(contains(page, "<script"));
  CHECK_FALSE(contains(page, "src="));
  CHECK_FALSE(contains(page, "interrupted"));
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
  CHECK_FALSE(contains(page, "one standard error"));
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
  CHECK(contains(render_report(report), "after training"));
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
  CHECK(contains(page, "<tr><td>b</td><td>35.0 ± 4.8</td><td>100.0 ± 0.0</td></tr>"));
  CHECK(contains(page, "<tr><td>c</td><td>2.500</td><td>1.250</td></tr>"));
  CHECK(contains(page, "<td>csreft</td><td>0.50</td><td>25 %</td><td>0.125</td>"));
  CHECK(contains(page, "it is true."));
}
