#include "core/base/folder.h"

#include <doctest/doctest.h>

#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace {

std::string refusal(const std::filesystem::path& folder) {
  return error_text([&] {
    csreft::make_folder(folder);
    return 0;
  });
}

}  // namespace

TEST_CASE("a folder is made with those above it, and one that is there stays as it is") {
  const TemporaryFolder folder;
  CHECK(refusal(folder / "a/b/c").empty());
  CHECK(std::filesystem::is_directory(folder / "a/b/c"));
  folder.write("a/b/file", "kept");
  CHECK(refusal(folder / "a/b").empty());
  CHECK(folder.read("a/b/file") == "kept");
}

TEST_CASE("a folder in place of a file, or below one, is an error that names it") {
  const TemporaryFolder folder;
  folder.write("file", "kept");
  CHECK(contains(refusal(folder / "file"), (folder / "file").string()));
  CHECK(contains(refusal(folder / "file/below"), (folder / "file/below").string()));
  CHECK(folder.read("file") == "kept");
}
