// What strangers' files may do: be read, and nothing outside the folder that a run writes.
#include <nlohmann/json.hpp>

#include "tests/experiments/command_bench.h"

namespace {

using nlohmann::json;

// Tasks whose names and texts are paths, commands of a shell and of gnuplot, and HTML.
std::string hostile_data() {
  json list = json::array();
  for (const char* name : {"../../evil", "/tmp/csreft-evil", "..", "`touch evil`", "$(touch evil)", "'; touch evil; '",
                           "<script>evil</script>", "\"><img src=x onerror=evil>"}) {
    for (const char* text : {"<script>evil</script>", "</td><script>evil</script>", "`touch evil`"}) {
      list.push_back({{"skill", name}, {"instruction", text}, {"output", text}, {"answer", text}});
    }
  }
  return list.dump();
}

bool is_within(const std::filesystem::path& file, const std::filesystem::path& folder) {
  return file.string().starts_with(folder.string() + "/") || file == folder;
}

}  // namespace

TEST_CASE("names and texts of data reach no file outside a run, no shell and no markup") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  folder.write("hostile.json", hostile_data());
  const Snapshot before = snapshot(folder.path());
  const auto result = bench.run(bench.train({{"--train", "hostile.json"},
                                             {"--test", "hostile.json"},
                                             {"--task-column", "skill"},
                                             {"--method", "csreft"},
                                             {"--order", "sequence"},
                                             {"--steps", "1"}}));
  CAPTURE(result.err);
  REQUIRE(result.code == 0);
  for (const auto& [file, bytes] : snapshot(folder.path())) {
    CAPTURE(file);
    CHECK((before.contains(file) || is_within(file, folder / "run")));
  }
  CHECK_FALSE(std::filesystem::exists("/tmp/csreft-evil"));
  const std::string report = folder.read("run/report.html");
  CHECK(contains(report, "&lt;script&gt;evil"));
  for (const char* markup : {"<script>evil", "<img src=x"}) CHECK_FALSE(contains(report, markup));
}

TEST_CASE("an index names no file outside its folder") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  folder.write("outside.safetensors", folder.read("model/model.safetensors"));
  std::filesystem::remove(folder / "model/model.safetensors");
  for (const std::string& name :
       {std::string("../outside.safetensors"), std::string(".."), (folder / "outside.safetensors").string()}) {
    CAPTURE(name);
    folder.write("model/model.safetensors.index.json", json{{"weight_map", {{"model.norm.weight", name}}}}.dump());
    check_refused(bench, {"generate", "--model", "model", "--prompt", "a"}, "model.norm.weight is no file name");
  }
}

TEST_CASE("a pattern that would match for ever is refused") {
  const Bench bench;
  const auto& folder = bench.chat.folder;
  json tokenizer = json::parse(folder.read("model/tokenizer.json"));
  tokenizer["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"pattern", {{"Regex", "(x+x+)+[yz]"}}}, {"behavior", "Isolated"}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  folder.write("model/tokenizer.json", tokenizer.dump());
  check_refused(bench, {"generate", "--model", "model", "--prompt", std::string(60, 'x')}, "the pre-tokenizer fails");
}
