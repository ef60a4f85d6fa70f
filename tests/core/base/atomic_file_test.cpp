#include "core/base/atomic_file.h"

#include <csignal>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mapped_file.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

using csreft::AtomicFile;
using csreft::MappedFile;
using csreft::read_text_file;
using csreft::write_file_atomically;

TEST_CASE("a written file holds what was written, and nothing is left beside it") {
  const TemporaryFolder folder;
  folder.write("a.txt", "old and longer");
  write_file_atomically(folder / "a.txt", "new\n");
  CHECK(read_text_file(folder / "a.txt") == "new\n");
  CHECK(folder.count() == 1);
}

TEST_CASE("a file takes its place only when it is committed") {
  const TemporaryFolder folder;
  folder.write("a.txt", "old");
  {
    AtomicFile file(folder / "a.txt");
    file.write("half");
    CHECK(folder.read("a.txt") == "old");
  }
  CHECK(folder.read("a.txt") == "old");
  CHECK(folder.count() == 1);

  AtomicFile file(folder / "a.txt");
  file.write("one ");
  file.write(std::as_bytes(std::span(std::string_view("two"))));
  file.commit();
  CHECK(folder.read("a.txt") == "one two");
  CHECK(contains(error_text([&] {
                   file.write("three");
                   return 0;
                 }),
                 "already closed"));
  CHECK(folder.count() == 1);
}

TEST_CASE("a folder that cannot be written is named with the reason") {
  const TemporaryFolder folder;
  const auto file = folder.write("file", "x");
  const auto below_file = error_text([&] {
    write_file_atomically(file / "a.txt", "new");
    return 0;
  });
  CHECK(below_file == "cannot write " + (file / "a.txt").string() + ": Not a directory");
  const auto missing = error_text([&] {
    write_file_atomically(folder / "none/a.txt", "new");
    return 0;
  });
  CHECK(missing == "cannot write " + (folder / "none/a.txt").string() + ": No such file or directory");

  std::filesystem::create_directory(folder / "taken");
  CHECK(contains(error_text([&] {
                   write_file_atomically(folder / "taken", "new");
                   return 0;
                 }),
                 "Is a directory"));
  CHECK(folder.count() == 2);
}

// A limit on the size of files stands for a full disk: write() stores a part, then fails.
TEST_CASE("a full disk leaves the old file and no temporary one") {
  const TemporaryFolder folder;
  folder.write("a.txt", "old");
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(2);
    const auto text = error_text([&] {
      write_file_atomically(folder / "a.txt", std::string(10'000, 'x'));
      return 0;
    });
    _exit(text == "cannot write " + (folder / "a.txt").string() + ": File too large" ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(folder.read("a.txt") == "old");
  CHECK(folder.count() == 1);
}

TEST_CASE("reading names the path and the reason") {
  const TemporaryFolder folder;
  CHECK(error_text([&] { return read_text_file(folder / "none"); }) ==
        "cannot open " + (folder / "none").string() + ": No such file or directory; expected a file that can be read");
  CHECK(error_text([&] { return read_text_file(folder.path()); }) ==
        "cannot read " + folder.path().string() + ": Is a directory");
  CHECK(read_text_file(folder.write("empty", "")).empty());
}

TEST_CASE("a mapped file lives as long as its owner") {
  const TemporaryFolder folder;
  const std::string text(10'000, 'x');
  const auto file = MappedFile::open(folder.write("a", text));
  std::filesystem::remove(folder / "a");
  REQUIRE(file->bytes().size() == text.size());
  CHECK(file->bytes()[9'999] == std::byte{'x'});
  file->forget(file->bytes());
  CHECK(file->bytes()[9'999] == std::byte{'x'});
}

TEST_CASE("a file that cannot be mapped is named with the reason") {
  const TemporaryFolder folder;
  CHECK(contains(error_text([&] { return MappedFile::open(folder / "none"); }), "none: No such file or directory"));
  CHECK(contains(error_text([&] { return MappedFile::open(folder.path()); }), "it is a folder"));
  CHECK(contains(error_text([&] { return MappedFile::open("/dev/null"); }), "not a regular file"));
  CHECK(contains(error_text([&] { return MappedFile::open(folder.write("empty", "")); }), "the file is empty"));
}
