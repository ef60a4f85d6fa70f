// ./run make-random as a user runs it.
#include <cmath>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/base/json_file.h"
#include "core/tensor/safetensors.h"
#include "models/checkpoints/open_checkpoint.h"
#include "models/llama/known_shapes.h"
#include "tests/experiments/command_bench.h"

namespace {

Words words(const Words& more = {}) {
  Words all{"make-random", "--shape", "tiny", "--quiet"};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace

TEST_CASE("make-random writes a model of the shape that generates, the same for one seed") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  const auto made = bench.run(words({"--out", "a"}));
  CAPTURE(made.err);
  REQUIRE(made.code == 0);
  const auto checkpoint = csreft::open_checkpoint(folder / "a");
  CHECK(csreft::parameter_shapes(checkpoint.config) == csreft::parameter_shapes(csreft::known_shape("tiny")));
  CHECK(contains(made.out, fmt::format("{} parameters in bf16", csreft::parameter_count(checkpoint.config))));
  CHECK(bench.run({"generate", "--quiet", "--model", "a", "--prompt", "hello", "--max-new-tokens", "2"}).code == 0);

  REQUIRE(bench.run(words({"--out", "b"})).code == 0);
  REQUIRE(bench.run(words({"--out", "c", "--seed", "2"})).code == 0);
  CHECK(folder.read("a/model.safetensors") == folder.read("b/model.safetensors"));
  CHECK(folder.read("a/model.safetensors") != folder.read("c/model.safetensors"));
}

TEST_CASE("make-random says where a tokenizer has more tokens than the shape") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  nlohmann::json tokenizer = nlohmann::json::parse(folder.read("model/tokenizer.json"));
  CHECK(bench.run(words({"--out", "a", "--tokenizer", "model"})).err.empty());
  tokenizer["added_tokens"].push_back({{"id", 400}, {"content", "<|far|>"}, {"special", true}});
  folder.write("model/tokenizer.json", tokenizer.dump());
  const auto made = bench.run(words({"--out", "b", "--tokenizer", "model"}));
  CHECK(made.code == 0);
  CHECK(contains(made.err, "note: the tokenizer model has 401 tokens and the shape tiny 320"));
}

TEST_CASE("make-random draws matrices of deviation 0.02 and norms of 1, in the type that is asked for") {
  const Bench bench;
  for (const auto& [dtype, name] : {std::pair{"f32", "F32"}, {"bf16", "BF16"}, {"f16", "F16"}}) {
    REQUIRE(bench.run(words({"--out", dtype, "--dtype", dtype, "--layers", "2"})).code == 0);
    const auto file = csreft::SafeTensors::open(bench.chat.folder / (std::string(dtype) + "/model.safetensors"));
    CHECK(file.type_name("model.embed_tokens.weight") == name);
    CHECK_FALSE(file.contains("model.layers.2.mlp.up_proj.weight"));
    const auto embedding = file.get("model.embed_tokens.weight").to(csreft::DType::f32);
    double squares = 0;
    for (const float value : embedding.span<float>()) squares += static_cast<double>(value) * value;
    // Of 10,240 draws the deviation is known to 0.7 %; five times that are allowed.
    CHECK(std::sqrt(squares / static_cast<double>(embedding.numel())) == doctest::Approx(0.02).epsilon(0.035));
    const auto norm = file.get("model.norm.weight").to(csreft::DType::f32);
    for (const float value : norm.span<float>()) CHECK(value == 1);
  }
}

TEST_CASE("make-random copies a tokenizer, whose begin and end are the model's") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  REQUIRE(bench.run(words({"--out", "a", "--tokenizer", "model"})).code == 0);
  CHECK(folder.read("a/tokenizer.json") == folder.read("model/tokenizer.json"));
  REQUIRE(bench.run(words({"--out", "b", "--tokenizer", "model/tokenizer.json"})).code == 0);
  CHECK(folder.read("b/tokenizer.json") == folder.read("model/tokenizer.json"));
  REQUIRE(bench.run(words({"--out", "c"})).code == 0);
  const auto config = csreft::read_json_object(folder / "c/config.json");
  CHECK(config["bos_token_id"] == 256);
  CHECK(config["eos_token_id"] == 257);
}

TEST_CASE("make-random refuses what it cannot write, and leaves nothing") {
  const Bench bench;
  check_refused(bench, words(), "expected --out FOLDER");
  check_refused(bench, {"make-random", "--shape", "llama2-7", "--out", "a"}, "unknown shape 'llama2-7'");
  check_refused(bench, words({"--out", "a", "--dtype", "f64"}),
                "--dtype f64 is not possible: expected f32, bf16 or f16");
  check_refused(bench, words({"--out", "a", "--layers", "-1"}), "--layers -1 is not possible");
  check_refused(bench, words({"--out", "a", "--tokenizer", "absent"}), "tokenizer absent does not exist");
  check_refused(bench, words({"--out", "model"}), "folder model is not empty");
}

TEST_CASE("every known shape has as many parameters as the model it is named after") {
  const auto count = [](const char* name) { return csreft::parameter_count(csreft::known_shape(name)); };
  CHECK(count("smollm2") == 134'515'008);
  CHECK(count("qwen2-0.5b") == 494'032'768);
  CHECK(count("tinyllama-1.1b") == 1'100'048'384);
  CHECK(count("llama3.2-1b") == 1'235'814'400);
  CHECK(count("llama2-7b") == 6'738'415'616);
  CHECK(count("mistral-7b") == 7'241'732'096);
  CHECK(count("qwen2.5-7b") == 7'615'616'512);
  CHECK(count("llama3-8b") == 8'030'261'248);
  CHECK(count("llama2-13b") == 13'015'864'320);
  for (const auto& shape : csreft::known_shapes()) csreft::check_config(shape.config, shape.name);
}
