// The project's own golden values, and what the runner does with values that it cannot check.
#include "tests/golden_runner.h"

#include <algorithm>
#include <map>
#include <optional>

#include <doctest/doctest.h>

#include "core/base/json_file.h"
#include "tests/environment.h"
#include "tests/error_text.h"
#include "tests/source.h"
#include "tests/temporary_folder.h"

namespace fs = std::filesystem;

namespace {

const fs::path own = source("tests/golden");

std::vector<GoldenResult> run(const fs::path& directory) {
  std::vector<GoldenResult> results;
  run_golden(directory, [&](GoldenResult result) { results.push_back(std::move(result)); });
  return results;
}

std::map<std::string, std::string> failures_of(const std::vector<GoldenResult>& results) {
  std::map<std::string, std::string> failures;
  for (const auto& result : results) {
    if (!result.passed) failures[result.name] = result.detail;
  }
  return failures;
}

// A copy of the small model's folder whose golden.json `change` has edited.
void copy_model(const TemporaryFolder& folder, const std::function<void(nlohmann::json& cases)>& change) {
  const fs::path model = folder / "model";
  fs::create_directory(model);
  for (const auto& entry : fs::directory_iterator(own / "tiny-gqa")) {
    if (entry.path().filename() != "golden.json") fs::copy(entry.path(), model / entry.path().filename());
  }
  auto golden = csreft::read_json_object(own / "tiny-gqa" / "golden.json");
  change(golden["cases"]);
  folder.write("model/golden.json", golden.dump());
}

}  // namespace

TEST_CASE("the project's golden values hold") {
  const auto results = run(own);
  for (const auto& result : results) CHECK_MESSAGE(result.passed, result.name, ": ", result.detail);
  // Each kind that is kept has been run.
  for (const auto* name :
       {"tiny-gqa base: gradients", "tiny-gqa loreft: gradients", "tiny-gqa loreft.tied: loss",
        "tiny-gqa csreft.prompt_mean.l1: gates", "tiny-gqa csreft.prompt_mean.entropy: gradients", "qwen2: gradients",
        "rope-yarn: logits", "stiefel 4x64.retract_qr", "optim adamw", "gguf Q2_K", "gguf Q3_K", "gguf Q4_K",
        "gguf Q5_K", "gguf Q6_K", "gguf Q8_K", "gguf IQ4_NL", "gguf IQ4_XS"}) {
    CHECK_MESSAGE(std::ranges::count(results, name, &GoldenResult::name) == 1, name);
  }
}

TEST_CASE("cases that are not built fail by name, and the others run") {
  const TemporaryFolder folder;
  copy_model(folder, [](nlohmann::json& cases) {
    const nlohmann::json csreft = cases["csreft.prompt_mean.l1"];
    cases["csreft.nothing.l1"] = csreft;
    cases["csreft.prompt_mean.nothing"] = csreft;
    cases["sorcery"] = cases["loreft"];
    cases["loreft"]["spell"] = 1;
  });
  const auto results = run(folder.path());
  const auto failures = failures_of(results);
  CHECK(failures.size() == 4);
  CHECK(contains(failures.at("model csreft.nothing.l1"), "not built: unknown router input 'nothing'"));
  CHECK(contains(failures.at("model csreft.prompt_mean.nothing"), "not built: unknown penalty 'nothing'"));
  CHECK(contains(failures.at("model sorcery"), "not built"));
  CHECK(contains(failures.at("model loreft"), "`spell`"));
  CHECK(results.size() - failures.size() >= 10);
}

TEST_CASE("a value that is wrong fails with its difference and what is allowed") {
  const TemporaryFolder folder;
  copy_model(folder, [](nlohmann::json& cases) {
    cases["base"]["loss"] = cases["base"]["loss"].get<double>() * (1.0 + 2e-5);
    cases["csreft.prompt_mean.l1"]["alpha"][1][0] = 0.5;
  });
  const auto failures = failures_of(run(folder.path()));
  CHECK(failures.size() == 2);
  CHECK(contains(failures.at("model base: loss"), "relative difference 2e-05 in loss, allowed 1e-05"));
  CHECK(contains(failures.at("model csreft.prompt_mean.l1: gates"), "in prompt 1, allowed 1e-05"));
}

TEST_CASE("tensors that no check looked at are a failure") {
  const TemporaryFolder folder;
  copy_model(folder, [](nlohmann::json& cases) { cases.erase("loreft.tied"); });
  const auto failures = failures_of(run(folder.path()));
  CHECK(failures.size() == 1);
  CHECK(contains(failures.at("model: every tensor is known"), "loreft.tied."));
}

TEST_CASE("kinds that are not known, and folders that cannot be read, are failures; notes are not") {
  const TemporaryFolder folder;
  folder.write("README.md", "notes");
  folder.write("loose.safetensors", "");
  for (const auto* name : {"mystery", "optim", "stiefel"}) fs::create_directory(folder / name);
  const auto results = run(folder.path());
  const auto failures = failures_of(results);
  CHECK(failures.size() == results.size());
  CHECK(failures.size() == 4);
  CHECK(contains(failures.at("loose.safetensors"), "not built"));
  CHECK(contains(failures.at("mystery"), "not built"));
  CHECK(failures.contains("optim"));
  CHECK(failures.contains("stiefel"));
}

TEST_CASE("values of the default model without the model, or without the other tokenizer, say what is missing") {
  const EnvironmentVariable without("CSREFT_SMOLLM2", std::nullopt);
  const TemporaryFolder folder;
  fs::create_directories(folder / "golden/smollm2");
  folder.write("golden/smollm2/tokens.json", R"([{"text": "a", "smollm2": [81], "llama2": [263], "other": [1]}])");
  folder.write("golden/smollm2/generate.json", "[]");
  folder.write("golden/smollm2/news.json", "[]");
  const auto failures = failures_of(run(folder / "golden"));
  CHECK(failures.size() == 5);
  CHECK(contains(failures.at("smollm2 tokens: smollm2"), "CSREFT_SMOLLM2 is not set"));
  CHECK(contains(failures.at("smollm2 tokens: llama2"), "no llama2/tokenizer.model"));
  CHECK(contains(failures.at("smollm2 tokens: other"), "not built"));
  CHECK(contains(failures.at("smollm2 generate.json"), "CSREFT_SMOLLM2 is not set"));
  CHECK(contains(failures.at("smollm2 news.json"), "not built"));
}

TEST_CASE("a folder that is missing or empty is an error") {
  const TemporaryFolder folder;
  CHECK(contains(error_text([&] { return run(folder / "nowhere").size(); }), "expected one with golden values"));
  CHECK(contains(error_text([&] { return run(folder.path()).size(); }), "is empty"));
}
