// What killed processes leave beside the files that they were writing.
#pragma once

#include <filesystem>

namespace csreft {

// Removes the temporary files (AtomicFile) and folders (AtomicFolder) for `path` of processes that were killed: of none
// that runs on this machine.
void remove_abandoned(const std::filesystem::path& path);

}  // namespace csreft
