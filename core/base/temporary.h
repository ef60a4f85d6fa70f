// Temporary names of files and folders that are filled beside their place and then renamed to it, and what killed
// processes leave under such names.
#pragma once

#include <filesystem>

namespace csreft {

// `place.tmp-PROCESS-N`, of this process.
std::filesystem::path temporary_path(const std::filesystem::path& place, int n);

// Whether the last part of `path` is such a name, of any process.
bool is_temporary(const std::filesystem::path& path);

// Removes the temporary files and folders for `path` of processes that were killed: of none that runs on this machine.
void remove_abandoned(const std::filesystem::path& path);

// Removes all temporary files and folders in `folder`, for whoever holds its lock: others would lose what they write.
void remove_temporaries(const std::filesystem::path& folder);

}  // namespace csreft
