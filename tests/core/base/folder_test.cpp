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

TEST_CASE("folders that were missing are named from the outermost on") {
  const TemporaryFolder folder;
  const auto made = csreft::make_missing_folders(folder / "a/b");
  CHECK(made == std::vector{folder / "a", folder / "a/b"});
  CHECK(csreft::make_missing_folders(folder / "a/b").empty());
  CHECK(std::filesystem::is_directory(folder / "a/b"));
}

TEST_CASE("a folder takes the place of another whole") {
  const TemporaryFolder folder;
  for (const char* name : {"old", "new", "newer"}) csreft::make_folder(folder / name);
  folder.write("old/a", "1");
  folder.write("new/b", "2");
  csreft::replace_folder(folder / "new", folder / "old");
  CHECK_FALSE(std::filesystem::exists(folder / "new"));
  CHECK_FALSE(std::filesystem::exists(folder / "old/a"));
  CHECK(folder.read("old/b") == "2");
  csreft::replace_folder(folder / "newer", folder / "absent");
  CHECK(std::filesystem::is_directory(folder / "absent"));
  CHECK(contains(error_text([&] {
                   csreft::replace_folder(folder / "old", folder / "nowhere/place");
                   return 0;
                 }),
                 "nowhere/place"));
}
