// What libFuzzer calls. CSREFT_FUZZ_TARGET names the target; with CSREFT_FUZZ_SEEDS=FOLDER the programme writes the
// target's seeds there and ends; without a target it lists all.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "tests/fuzz/target.h"

namespace {

const csreft::FuzzTarget* chosen = nullptr;

const char* variable(const char* name) { return std::getenv(name); }

void write_seeds(const std::string& folder) {
  std::size_t number = 0;
  for (const auto& seed : chosen->seeds()) {
    std::ofstream file(fmt::format("{}/seed-{}", folder, ++number), std::ios::binary);
    file.write(seed.data(), static_cast<std::streamsize>(seed.size()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = variable("CSREFT_FUZZ_TARGET");
  for (const auto* target : csreft::fuzz_targets()) {
    if (name == nullptr) fmt::print("{}\t{}\n", target->name, target->summary);
    if (name != nullptr && target->name == name) chosen = target;
  }
  if (name == nullptr) std::exit(0);
  if (chosen == nullptr) {
    fmt::print(stderr, "error: unknown target '{}'\n", name);
    std::exit(2);
  }
  if (const char* folder = variable("CSREFT_FUZZ_SEEDS")) {
    write_seeds(folder);
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  csreft::check_reading(*chosen, {reinterpret_cast<const char*>(data), size});
  return 0;
}
