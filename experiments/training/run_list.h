// Which runs there are in a folder, of this version and of earlier ones.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace csreft {

// Where runs are unless --out says else.
inline constexpr const char* runs_folder_name = "runs";

enum class RunState { finished, unfinished, running };

// What a run's files say of it; what they do not say is empty or 0.
struct RunEntry {
  std::filesystem::path folder;
  std::string name;               // below the folder that was listed
  std::string method;             // of an evaluation, what was attached
  std::vector<std::string> data;  // the training tasks; of an evaluation, the test tasks
  std::string score;              // the mean over its tasks, as "accuracy 0.812" or "nll 1.437"
  RunState state = RunState::unfinished;
  std::int64_t steps = 0, total_steps = 0;
  std::filesystem::file_time_type changed;  // when it last came on
};

// The runs in `folder` and in the folders there, such as those of a comparison; the one that came on last first. Other
// folders are left out, and files that cannot be read.
std::vector<RunEntry> runs_in(const std::filesystem::path& folder);

// "finished", or "unfinished, step 3 of 40".
std::string describe_state(const RunEntry& run);

// What --adapter names: for `last`, or the part behind NAME= of NAME=last, the folder of the newest run in runs/ that
// has an adapter, which is said on stderr; any other text, and `last` where a folder has that name, as it is. Throws
// Error if no run has an adapter.
std::string resolve_last(const std::string& text);

}  // namespace csreft
