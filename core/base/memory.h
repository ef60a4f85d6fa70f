// How much memory there is, asked before it is taken: a system that runs out of it kills the process without a word.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

namespace csreft {

// Bytes that this process can take beside those that it has: what /proc/meminfo calls available or, if that is less,
// what the limit of a control group (v1 or v2) leaves above it; file pages, which the system drops when it needs room,
// count as free. Nothing where the system does not say. `root`: where its files are looked for.
std::optional<std::int64_t> available_memory(const std::filesystem::path& root = "/");

// Throws Error unless `bytes` bytes are available, as "WHAT needs 25.1 GiB of memory, 14.2 GiB are free: expected
// INSTEAD". Passes where the system does not say.
void require_memory(std::string_view what, std::int64_t bytes, std::string_view instead,
                    const std::filesystem::path& root = "/");

}  // namespace csreft
