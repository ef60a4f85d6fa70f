#include "experiments/training/run_options.h"

#include <doctest/doctest.h>

using csreft::options_of;
using csreft::RunOptions;
using nlohmann::json;

TEST_CASE("a run's options are those of its method and training, by their flags, and what else it was given") {
  const json config{{"method", {{"method", "csreft"}, {"router_lr", 3.0}, {"tied", true}, {"tasks", {"a", "b"}}}},
                    {"train", {{"lr", 0.004}, {"system", ""}}},
                    {"model", {{"name", "tiny"}}},
                    {"arguments", {"--examples=4", "--out", "x", "--validation", "a", "b", "--tests", "3"}},
                    {"data", {{"train", {{{"path", "/d/one.train.json"}}, {{"task", "two"}}}}}}};
  CHECK(options_of(config) == RunOptions{{"router-lr", "3.0"},
                                         {"tied", "true"},
                                         {"tasks", R"(["a","b"])"},
                                         {"lr", "0.004"},
                                         {"model", "tiny"},
                                         {"examples", "4"},
                                         {"validation", "a,b"},
                                         {"tests", "3"},
                                         {"train", "one,two"}});
}

TEST_CASE("a config of another form has the options that are understood") {
  CHECK(options_of(nullptr).empty());
  CHECK(options_of(json{{"method", "loreft"}, {"train", {1, 2}}, {"arguments", 7}, {"model", "m"}, {"data", "d"}})
            .empty());
  CHECK(options_of(json{{"arguments", {"--train", "a.json", 7, "b.test.json", "--weights"}}}) ==
        RunOptions{{"train", "a,b"}});
}

TEST_CASE("options differ that are not the same in all runs, or not in all of them") {
  const std::vector<RunOptions> runs{{{"a", "1"}, {"b", "1"}, {"c", "1"}}, {{"a", "1"}, {"b", "2"}}};
  const auto names = csreft::differing_options(runs);
  CHECK(names == std::vector<std::string>{"b", "c"});
  CHECK(csreft::describe(runs[0], names) == "b 1, c 1");
  CHECK(csreft::describe(runs[1], names) == "b 2");
  CHECK(csreft::differing_options(std::vector<RunOptions>{}).empty());
}
