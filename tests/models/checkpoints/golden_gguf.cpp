#include "tests/models/checkpoints/golden_gguf.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/base/json_file.h"
#include "models/checkpoints/gguf_blocks.h"
#include "tests/little_endian.h"

std::vector<GoldenResult> check_golden_gguf(const std::filesystem::path& directory) {
  const auto cases = csreft::read_json_object(directory / "blocks.json");
  std::vector<GoldenResult> results;
  for (const auto& [name, golden] : cases.items()) {
    const auto formats = csreft::ggml_formats();
    const auto format = std::ranges::find(formats, name, &csreft::GgmlFormat::name);
    csreft::require(format != formats.end() && format->decode != nullptr, "blocks of type {} are not read", name);
    const auto blocks = from_hex(csreft::get_json<std::string>(golden, "blocks", name));
    const auto bytes = from_hex(csreft::get_json<std::string>(golden, "values", name));
    std::vector<float> expected(bytes.size() / sizeof(float)), decoded(expected.size());
    std::memcpy(expected.data(), bytes.data(), bytes.size());
    const auto n_blocks = static_cast<std::int64_t>(blocks.size()) / format->block.bytes;
    csreft::require(n_blocks * format->block.elements == static_cast<std::int64_t>(expected.size()),
                    "{}: {} bytes of blocks do not fit {} values", name, blocks.size(), expected.size());
    csreft::decode_rows(static_cast<csreft::GgmlType>(format->number), std::as_bytes(std::span(blocks)).data(),
                        n_blocks * format->block.elements, decoded.data());
    std::size_t different = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const bool same = std::bit_cast<std::uint32_t>(decoded[i]) == std::bit_cast<std::uint32_t>(expected[i]);
      different += same || (std::isnan(decoded[i]) && std::isnan(expected[i])) ? 0 : 1;
    }
    results.push_back({"gguf " + name, different == 0,
                       fmt::format("{} of {} values differ, allowed none", different, expected.size())});
  }
  csreft::require(!results.empty(), "{} has no cases", (directory / "blocks.json").string());
  return results;
}
