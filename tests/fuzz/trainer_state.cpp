#include "experiments/training/trainer.h"
#include "tests/fuzz/target.h"
#include "tests/tiny_chat.h"

namespace csreft {

namespace {

const LanguageModel& model() {
  static const TinyChat chat;
  static const LanguageModel loaded = chat.load();
  return loaded;
}

// Two steps of LoReFT, from the start or from where the folder's files say that it is.
void train(const std::filesystem::path& folder, bool resume) {
  TrainOptions options;
  options.batch = 4;
  options.epochs = 1;
  options.quiet = true;
  const auto method = create_method({"loreft", {{"layers", "1"}, {"rank", 2}}}, model().llama, 1);
  const std::vector<Task> tasks{letter_task(8)};
  Trainer(model(), *method, tasks, options).run(folder, resume);
}

std::vector<std::string> seeds() {
  const TemporaryFolder folder;
  train(folder.path(), false);
  return {two_files(folder.read("metrics.jsonl"), folder.read("state.safetensors"))};
}

void read(std::string_view input) {
  const auto [metrics, state] = two_files_of(input);
  fuzz_folder().write("metrics.jsonl", metrics);
  fuzz_folder().write("state.safetensors", state);
  train(fuzz_folder().path(), true);
}

}  // namespace

extern const FuzzTarget trainer_state_target;
const FuzzTarget trainer_state_target{"trainer_state", "what an unfinished run goes on from", seeds, read};

}  // namespace csreft
