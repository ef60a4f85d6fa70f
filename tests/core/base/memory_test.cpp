#include "core/base/memory.h"

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "tests/temporary_folder.h"

using csreft::available_memory;

namespace {

constexpr std::int64_t mebi = std::int64_t{1} << 20U;

// A system whose memory has 600 MiB available.
struct System {
  System() {
    for (const char* folder : {"proc/self", "sys/fs/cgroup/a/b", "sys/fs/cgroup/memory/c"}) {
      std::filesystem::create_directories(root / folder);
    }
    root.write("proc/meminfo", "MemTotal:  1000000 kB\nMemFree: 1000 kB\nMemAvailable:  614400 kB\n");
  }
  void group(const std::string& folder, const std::string& limit, std::int64_t usage, std::int64_t file_pages) const {
    const std::string place = "sys/fs/cgroup/" + folder;
    const bool first = folder.starts_with("memory");
    root.write(place + (first ? "/memory.limit_in_bytes" : "/memory.max"), limit + "\n");
    root.write(place + (first ? "/memory.usage_in_bytes" : "/memory.current"), std::to_string(usage) + "\n");
    root.write(place + "/memory.stat", "anon 5\n" + std::string(first ? "total_inactive_file " : "inactive_file ") +
                                           std::to_string(file_pages));
  }

  TemporaryFolder root;
};

}  // namespace

TEST_CASE("available memory is what the system calls so") {
  const System system;
  CHECK(available_memory(system.root.path()) == 600 * mebi);
  CHECK(available_memory().value_or(0) > 0);
}

TEST_CASE("a control group's limit counts, its own and those above it, and pages of files are free") {
  const System system;
  system.root.write("proc/self/cgroup", "0::/a/b\n");
  CHECK(available_memory(system.root.path()) == 600 * mebi);  // none has a limit
  system.group("a/b", "max", 100 * mebi, 0);
  CHECK(available_memory(system.root.path()) == 600 * mebi);
  system.group("a/b", std::to_string(500 * mebi), 100 * mebi, 30 * mebi);
  CHECK(available_memory(system.root.path()) == 430 * mebi);
  system.group("a", std::to_string(300 * mebi), 250 * mebi, 0);
  CHECK(available_memory(system.root.path()) == 50 * mebi);
  system.group("a", std::to_string(300 * mebi), 301 * mebi, 0);
  CHECK(available_memory(system.root.path()) == 0);
}

TEST_CASE("so does that of version 1, whatever else a process belongs to") {
  const System system;
  system.root.write("proc/self/cgroup", "12:cpu,cpuacct:/elsewhere\n4:memory:/c\n0::/\nno group\n");
  system.group("memory/c", std::to_string(200 * mebi), 100 * mebi, 10 * mebi);
  CHECK(available_memory(system.root.path()) == 110 * mebi);
  system.root.write("proc/self/cgroup", "4:memory:/not/seen/from/here\n");
  system.group("memory", std::to_string(90 * mebi), 0, 0);
  CHECK(available_memory(system.root.path()) == 90 * mebi);
}

TEST_CASE("where the system does not say, nothing is refused") {
  const TemporaryFolder root;
  CHECK_FALSE(available_memory(root.path()).has_value());
  CHECK_NOTHROW(csreft::require_memory("all", std::int64_t{1} << 60U, "less", root.path()));
}

TEST_CASE("what does not fit is told with what is there and what helps") {
  const System system;
  CHECK_NOTHROW(csreft::require_memory("loading", 600 * mebi, "less", system.root.path()));
  CHECK_THROWS_WITH_AS(csreft::require_memory("loading a model", 1536 * mebi, "a smaller one", system.root.path()),
                       "loading a model needs 1.5 GiB of memory, 0.6 GiB are free: expected a smaller one",
                       csreft::Error);
}
