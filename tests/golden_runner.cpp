#include "tests/golden_runner.h"

#include <algorithm>
#include <array>

#include "models/text/load_tokenizer.h"
#include "tests/autograd/golden_optim.h"
#include "tests/golden_families.h"
#include "tests/golden_model.h"
#include "tests/golden_smollm2.h"
#include "tests/golden_tokenizer.h"
#include "tests/models/checkpoints/golden_gguf.h"
#include "tests/reft/stiefel/golden_stiefel.h"

namespace fs = std::filesystem;

namespace {

void forward_all(const std::vector<GoldenResult>& results, const GoldenSink& sink) {
  csreft::require(!results.empty(), "there is nothing to compare");
  for (const auto& result : results) sink(result);
}

// Where the SentencePiece model lies that smollm2/tokens.json was made with, or nothing.
fs::path find_llama2_tokenizer(const fs::path& directory) {
  const fs::path beside = fs::weakly_canonical(directory).parent_path();
  for (const auto& path : {directory / "llama2", beside / "llama2", directory / "smollm2"}) {
    if (fs::exists(path / "tokenizer.model")) return path / "tokenizer.model";
  }
  return {};
}

bool is_data_of_others(const fs::path& entry) {
  // The tokenizer's folder belongs to smollm2/tokens.json.
  if (fs::is_directory(entry)) return entry.filename() == "llama2" && fs::exists(entry / "tokenizer.model");
  // Notes and scripts are no golden values.
  return std::ranges::count(std::array<fs::path, 3>{".md", ".txt", ".py"}, entry.extension()) == 1;
}

void run_folder(const fs::path& directory, const fs::path& folder, const GoldenSink& sink) {
  const std::string name = folder.filename().string();
  if (name == "stiefel") return forward_all(check_golden_stiefel(folder), sink);
  if (name == "optim") return forward_all(check_golden_optim(folder), sink);
  if (name == "gguf") return forward_all(check_golden_gguf(folder), sink);
  if (name == "families") return check_golden_families(folder, sink);
  if (name == "smollm2") return check_golden_smollm2(folder, find_llama2_tokenizer(directory), sink);
  const bool model = fs::exists(folder / "config.json") && fs::exists(folder / "golden.json");
  const bool tokens = fs::exists(folder / "tokens.json");
  csreft::require(model || tokens, "not built: golden values of this kind are not known");
  if (model) guard(name, sink, [&] { check_golden_model(folder, sink); });
  if (tokens) {
    guard(name + " tokens", sink, [&] {
      report_golden_tokens(name + " tokens", csreft::load_tokenizer(folder), folder / "tokens.json", "ids", sink);
    });
  }
}

}  // namespace

void run_golden(const fs::path& directory, const GoldenSink& sink) {
  csreft::require(fs::is_directory(directory), "no folder {}: expected one with golden values", directory.string());
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(directory)) entries.push_back(entry.path());
  std::erase_if(entries, is_data_of_others);
  csreft::require(!entries.empty(), "{} is empty: expected a folder with golden values", directory.string());
  std::ranges::sort(entries);
  for (const auto& entry : entries) {
    guard(entry.filename().string(), sink, [&] {
      csreft::require(fs::is_directory(entry), "not built: golden values of this kind are not known");
      run_folder(directory, entry, sink);
    });
  }
}
