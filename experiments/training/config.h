// config.json: what a run was asked to do, with what, and where; --resume goes on from it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/cli/cli.h"
#include "experiments/training/trainer.h"

namespace csreft {

// The files that a run reads its data from.
struct DataFiles {
  std::vector<std::string> train, test, validation;
};

// The text of config.json: the arguments; every option of the method and of the training as it was understood; the
// programme by version and commit; the model by path, name and hash of its weights; each data file by path, size and
// hash; and what computes. Throws Error for a data file that cannot be read.
std::string config_text(std::string_view experiment, Arguments arguments, const MethodOptions& method,
                        const TrainOptions& train, const LanguageModel& model, const DataFiles& files);

// What config_text kept, whatever the defaults are today. Throws Error for a folder that holds no such run of
// `experiment`.
struct RunConfig {
  std::vector<std::string> arguments;
  std::string started_in;    // the working folder then; empty: not kept
  std::int64_t threads = 0;  // 0: not kept
  std::string model_hash;    // empty: not kept
  MethodOptions method;
  TrainOptions train;
};
RunConfig read_config(const std::filesystem::path& folder, std::string_view experiment);
// Puts other options of the training into the folder's config.json, and leaves the rest of it.
void rewrite_train_options(const std::filesystem::path& folder, const TrainOptions& train);

// Without `quiet` and `save_every`, which change nothing that is computed.
nlohmann::json to_json(const TrainOptions& options);
// The same back; a missing option has its default. Throws Error for another form; `where` names the file.
TrainOptions parse_train_options(nlohmann::json saved, const std::string& where);

}  // namespace csreft
