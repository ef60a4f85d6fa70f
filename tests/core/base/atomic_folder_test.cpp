#include "core/base/atomic_folder.h"

#include <doctest/doctest.h>

#include "core/base/atomic_file.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

using csreft::AtomicFolder;
using csreft::write_file_atomically;

TEST_CASE("a folder appears whole when it is committed") {
  const TemporaryFolder root;
  const auto place = root / "above/out";
  AtomicFolder folder(place);
  write_file_atomically(folder.path() / "a", "1");
  CHECK_FALSE(std::filesystem::exists(place));
  folder.commit();
  CHECK(root.read("above/out/a") == "1");
  CHECK(std::distance(std::filesystem::directory_iterator(root / "above"), {}) == 1);
}

TEST_CASE("a folder that is not committed leaves nothing") {
  const TemporaryFolder root;
  {
    AtomicFolder folder(root / "out");
    write_file_atomically(folder.path() / "a", "1");
  }
  CHECK(root.count() == 0);
}

TEST_CASE("an empty folder, named with or without a slash, is replaced; others and files are refused") {
  const TemporaryFolder root;
  std::filesystem::create_directory(root / "empty");
  AtomicFolder folder(root / "empty/");
  write_file_atomically(folder.path() / "a", "1");
  folder.commit();
  CHECK(root.read("empty/a") == "1");

  CHECK(contains(error_text([&] { return AtomicFolder(root / "empty").path(); }), "not empty: expected a new"));
  CHECK(contains(error_text([&] { return AtomicFolder(root.write("file", "")).path(); }), "it is a file"));
  CHECK(contains(error_text([&] { return AtomicFolder(root / "file/out").path(); }), "cannot make folder"));
  CHECK(root.count() == 2);
}

TEST_CASE("a place that was taken meanwhile is an error, and keeps what it has") {
  const TemporaryFolder root;
  AtomicFolder folder(root / "out");
  std::filesystem::create_directory(root / "out");
  write_file_atomically(root / "out/other", "2");
  CHECK(contains(error_text([&] {
                   folder.commit();
                   return 0;
                 }),
                 "cannot write folder"));
  CHECK(root.read("out/other") == "2");
}
