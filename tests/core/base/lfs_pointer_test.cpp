#include "core/base/lfs_pointer.h"

#include <doctest/doctest.h>

#include "core/base/atomic_file.h"
#include "core/base/mapped_file.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

TEST_CASE("a git-lfs pointer is named for what it is, however it is read; other text is not") {
  const TemporaryFolder folder;
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, '0') + "\nsize 825424\n";
  const auto path = folder.write("a.safetensors", pointer);
  const std::string expected = path.string() + " is a git-lfs pointer, not the file itself: run git lfs pull";
  CHECK(error_text([&] { return csreft::read_text_file(path); }).starts_with(expected));
  CHECK(error_text([&] { return csreft::MappedFile::open(path); }).starts_with(expected));
  for (const std::string& text : {std::string("version https://git-lfs.github.com/"), "{\"a\": \"" + pointer + "\"}",
                                  pointer + std::string(1024, ' ')}) {
    const auto other = folder.write("b.txt", text);
    CHECK(csreft::read_text_file(other) == text);
    CHECK(csreft::MappedFile::open(other)->bytes().size() == text.size());
  }
}
