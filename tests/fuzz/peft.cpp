#include "reft/adapters/peft.h"

#include "tests/fuzz/target.h"
#include "tests/reft/adapters/lora_tools.h"
#include "tests/tiny_model.h"

namespace csreft {

namespace {

std::vector<std::string> seeds() {
  const TemporaryFolder folder;
  const auto config = tiny_config();
  const auto adapter = random_lora(config, {{0, LinearSite::q_proj, 2, 4.0}, {1, LinearSite::v_proj, 2, 4.0}}, 2, 4.0);
  write_peft(folder.path(), adapter, config);
  return {two_files(folder.read("adapter_config.json"), folder.read("adapter_model.safetensors"))};
}

void read(std::string_view input) {
  const auto [config, tensors] = two_files_of(input);
  fuzz_folder().write("adapter_config.json", config);
  fuzz_folder().write("adapter_model.safetensors", tensors);
  static_cast<void>(read_peft(fuzz_folder().path(), tiny_config()));
}

}  // namespace

extern const FuzzTarget peft_target;
const FuzzTarget peft_target{"peft", "a LoRA adapter of Python's peft", seeds, read};

}  // namespace csreft
