#include "models/checkpoints/gguf_blocks.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "tests/error_text.h"
#include "tests/little_endian.h"

using csreft::decode_rows;
using csreft::ggml_formats;
using csreft::GgmlType;

namespace {

struct Encoded {
  std::string name;
  GgmlType type;
  std::string blocks;
  std::string values;
};

}  // namespace

// Random numbers quantised by the `gguf` Python package, and the floats that it makes of them: equal to the bit.
TEST_CASE("every block type decodes to the bits of the reference") {
  const std::vector<Encoded> encoded{
      {"F16", GgmlType::f16, "55352a80007c0080", "00a0aa3e000028b60000807f00000080"},
      {"BF16", GgmlType::bf16, "ab3e28b674490080", "0000ab3e000028b60000744900000080"},
      {"Q4_0", GgmlType::q4_0, "8034b996294bb2a96c87a5abb99b8773c806",
       "0000903e000010bf0000903e0000583f0000d8bf0000903e0000903f000090be000058bf0000583f0000903e0000583f"
       "000090be0000b4bf00000000000010bf0000583f0000903e0000d8bf000090bf0000583f0000103f000010bf00000000"
       "0000103f0000103f0000583f0000903e00000000000090be0000903f000010c0"},
      {"Q4_1", GgmlType::q4_1, "5935efc077a77378559a4799cb390593fd474598",
       "004002be004002be0068bbbf0000543e00b04bbf0020603f004002be00900a3f00d89a3f00900a3f00b04bbf0068bbbf"
       "0068f03f004002be00b04bbf0000543e004002be0020603f004002be004002be00b04bbf00900a3f00a090bf00900a3f"
       "00a0c53f0068bbbf00e01dc000900a3f00fc224000a090bf00a090bf00900a3f"},
      {"Q5_0", GgmlType::q5_0, "473028e459a84adced342d726fca8e99d0c8781b0000",
       "00504dbf00e008bf0050cdbe00e0083f0050cdbe00e0883e00e008be00504dbf00e088be00886fbf0000000000e088bf"
       "00e088bf0034bc3f000000000000000000e0083f0050cdbe00e088be0050cd3e00e0883e00fc99bf00504d3f00e008bf"
       "00e088bf00886fbf0050cdbe0050cd3f00fc99bf00e0083e00e008c000000000"},
      {"Q5_1", GgmlType::q5_1, "b030afbe71808c81723a074df0d059fd174b6bcc1bdd8041",
       "0040773f000053be004025bf00006f3e00402c3f00402c3f00e0fe3f00006f3e004025bf000074bd000074bd0000b23d"
       "000074bd00006f3e00e0d5bf00c0513f004025bf00a09dbf00402c3f0020a13f00c0063f00006f3e004070bf00b03740"
       "00c0513f00e08abf00c04abf0000b23d0020c3bf00006f3e0080ffbe0020a13f"},
      {"Q8_0", GgmlType::q8_0, "77252d8102b434081ace565fce11e0ffc557d3f217e2f5e6fac9ebf6f003f223f1fa",
       "00eb753f40822dc000e02e3d00aacfbf00168e3f00e02e3e00160e3f009f88bf00fdea3f40ca0140009f88bf00ceb93e"
       "00e02ebf00e0aebc8036a1bf80b8ed3f00eb75bf000499be0062fb3e00f223bf007470be00160ebf002803be804896bf"
       "0086e5be00985abe00e0aebe0028833d000499be00453f3f00f2a3be002803be"},
  };
  for (const auto& [name, type, blocks, values] : encoded) {
    CAPTURE(name);
    std::vector<float> decoded(values.size() / 8);
    const auto stored = from_hex(blocks);
    decode_rows(type, std::as_bytes(std::span(stored)).data(), static_cast<std::int64_t>(decoded.size()),
                decoded.data());
    CHECK(bytes_of(decoded) == from_hex(values));
    CHECK(csreft::find_ggml_format(static_cast<std::uint32_t>(type))->name == name);
  }
}

TEST_CASE("part of a row decodes to that part of its values") {
  for (const auto& format : ggml_formats()) {
    if (format.decode == nullptr) continue;
    CAPTURE(format.name);
    const auto type = static_cast<GgmlType>(format.number);
    const auto [elements, bytes] = csreft::block_of(type);
    constexpr std::int64_t n_blocks = 5;
    // Bytes that make ordinary scales of every width.
    std::vector<std::byte> blocks(static_cast<std::size_t>(n_blocks * bytes));
    for (std::size_t i = 0; i < blocks.size(); ++i) blocks[i] = std::byte(0x38 + i * 37 % 7);
    std::vector<float> whole(static_cast<std::size_t>(n_blocks * elements)), part(whole.size());
    decode_rows(type, blocks.data(), n_blocks * elements, whole.data());
    CHECK(std::ranges::count(whole, whole.front()) < n_blocks * elements);
    decode_rows(type, blocks.data() + 2 * bytes, 3 * elements, part.data());
    CHECK(std::equal(part.begin(), part.begin() + 3 * elements, whole.begin() + 2 * elements));
  }
}

TEST_CASE("a number that is no type, or a type that is not read, has no blocks") {
  CHECK(csreft::find_ggml_format(4) == nullptr);
  CHECK(csreft::find_ggml_format(17)->name == "IQ2_XS");
  CHECK(contains(error_text([] { return csreft::block_of(static_cast<GgmlType>(17)); }), "17 is no type"));
  CHECK(contains(error_text([] { return csreft::block_of(static_cast<GgmlType>(4)); }), "4 is no type"));
}
