#include "tests/endurance/whole_files.h"

#include <array>

#include <doctest/doctest.h>

#include "core/tensor/safetensors.h"
#include "tests/temporary_folder.h"

TEST_CASE("a half file of each kind is found, and a whole one is not") {
  const TemporaryFolder folder;
  csreft::save_safetensors(folder / "a.safetensors", {{"x", csreft::Tensor::full({4}, 1.0)}}, {});
  const std::string tensors = folder.read("a.safetensors");
  folder.write("a.json", R"({"a": 1})");
  folder.write("a.jsonl", "{\"a\": 1}\n{\"a\"");
  folder.write("a.tsv", "a\tb\n1\t2\n");
  folder.write("a.html", "<html></html>\n");
  folder.write("a.json.tmp-7-0", "{");
  CHECK(broken_files(folder.path()).empty());

  const std::array<std::pair<const char*, std::string>, 6> halves{{{"a.safetensors", tensors.substr(0, 40)},
                                                                   {"a.json", "{\"a\""},
                                                                   {"a.jsonl", "{\"a\"\n{\"a\": 1}\n"},
                                                                   {"a.tsv", "a\tb\n1\n"},
                                                                   {"a.html", "<html>"},
                                                                   {"a.other", "?"}}};
  for (const auto& [name, bytes] : halves) {
    CAPTURE(name);
    const std::string before = folder.read(name);
    folder.write(name, bytes);
    CHECK(broken_files(folder.path()).size() == 1);
    if (before.empty()) std::filesystem::remove(folder / name);
    if (!before.empty()) folder.write(name, before);
  }
}

TEST_CASE("what lasts of a folder leaves out times and places, and nothing else") {
  const TemporaryFolder one, two;
  for (const auto* folder : {&one, &two}) {
    std::filesystem::create_directories(*folder / "run");
    const bool first = folder == &one;
    folder->write("run/a.json", "{\"seconds\": " + std::string(first ? "1" : "2") + ", \"at\": \"" +
                                    folder->path().string() + "\", \"loss\": [1, 2]}");
    folder->write("run/a.jsonl", std::string("{\"loss\": 1, \"seconds\": ") + (first ? "1" : "2") + "}\n");
    folder->write("run/a.tsv", std::string("loss\tseconds\n1\t") + (first ? "1" : "2") + "\n");
  }
  CHECK(lasting_contents(one / "run") == lasting_contents(two / "run"));
  two.write("run/a.jsonl", "{\"loss\": 2, \"seconds\": 1}\n");
  CHECK(lasting_contents(one / "run") != lasting_contents(two / "run"));
}
