// Whatever is wrong, a user sees one line on stderr, exit code 2, and no new, changed or half-written file.
#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/tensor/random.h"
#include "core/tensor/safetensors.h"
#include "tests/environment.h"
#include "tests/experiments/command_bench.h"
#include "tests/models/checkpoints/gguf_builder.h"
#include "tests/program.h"

namespace {

// A safetensors file of this header and so many bytes of data.
std::string safetensors_bytes(const std::string& header, std::size_t data) {
  return bytes_of(static_cast<std::uint64_t>(header.size())) + header + std::string(data, '\0');
}

bool all_finite(const std::filesystem::path& file) {
  const auto tensors = csreft::SafeTensors::open(file);
  return std::ranges::all_of(tensors.names(), [&](const std::string& name) {
    return std::ranges::all_of(tensors.get(name).span<float>(), [](float x) { return std::isfinite(x); });
  });
}

}  // namespace

TEST_CASE("the command line trains, scores, generates and inspects a small model") {
  const Bench bench;
  const auto trained = bench.run(bench.train({{"--test", "test.json"}}));
  CAPTURE(trained.err);
  REQUIRE(trained.code == 0);
  CHECK(trained.err.empty());
  for (const char* file : {"config.json", "metrics.jsonl", "summary.json", "report.html", "adapter/adapter.json",
                           "adapter/adapter.safetensors", "state.safetensors"}) {
    CAPTURE(file);
    CHECK(std::filesystem::file_size(bench.chat.folder / (std::string("run/") + file)) > 0);
  }
  const auto summary = nlohmann::json::parse(bench.chat.folder.read("run/summary.json"));
  for (const char* key :
       {"method", "model", "trainable_parameters", "trainable_percent", "trainable_percent_without_router",
        "tokens_per_second", "peak_memory_bytes", "train_loss", "tasks", "seed"}) {
    CAPTURE(key);
    CHECK(summary.contains(key));
  }
  CHECK(summary["train_loss"].size() == 2);
  CHECK(summary["tasks"]["test"]["n"] == 4);
  CHECK(summary["tasks"]["test"].contains("accuracy"));

  const Words adapter{"--quiet", "--model", "model", "--adapter", "run/adapter", "--threads", "1"};
  const auto with_adapter = [&](Words words) {
    words.insert(words.end(), adapter.begin(), adapter.end());
    return bench.run(words).code;
  };
  CHECK(with_adapter({"evaluate", "--test", "test.json", "--out", "scores.json"}) == 0);
  CHECK(with_adapter({"generate", "--prompt", "AAA", "--max-new-tokens", "3"}) == 0);
  CHECK(with_adapter({"generate", "--data", "test.json", "--out", "answers.json", "--max-new-tokens", "3"}) == 0);
  CHECK(with_adapter({"inspect", "--prompt", "AAA", "--json", "inspect.json"}) == 0);
  // The run's folder will do, too.
  CHECK(bench.run({"inspect", "--model", "model", "--adapter", "run", "--prompt", "AAA"}).code == 0);
  CHECK(nlohmann::json::parse(bench.chat.folder.read("answers.json")).size() == 4);
  CHECK(nlohmann::json::parse(bench.chat.folder.read("scores.json"))["tasks"]["test"]["n"] == 4);
}

TEST_CASE("each answer names the adapters that it comes from") {
  const Bench bench;
  REQUIRE(bench.run(bench.train()).code == 0);
  REQUIRE(bench.run(bench.train({{"--method", "lora"}, {"--out", "other"}})).code == 0);
  bench.chat.folder.write("ask.json", R"([{"instruction": "A"}, {"instruction": "A", "adapter": "b"},
      {"instruction": "A", "adapter": ["b", "a"]}, {"instruction": "A", "adapter": []}])");
  const auto run = bench.run({"generate", "--quiet", "--model", "model", "--adapter", "a=run", "--adapter", "b=other",
                              "--use", "a", "--data", "ask.json", "--out", "answers.json", "--max-new-tokens", "2"});
  CAPTURE(run.err);
  REQUIRE(run.code == 0);
  const auto answers = nlohmann::json::parse(bench.chat.folder.read("answers.json"));
  REQUIRE(answers.size() == 4);
  const auto model = answers[3]["generator"].get<std::string>();
  CHECK_FALSE(contains(model, "+"));
  CHECK(answers[0]["generator"] == model + "+loreft");
  CHECK(answers[1]["generator"] == model + "+lora");
  CHECK(answers[2]["generator"] == model + "+lora+loreft");
  CHECK_FALSE(answers[0].contains("adapter"));
  CHECK(answers[1]["adapter"] == nlohmann::json::array({"b"}));
}

TEST_CASE("training takes the first examples of its files, and goes on with them") {
  const Bench bench;
  REQUIRE(
      bench.run(bench.train({{"--examples", "3"}, {"--batch", "2"}, {"--test", "test.json"}, {"--tests", "1"}})).code ==
      0);
  const auto summary = nlohmann::json::parse(bench.chat.folder.read("run/summary.json"));
  CHECK(summary["steps"] == 2);
  CHECK(summary["tasks"]["test"]["n"] == 1);
  // From anywhere, with the files that it was started with; other threads are said.
  const auto resumed =
      run_program({"train", "--quiet", "--resume", (bench.chat.folder / "run").string(), "--threads", "2"});
  CAPTURE(resumed.err);
  CHECK(resumed.code == 0);
  CHECK(contains(resumed.out, "with 2 threads where the run had 1"));
  check_refused(bench, bench.train({{"--out", "other"}, {"--examples", "3,4"}}), "2 numbers for 1 tasks");
  check_refused(bench, bench.train({{"--out", "other"}, {"--examples", "0"}}), "expected numbers of 1 or more");
  check_refused(bench, bench.train({{"--out", "other"}, {"--tests", "-1"}}), "--tests -1");
}

TEST_CASE("a wrong word on the command line is refused, with the nearest that exists") {
  const Bench bench;
  check_refused(bench, {"trian"}, "did you mean train?");
  {
    const EnvironmentVariable commands("CSREFT_COMMANDS", "build,test");
    check_refused(bench, {"tset"}, "(did you mean test?)");
    check_refused(bench, {"nothing"}, "roofline, soak, build, test");
  }
  check_refused(bench, bench.train({{"--ranks", "3"}}), "did you mean --rank?");
  check_refused(bench, bench.train({{"--zzz", "3"}}), "unknown flag --zzz");
  check_refused(bench, bench.train({{"--method", "lorfet"}}), "did you mean loreft?");
  check_refused(bench, bench.train({{"--retraction", "qrr"}}), "qr");
  check_refused(bench, bench.train({{"--optimizer", "adam"}}), "adam");
  check_refused(bench, bench.train({{"--chat-template", "chatlm"}}), "chatml");
  check_refused(bench, bench.train({{"--lr", "fast"}}), "--lr 'fast' is not understood: expected a number more than 0");
  check_refused(bench, {"train", "--lr"}, "--lr");
  check_refused(bench, {"train", "--lr", "1", "--lr", "2"}, "--lr");
  check_refused(bench, bench.train({{"--lr", "-1"}}), "--lr");
  check_refused(bench, bench.train({{"--warmup", "2"}}), "--warmup");
  check_refused(bench, bench.train({{"--batch", "0"}}), "--batch");
  check_refused(bench, bench.train({{"--threads", "-3"}}), "threads");
  check_refused(bench, bench.train({{"--device", "tpu"}}), "tpu");
  check_refused(bench, bench.train({{"--weights", "f16"}}), "expected f32, bf16 or tf32");
  check_refused(bench, bench.train({{"--weights", "tf32"}}), "needs --device cuda");
  check_refused(bench, {"train"}, "--train");
  check_refused(bench, {"ablate", "--quiet"}, "there is nothing to compare: expected an ablation, one of router, ");
  check_refused(bench, {"inspect", "--model", "model"}, "--prompt is missing: expected --prompt TEXT");
  check_refused(bench, {"inspect", "--model", "model", "--prompt", ""}, "expected --prompt TEXT, which is not empty");
  check_refused(bench, {"generate", "--prompt", "A", "word"}, "the word 'word' belongs to no flag");
  check_refused(bench, bench.train({{"--method", "lora"}, {"--targets", "foo"}}), "unknown linear layer 'foo'");
  check_refused(bench, {"generate", "--model", "model"}, "--prompt");
}

TEST_CASE("a flag without use is a note, and its value is checked all the same") {
  const Bench bench;
  const auto noted = bench.run(bench.train({{"--lora.rank", "4"}, {"--tau", "0.4"}}));
  CAPTURE(noted.err);
  CHECK(noted.code == 0);
  CHECK(contains(noted.out, "note: --lora.rank has no effect on method loreft as it is chosen here\n"));
  const auto single = bench.run(bench.train({{"--out", "single"}, {"--method", "lora"}, {"--lora.rank", "4"}}));
  CHECK(single.code == 0);
  CHECK(contains(single.out, "as it is chosen here: of a method by itself it is --rank\n"));
  const auto refused = [&](const std::map<std::string, std::string>& changes, const std::string& part) {
    auto flags = changes;
    flags["--out"] = "other";
    check_refused(bench, bench.train(flags), part);
  };
  refused({{"--tau", "2"}}, "--tau 2 is not possible: expected a number between 0 and 1");
  refused({{"--lora.rank", "0"}}, "--lora.rank 0 is not possible: expected 1 or more");
  refused({{"--gate", "hrad"}}, "did you mean hard?");
  refused({{"--optimizer", "adamw"}, {"--retraction", "qrr"}}, "unknown retraction 'qrr'");
  refused({{"--foo.rank", "4"}}, "unknown flag --foo.rank");
}

TEST_CASE("wrong flags are told before a folder that cannot be taken, or an adapter that is not there") {
  const Bench bench;
  const auto refused = [&](const std::map<std::string, std::string>& changes, const std::string& part) {
    auto flags = changes;
    flags["--out"] = "model";
    check_refused(bench, bench.train(flags), part);
  };
  refused({{"--rank", "0"}}, "--rank 0");
  refused({{"--retraction", "qrr"}}, "unknown retraction");
  refused({{"--weights", "f16"}}, "unknown weights");
  refused({{"--save-every", "soon"}}, "--save-every soon");
  check_refused(bench, {"train", "--resume", "nowhere", "--epochs", "0"}, "--epochs 0");
  check_refused(bench, {"evaluate", "--test", "absent.json", "--adapter", "nowhere", "--alpha", "x"}, "--alpha 'x'");
}

TEST_CASE("--tests takes the first examples, by its older name as well, which no help shows") {
  const Bench bench;
  auto words = bench.train({{"--test", "test.json"}, {"--limit", "3"}});
  REQUIRE(bench.run(words).code == 0);
  CHECK(nlohmann::json::parse(bench.chat.folder.read("run/summary.json"))["tasks"]["test"]["n"] == 3);
  for (const char* command : {"train", "evaluate", "ablate", "quickstart"}) {
    const auto help = bench.run({command, "--help"}).out;
    CHECK(contains(help, "--tests INT"));
    CHECK_FALSE(contains(help, "--limit"));
  }
  for (const char* flag : {"--tests", "--limit"}) {
    const auto scored = bench.run(
        {"evaluate", "--quiet", "--model", "model", "--test", "test.json", flag, "3", "--out", "scores.json"});
    CAPTURE(scored.err);
    REQUIRE(scored.code == 0);
    CHECK(nlohmann::json::parse(bench.chat.folder.read("scores.json"))["tasks"]["test"]["n"] == 3);
  }
  check_refused(bench, {"evaluate", "--model", "model", "--test", "test.json", "--tests", "-1"}, "--tests -1");
}

TEST_CASE("inspect tells gates of the router from those that --alpha puts in their place") {
  const Bench bench;
  REQUIRE(bench.run(bench.train({{"--method", "csreft"}, {"--subspaces", "2"}})).code == 0);
  Words words{"inspect", "--model", "model", "--adapter", "run", "--prompt", "AAA"};
  CHECK(contains(bench.run(words).out, "\ngate top1: alpha "));
  words.insert(words.end(), {"--alpha", "0.5,0.25"});
  const auto steered = bench.run(words).out;
  CHECK(contains(steered, "\ngates of --alpha, in place of the router's: alpha   0.500   0.250\n"));
  CHECK_FALSE(contains(steered, "gate top1"));
}

TEST_CASE("a method that the model has no room for is refused") {
  const Bench bench;
  check_refused(bench, bench.train({{"--rank", "17"}}), "rank 17");
  check_refused(bench, bench.train({{"--rank", "0"}}), "rank 0");
  check_refused(bench, bench.train({{"--layers", "2"}}), "layer");
  check_refused(bench, bench.train({{"--layers", "0,0"}}), "layer");
  check_refused(bench, bench.train({{"--layers", "one"}}), "--layers");
  check_refused(bench, bench.train({{"--positions", "500"}}), "position 500 lies outside a prompt");
  check_refused(bench, bench.train({{"--positions", "middle"}}), "positions");
  check_refused(bench, bench.train({{"--method", "csreft"}, {"--rank", "5"}}), "rank");
}

TEST_CASE("missing, broken and empty data are refused") {
  const Bench bench;
  const auto with_data = [&](const std::string& name) {
    return Words{"train",  "--quiet", "--model", "model", "--layers", "1",
                 "--rank", "2",       "--out",   "run",   "--train",  name};
  };
  const auto& folder = bench.chat.folder;
  check_refused(bench, with_data("absent.json"), "absent.json");
  folder.write("empty.json", "[]");
  check_refused(bench, with_data("empty.json"), "no examples");
  folder.write("nothing.json", "");
  check_refused(bench, with_data("nothing.json"), "no examples");
  folder.write("broken.json", R"([{"instruction": "a", "output": )");
  check_refused(bench, with_data("broken.json"), "broken JSON");
  folder.write("odd.json", R"([{"instruction": "a"}])");
  check_refused(bench, with_data("odd.json"), "output");
  folder.write("long.json", nlohmann::json{{{"instruction", std::string(200, 'a')}, {"output", "b"}}}.dump());
  check_refused(bench, with_data("long.json"), "context of 160");
  check_refused(bench, bench.train({{"--max-length", "5"}}), "--max-length");
  check_refused(bench, bench.train({{"--test", "long.json"}}), "context of 160");
  check_refused(bench, bench.train({{"--test", "absent.json"}}), "absent.json");
  check_refused(bench, {"evaluate", "--quiet", "--model", "model", "--test", "long.json", "--out", "scores.json"},
                "context of 160");
  check_refused(bench, {"generate", "--model", "model", "--prompt", std::string(200, 'a')}, "context of 160");
  check_refused(bench, {"generate", "--quiet", "--model", "model", "--data", "long.json", "--out", "answers.json"},
                "context of 160");
  check_refused(bench, {"inspect", "--model", "model", "--prompt", std::string(200, 'a')}, "context of 160");
}

TEST_CASE("a model that is not there or not whole is refused") {
  const Bench bench;
  const auto& chat = bench.chat;
  check_refused(bench, bench.train({{"--model", "absent"}}), "absent");

  std::filesystem::rename(chat.path() / "config.json", chat.folder / "config.json");
  check_refused(bench, bench.train(), "config.json");
  chat.write("config.json", "{");
  check_refused(bench, bench.train(), "config.json");
  auto config = chat.config;
  config["vocab_size"] = 200;
  chat.write_config(config);
  check_refused(bench, bench.train(), "model.embed_tokens.weight");
  config = chat.config;
  config["num_hidden_layers"] = 3;
  chat.write_config(config);
  check_refused(bench, bench.train(), "model.layers.2");
  chat.write_config(chat.config);

  auto weights = chat.weights;
  weights.erase(weights.begin() + 3);
  chat.write_weights(weights);
  check_refused(bench, bench.train(), chat.weights[3].first);
  weights = chat.weights;
  weights[2].second = csreft::random_normal({3, 5}, 0, 1, 0, 0);
  chat.write_weights(weights);
  check_refused(bench, bench.train(), "shape [3, 5]: the config wants");

  std::filesystem::remove(chat.path() / "model.safetensors");
  check_refused(bench, bench.train(), "model.safetensors");
  chat.write_weights(chat.weights);
  std::filesystem::remove(chat.path() / "tokenizer.json");
  check_refused(bench, bench.train(), "tokenizer");
}

TEST_CASE("a vocabulary that does not fit the model is refused") {
  const Bench bench;
  auto config = bench.chat.config;
  config["vocab_size"] = 100;
  bench.chat.write_config(config);
  auto weights = bench.chat.weights;
  for (auto& [name, tensor] : weights) {
    if (name == "model.embed_tokens.weight" || name == "lm_head.weight") tensor = tensor.slice(0, 100);
  }
  bench.chat.write_weights(weights);
  check_refused(bench, bench.train(), "lies outside the model's vocabulary of 100");
}

TEST_CASE("truncated and corrupt safetensors are refused, and what is printed of them stays one line") {
  const Bench bench;
  const auto refused = [&](const std::string& bytes, const std::string& part) {
    bench.chat.write("model.safetensors", bytes);
    check_refused(bench, bench.train(), part);
  };
  const std::string whole = bench.chat.folder.read("model/model.safetensors");
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{100}, whole.size() - 1}) {
    refused(whole.substr(0, size), "model.safetensors");
  }
  refused(bytes_of(std::uint64_t{1} << 60) + "{}", "model.safetensors");
  refused(safetensors_bytes("{\"a\": ", 0), "model.safetensors");
  refused(safetensors_bytes(R"({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})", 8), "a");
  refused(safetensors_bytes(R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                               "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}})",
                            12),
          "model.safetensors");
  refused(safetensors_bytes(R"({"a": {"dtype": "Q7", "shape": [4], "data_offsets": [0, 16]}})", 16), "Q7");
  refused(safetensors_bytes(R"({"a\n\u001b[31m": {"dtype": "Q7", "shape": [4], "data_offsets": [0, 16]}})", 16), "Q7");
}

TEST_CASE("truncated and corrupt GGUF files are refused") {
  const Bench bench;
  GgufBuilder builder;
  builder.text("general.architecture", "llama");
  builder.info("a\nb", {4}, 99, 0);
  const std::string bytes = builder.bytes();
  const auto refused = [&](const std::string& content) {
    bench.chat.folder.write("a.gguf", content);
    check_refused(bench, {"generate", "--model", "a.gguf", "--prompt", "a"}, "a.gguf");
  };
  for (std::size_t size = 0; size < bytes.size(); size += 13) refused(bytes.substr(0, size));
  refused(bytes);
}

TEST_CASE("an adapter of another model, or one that is not whole, is refused") {
  const Bench bench;
  REQUIRE(bench.run(bench.train()).code == 0);
  const Words evaluate{"evaluate",  "--quiet",   "--model",     "model", "--test",
                       "test.json", "--adapter", "run/adapter", "--out", "scores.json"};
  const auto description = bench.chat.folder.read("run/adapter/adapter.json");
  bench.chat.folder.write("run/adapter/adapter.json", description.substr(0, description.size() / 2));
  check_refused(bench, evaluate, "adapter.json");
  bench.chat.folder.write("run/adapter/adapter.json", description);
  const auto values = bench.chat.folder.read("run/adapter/adapter.safetensors");
  bench.chat.folder.write("run/adapter/adapter.safetensors", values.substr(0, values.size() - 4));
  check_refused(bench, evaluate, "adapter.safetensors");
  bench.chat.folder.write("run/adapter/adapter.safetensors", values);

  auto weights = bench.chat.weights;
  weights[1].second = csreft::random_normal(weights[1].second.shape(), 0, 1, 77, 0);
  bench.chat.write_weights(weights);
  check_refused(bench, evaluate, "another model");
  check_refused(bench, {"evaluate", "--model", "model", "--test", "test.json", "--adapter", "nowhere"}, "nowhere");
  check_refused(bench, {"evaluate", "--model", "model", "--test", "test.json", "--adapter", "model"},
                "model is not an adapter: it has no adapter.json; expected the folder of a run");
  check_refused(bench, {"train", "--resume", "nowhere"}, "nowhere");
}

TEST_CASE("a loss that is no longer finite stops the run, says where, and leaves a finite adapter") {
  const Bench bench;
  const auto result = bench.run(bench.train({{"--lr", "1e30"}, {"--layers", "0,1"}}));
  CAPTURE(result.err);
  CHECK(result.code == 2);
  CHECK(is_one_error_line(result.err));
  CHECK(contains(result.err, "not finite at step "));
  CHECK(all_finite(bench.chat.folder / "run/adapter/adapter.safetensors"));
  // What was saved can be used.
  CHECK(
      bench.run({"evaluate", "--quiet", "--model", "model", "--test", "test.json", "--adapter", "run/adapter"}).code ==
      0);
}

TEST_CASE("the values of a last step that are not finite are not saved either") {
  const Bench bench;
  const auto result = bench.run(bench.train({{"--lr", "1e300"}, {"--steps", "1"}}));
  CAPTURE(result.err);
  CHECK(result.code == 2);
  CHECK(is_one_error_line(result.err));
  CHECK(contains(result.err, "not finite at step 1"));
  CHECK(all_finite(bench.chat.folder / "run/adapter/adapter.safetensors"));
}

TEST_CASE("a folder that cannot be made is an error before any work") {
  const Bench bench;
  check_refused(bench, bench.train({{"--out", "train.json/run"}}), "train.json/run");
  check_refused(bench, bench.train({{"--out", "train.json"}}), "train.json");
  check_refused(bench,
                {"evaluate", "--quiet", "--model", "model", "--test", "test.json", "--out", "absent/scores.json"},
                "absent/scores.json");
}

TEST_CASE("a full disk is an error, and no file is left in part") {
  const Bench bench;
  const Snapshot before = snapshot(bench.chat.folder.path());
  // Not even config.json has room: the folder of the run is gone as well.
  auto result = bench.run(bench.train(), 256);
  CAPTURE(result.err);
  CHECK(result.code == 2);
  CHECK(is_one_error_line(result.err));
  CHECK(snapshot(bench.chat.folder.path()) == before);

  // metrics.jsonl fills the disk: it keeps whole lines.
  result = bench.run(bench.train({{"--epochs", "40"}}), 4096);
  CHECK(result.code == 2);
  CHECK(is_one_error_line(result.err));
  CHECK(contains(result.err, "metrics.jsonl"));
  const auto metrics = bench.chat.folder.read("run/metrics.jsonl");
  CHECK(!metrics.empty());
  CHECK(metrics.ends_with("}\n"));
  for (const auto& [file, bytes] : snapshot(bench.chat.folder.path())) CHECK(!contains(file, ".tmp-"));
}

TEST_CASE("a standard output that takes nothing is an error") {
  const auto result = run_program({"--help"}, {.out_file = "/dev/full"});
  CHECK(result.code == 2);
  CHECK(result.err == "error: cannot write to the standard output: No space left on device\n");
}
