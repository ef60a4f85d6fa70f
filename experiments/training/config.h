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

// What a run's data are: files, as parse_data_file has them, or tasks that the experiment makes.
struct DataFiles {
  std::vector<std::string> train, test, validation;
  std::vector<Task> made_train{}, made_test{};
};

// The text of config.json: the arguments; every option of the method and of the training as it was understood; the
// programme by version and commit; the model by path, name and hash of its weights (fingerprint.h); each data file by
// path, size and hash, and each task that has none by name, number of examples and hash; and what computes. Throws
// Error for a data file that cannot be read.
std::string config_text(std::string_view experiment, Arguments arguments, const MethodOptions& method,
                        const TrainOptions& train, const LanguageModel& model, const DataFiles& files);

// The same of an evaluation, without options of a method and of training.
std::string evaluation_config_text(Arguments arguments, const LanguageModel& model,
                                   const std::vector<std::string>& tests);

// What config_text kept, whatever the defaults are today. Throws Error for a folder that holds no such run of
// `experiment`.
struct RunConfig {
  std::vector<std::string> arguments;
  std::string started_in;  // the working folder then; empty: not kept
  // What computed last, as hardware_name() gives it and threads() does; empty, 0: not kept.
  std::string hardware;
  std::int64_t threads = 0;
  std::string model_hash;  // empty: not kept
  MethodOptions method;
  TrainOptions train;
};
RunConfig read_config(const std::filesystem::path& folder, std::string_view experiment);
// A line for each reason why a run that goes on here, on `device`, may end in other bits than one in one go: another
// processor or card, another number of threads.
std::vector<std::string> differences(const RunConfig& saved, const Device& device);
// Says in the folder's config.json with what the run goes on after `steps` steps: the options of the training, the
// model's hash, the programme, and what computes. If the latter two are others than before, the part of the run that
// ends here joins the list `earlier_parts`, with `steps`.
void continue_config(const std::filesystem::path& folder, const TrainOptions& train, const LanguageModel& model,
                     std::int64_t steps);

// Without `quiet` and `save_every`, which change nothing that is computed.
nlohmann::json to_json(const TrainOptions& options);
// The same back; a missing option has its default. Throws Error for another form; `where` names the file.
TrainOptions parse_train_options(nlohmann::json saved, const std::string& where);

}  // namespace csreft
