#include "reft/adapter.h"

#include "tests/fuzz/target.h"
#include "tests/tiny_chat.h"

namespace csreft {

namespace {

const LanguageModel& model() {
  static const TinyChat chat;
  static const LanguageModel loaded = chat.load();
  return loaded;
}

std::vector<std::string> seeds() {
  std::vector<std::string> inputs;
  for (const char* name : {"csreft", "loreft", "red"}) {
    const TemporaryFolder folder;
    const auto method = create_method({name, {{"layers", "1"}}}, model().llama, 1);
    save_adapter(folder.path(), *method, model(), {"chatml", ""});
    inputs.push_back(two_files(folder.read("adapter.json"), folder.read("adapter.safetensors")));
  }
  return inputs;
}

void read(std::string_view input) {
  const auto [description, tensors] = two_files_of(input);
  fuzz_folder().write("adapter.json", description);
  fuzz_folder().write("adapter.safetensors", tensors);
  const auto said = read_adapter_description(fuzz_folder().path());
  static_cast<void>(load_adapter(fuzz_folder().path(), said, model()));
}

}  // namespace

extern const FuzzTarget adapter_target;
const FuzzTarget adapter_target{"adapter", "an adapter's folder", seeds, read};

}  // namespace csreft
