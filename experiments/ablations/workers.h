// More processes for one comparison: each runs the same command on the same folder, and takes cells that nobody else
// works at (work.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "experiments/cli/cli.h"

namespace csreft {

using Command = std::vector<std::string>;

// One for each of `jobs` processes of this programme: the experiment with these arguments, less --jobs, and each with
// its share of this machine's threads unless the arguments have --threads.
std::vector<Command> commands_of_jobs(const std::string& experiment, Arguments arguments, std::int64_t jobs);

// One that runs the experiment with these arguments, less --hosts, once on each of the machines that `file` lists, a
// line each as in GNU parallel's --sshloginfile, in this working folder, which they must share. Throws Error where
// there is no GNU parallel and no such file.
Command command_of_hosts(const std::string& experiment, Arguments arguments, const std::filesystem::path& file);

// Runs them side by side to their ends; what they print goes to FOLDER/jobs/N.log. Shows meanwhile how many of `total`
// cells are done. A signal is handed on to them. Throws Error, with what its log says, if one fails.
void run_side_by_side(const std::vector<Command>& commands, const std::filesystem::path& folder, std::size_t total,
                      const std::function<std::size_t()>& count_done);

}  // namespace csreft
