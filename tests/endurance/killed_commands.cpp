#include "tests/endurance/killed_commands.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "tests/endurance/whole_files.h"
#include "tests/source.h"
#include "tests/tiny_chat.h"

namespace fs = std::filesystem;

namespace {

using Words = KilledCommand::Words;

Words joined(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// Long enough answers that a start is worth killing.
std::string questions() {
  nlohmann::json list = nlohmann::json::array();
  for (int i = 0; i < 40; ++i) list.push_back({{"instruction", "ask " + std::to_string(i)}});
  return list.dump();
}

bool has_begun(const fs::path& run) { return fs::exists(run / "config.json") || fs::exists(run / ".csreft-run"); }

KilledCommand training(const std::string& name, const Words& more) {
  return {.name = "train " + name,
          .prepare = small_work,
          .words =
              [more](const fs::path& folder) {
                return has_begun(folder / "made") ? Words{tested_program(), "train", "--quiet", "--resume", "made"}
                                                  : small_training(more);
              },
          .broken = [](const fs::path& folder) { return broken_files(folder); },
          .outcome = [](const fs::path& folder) { return lasting_contents(folder / "made"); }};
}

KilledGroup trainings() {
  const Words validation{"--validation", "two.test.json", "--validate-every", "3", "--keep", "best"};
  const Words sequence{"--order", "sequence"};
  const Words csreft{"--method", "csreft", "--subspaces", "2", "--router-hidden", "4"};
  return {"training",
          {training("loreft, best kept", joined({"--method", "loreft"}, validation)),
           training("csreft, best kept", joined(csreft, validation)),
           training("csreft in sequence", joined(csreft, sequence)),
           training("growing in sequence", {"--method", "growing", "--order", "sequence"}),
           training("lora", {"--method", "lora", "--dropout", "0.1"}), training("full", {"--method", "full"})}};
}

KilledGroup ablation() {
  return {"ablation",
          {{.name = "ablate router --jobs 2",
            .prepare = small_work,
            .words =
                [](const fs::path&) {
                  return small_ablation({"--jobs", "2"});
                },
            .broken = [](const fs::path& folder) { return broken_files(folder); },
            .outcome = [](const fs::path& folder) { return lasting_contents(folder / "made"); }}}};
}

KilledGroup generation() {
  return {"generate",
          {{.name = "generate --data",
            .prepare = small_work,
            .words = [](const fs::path&) { return small_answers(); },
            .broken = [](const fs::path& folder) { return broken_files(folder); },
            .outcome =
                [](const fs::path& folder) {
                  KilledCommand::Contents made;
                  for (const auto& [file, content] : lasting_contents(folder)) {
                    if (file.starts_with("made")) made[file] = content;
                  }
                  return made;
                }}}};
}

}  // namespace

void small_work(const fs::path& folder) {
  static const TinyChat model;
  fs::copy(model.path(), folder / "model", fs::copy_options::recursive);
  const auto write = [&folder](const char* name, const std::string& text) { std::ofstream(folder / name) << text; };
  write("one.train.json", letter_json(10));
  write("two.train.json", letter_json(8));
  write("one.test.json", letter_json(3));
  write("two.test.json", letter_json(2));
  write("ask.json", questions());
}

Words small_training(const Words& more) {
  return joined({tested_program(),
                 "train",
                 "--quiet",
                 "--model",
                 "model",
                 "--train",
                 "one.train.json",
                 "--train",
                 "two.train.json",
                 "--test",
                 "one.test.json",
                 "--test",
                 "two.test.json",
                 "--layers",
                 "1",
                 "--rank",
                 "2",
                 "--epochs",
                 "8",
                 "--batch",
                 "4",
                 "--threads",
                 "1",
                 "--save-every",
                 "0.005s",
                 "--out",
                 "made"},
                more);
}

Words small_ablation(const Words& more) {
  return joined({tested_program(), "ablate", "router",          "--quiet",
                 "--model",        "model",  "--train",         "one.train.json",
                 "two.train.json", "--test", "one.test.json",   "two.test.json",
                 "--subspaces",    "2",      "--rank",          "2",
                 "--layers",       "1",      "--router-hidden", "4",
                 "--epochs",       "2",      "--batch",         "4",
                 "--rates",        "",       "--variants",      "learned,loreft",
                 "--seeds",        "2",      "--threads",       "1",
                 "--out",          "made"},
                more);
}

Words small_answers() {
  return {tested_program(),
          "generate",
          "--quiet",
          "--model",
          "model",
          "--data",
          "ask.json",
          "--out",
          "made.json",
          "--batch",
          "4",
          "--seed",
          "3",
          "--temperature",
          "1",
          "--max-new-tokens",
          "60",
          "--threads",
          "1"};
}

std::vector<KilledGroup> killed_groups() {
  return {trainings(), ablation(), generation(), killed_bundle(), killed_download()};
}
