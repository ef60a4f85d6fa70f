#include "models/checkpoints/gguf_file.h"

#include <doctest/doctest.h>

#include "tests/error_text.h"
#include "tests/models/checkpoints/gguf_builder.h"
#include "tests/temporary_folder.h"

using csreft::decode_rows;
using csreft::GgmlType;
using csreft::read_gguf;
using csreft::Shape;

namespace {

constexpr std::uint32_t f32 = 0, q8_0 = 8;

std::string refusal(const std::string& bytes) {
  const TemporaryFolder folder;
  const auto path = folder.write("a.gguf", bytes);
  const auto text = error_text([&] { return read_gguf(path); });
  CHECK((text.empty() || text.starts_with(path.string())));
  return text;
}

// Values 1000 * seed + (row, column) counted in row-major order, as f32 bytes.
std::string counting(std::size_t n, int seed) {
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(1000 * seed) + static_cast<float>(i);
  return bytes_of(values);
}

// A file that holds this one tensor.
std::string one_tensor(const std::vector<std::uint64_t>& extents, std::uint32_t type, std::uint64_t offset,
                       std::size_t data_bytes) {
  GgufBuilder builder;
  builder.info("w", extents, type, offset);
  builder.data = std::string(data_bytes, '\0');
  return builder.bytes();
}

// Two keys and two tensors.
GgufBuilder small_file() {
  GgufBuilder builder;
  builder.text("general.name", "small");
  builder.texts("list", {"a", "b"});
  builder.tensor("a", {8, 2}, f32, counting(16, 0));
  builder.tensor("b", {4}, f32, counting(4, 1));
  return builder;
}

// Part `number` of `count`, counted from 1, with one tensor and a key of its own.
GgufBuilder part(std::uint32_t number, std::uint32_t count, const std::string& tensor) {
  GgufBuilder builder;
  builder.number("key", number);
  builder.key("split.no", 2, bytes_of(static_cast<std::uint16_t>(number - 1)));
  builder.key("split.count", 2, bytes_of(static_cast<std::uint16_t>(count)));
  builder.key("split.tensors.count", 5, bytes_of(static_cast<std::int32_t>(count)));
  builder.tensor(tensor, {4}, f32, counting(4, static_cast<int>(number)));
  return builder;
}

std::string refusal_of(const std::filesystem::path& path) {
  return error_text([&] { return read_gguf(path); });
}

}  // namespace

TEST_CASE("metadata of every value type is read") {
  GgufBuilder builder;
  builder.version = 2;
  builder.key("u8", 0, bytes_of(std::uint8_t{200}));
  builder.key("i8", 1, bytes_of(std::int8_t{-100}));
  builder.key("u16", 2, bytes_of(std::uint16_t{60000}));
  builder.key("i16", 3, bytes_of(std::int16_t{-30000}));
  builder.key("u32", 4, bytes_of(std::uint32_t{4'000'000'000}));
  builder.key("i32", 5, bytes_of(std::int32_t{-2'000'000'000}));
  builder.key("f32", 6, bytes_of(0.5F));
  builder.key("bool", 7, bytes_of(std::uint8_t{1}));
  builder.text("string", "text");
  const auto one_i8 = bytes_of(std::uint32_t{1}) + bytes_of(std::uint64_t{1}) + bytes_of(std::int8_t{-1});
  builder.key("nested", 9, bytes_of(std::uint32_t{9}) + bytes_of(std::uint64_t{2}) + one_i8 + one_i8);
  builder.key("u64", 10, bytes_of(std::uint64_t{1} << 63));
  builder.key("i64", 11, bytes_of(std::int64_t{-1} << 62));
  builder.key("f64", 12, bytes_of(0.25));
  const TemporaryFolder folder;
  const auto gguf = read_gguf(folder.write("a.gguf", builder.bytes()));
  CHECK(gguf.metadata == nlohmann::json{{"u8", 200},
                                        {"i8", -100},
                                        {"u16", 60000},
                                        {"i16", -30000},
                                        {"u32", 4'000'000'000},
                                        {"i32", -2'000'000'000},
                                        {"f32", 0.5},
                                        {"bool", true},
                                        {"string", "text"},
                                        {"nested", {{-1}, {-1}}},
                                        {"u64", std::uint64_t{1} << 63},
                                        {"i64", std::int64_t{-1} << 62},
                                        {"f64", 0.25}});
}

TEST_CASE("quantised matrices are decoded row by row") {
  GgufBuilder builder;
  // Two rows of two Q8_0 blocks: scale 0.5, every integer of a block the same.
  std::string blocks;
  for (const char value : {'\x02', '\x04', '\x06', '\x08'}) blocks += from_hex("0038") + std::string(32, value);
  builder.tensor("w", {64, 2}, q8_0, blocks);
  const TemporaryFolder folder;
  const auto gguf = read_gguf(folder.write("a.gguf", builder.bytes()));
  const auto& w = gguf.tensors.at("w");
  CHECK(w.shape == Shape{2, 64});
  std::vector<float> values(128);
  decode_rows(w.type, w.blocks.data(), 128, values.data());
  CHECK(values[0] == 1);
  CHECK(values[63] == 2);
  CHECK(values[64] == 3);
  CHECK(values[127] == 4);
}

TEST_CASE("general.alignment moves the data") {
  GgufBuilder builder;
  builder.alignment = 128;
  builder.number("general.alignment", 128U);
  builder.tensor("a", {1}, f32, bytes_of(1.0F));
  builder.tensor("b", {1}, f32, bytes_of(2.0F));
  const TemporaryFolder folder;
  const auto gguf = read_gguf(folder.write("a.gguf", builder.bytes()));
  float b = 0;
  decode_rows(GgmlType::f32, gguf.tensors.at("b").blocks.data(), 1, &b);
  CHECK(b == 2);
  builder.keys.clear();
  builder.n_keys = 0;
  builder.number("general.alignment", 48U);
  CHECK(contains(refusal(builder.bytes()), "general.alignment is 48: expected a power of two"));
}

TEST_CASE("another kind of file is refused") {
  auto builder = small_file();
  CHECK(contains(refusal("GGML" + builder.bytes().substr(4)), "is no GGUF file"));
  builder.version = 1;
  CHECK(contains(refusal(builder.bytes()), "GGUF version 1: expected 2 or 3"));
  builder.version = 3U << 24;
  CHECK(contains(refusal(builder.bytes()), "big endian"));
  CHECK(contains(refusal("tjgg" + builder.bytes()), "a format that llama.cpp had before GGUF"));
  CHECK(contains(refusal("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "is a git-lfs pointer"));
}

TEST_CASE("a file cut at any byte is refused") {
  const auto bytes = small_file().bytes();
  const TemporaryFolder folder;
  const auto path = folder / "a.gguf";
  folder.write("a.gguf", bytes);
  REQUIRE(error_text([&] { return read_gguf(path); }).empty());
  for (std::size_t size = bytes.size(); size-- > 0;) {
    CAPTURE(size);
    std::filesystem::resize_file(path, size);
    CHECK(!error_text([&] { return read_gguf(path); }).empty());
  }
}

TEST_CASE("lengths and counts beyond the file are refused") {
  const auto absurd = ~std::uint64_t{0};
  GgufBuilder long_string;
  long_string.key("k", 8, bytes_of(absurd) + "text");
  CHECK(contains(refusal(long_string.bytes()), "truncated or corrupt: 18446744073709551615 bytes wanted"));
  GgufBuilder long_array;
  long_array.key("k", 9, bytes_of(std::uint32_t{4}) + bytes_of(absurd));
  CHECK(contains(refusal(long_array.bytes()), "an array of 18446744073709551615 elements"));
  // Texts take 8 bytes and more, arrays 12.
  for (const std::uint32_t type : {4U, 8U, 9U}) {
    long_array = {};
    long_array.key("k", 9, bytes_of(type) + bytes_of(std::uint64_t{1'000'000}));
    CHECK(contains(refusal(long_array.bytes()), fmt::format("{} bytes wanted", type == 4   ? 4'000'000
                                                                               : type == 8 ? 8'000'000
                                                                                           : 12'000'000)));
  }
  GgufBuilder many;
  many.n_keys = absurd;
  CHECK(contains(refusal(many.bytes()), "truncated or corrupt"));
  many = {};
  many.n_tensors = absurd;
  CHECK(contains(refusal(many.bytes()), "truncated or corrupt"));
  GgufBuilder unknown;
  unknown.key("k", 13, "");
  CHECK(contains(refusal(unknown.bytes()), "value type 13"));
  GgufBuilder deep;
  std::string value;
  for (int i = 0; i < 9; ++i) value += bytes_of(std::uint32_t{9}) + bytes_of(std::uint64_t{1});
  deep.key("k", 9, value);
  CHECK(contains(refusal(deep.bytes()), "nested more than 4 deep"));
  GgufBuilder twice;
  twice.number("k", 1U);
  twice.number("k", 1U);
  CHECK(contains(refusal(twice.bytes()), "key k appears twice"));
}

TEST_CASE("a tensor that does not fit its file is refused by name") {
  CHECK(refusal(one_tensor({8}, f32, 0, 32)).empty());
  CHECK(refusal(one_tensor({256}, 12, 0, 144)).empty());
  CHECK(contains(refusal(one_tensor({256}, 17, 0, 144)),
                 "tensor w is of type IQ2_XS (17): expected one of F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, "
                 "Q4_K, Q5_K, Q6_K, Q8_K, IQ4_NL, IQ4_XS, F64, BF16"));
  CHECK(contains(refusal(one_tensor({128}, 12, 0, 144)), "rows of 128 elements are no whole blocks of 256"));
  CHECK(contains(refusal(one_tensor({256}, 99, 0, 144)), "tensor w is of type unknown (99)"));
  CHECK(contains(refusal(one_tensor({8}, f32, 32, 32)), "tensor w ends outside the file"));
  CHECK(contains(refusal(one_tensor({8}, f32, ~std::uint64_t{31}, 32)), "tensor w ends outside the file"));
  CHECK(contains(refusal(one_tensor({8}, f32, 4, 64)), "tensor w starts at byte 4: expected a multiple of 32"));
  CHECK(contains(refusal(one_tensor({}, f32, 0, 32)), "tensor w has 0 axes"));
  CHECK(contains(refusal(one_tensor({1, 1, 1, 1, 1}, f32, 0, 32)), "tensor w has 5 axes"));
  CHECK(contains(refusal(one_tensor({0}, f32, 0, 32)), "tensor w: axis 0 has an absurd extent, 0"));
  CHECK(contains(refusal(one_tensor({1U << 30, 1U << 30}, f32, 0, 32)), "tensor w: axis 1 has an absurd extent"));
  CHECK(contains(refusal(one_tensor({48}, q8_0, 0, 64)), "rows of 48 elements are no whole blocks of 32"));

  GgufBuilder overlap;
  overlap.info("a", {16}, f32, 0);
  overlap.info("b", {8}, f32, 32);
  overlap.data = std::string(64, '\0');
  CHECK(contains(refusal(overlap.bytes()), "tensors a and b overlap"));
  GgufBuilder twice;
  twice.tensor("a", {8}, f32, counting(8, 0));
  twice.tensor("a", {8}, f32, counting(8, 0));
  CHECK(contains(refusal(twice.bytes()), "tensor a appears twice"));
}

TEST_CASE("any part of a file in parts opens all of them") {
  const TemporaryFolder folder;
  for (const std::uint32_t number : {1U, 2U, 3U}) {
    folder.write(fmt::format("m-0000{}-of-00003.gguf", number), part(number, 3, fmt::format("t{}", number)).bytes());
  }
  for (const int number : {1, 2, 3}) {
    CAPTURE(number);
    const auto gguf = read_gguf(folder / fmt::format("m-0000{}-of-00003.gguf", number));
    CHECK(gguf.metadata.at("key") == 1);
    REQUIRE(gguf.tensors.size() == 3);
    float first = 0;
    decode_rows(GgmlType::f32, gguf.tensors.at("t3").blocks.data(), 1, &first);
    CHECK(first == 3000);
    CHECK(gguf.tensors.at("t3").file->path().filename() == "m-00003-of-00003.gguf");
  }
}

TEST_CASE("a first part may hold metadata alone, and one part is a whole file") {
  const TemporaryFolder folder;
  auto first = part(1, 2, "t1");
  first.n_tensors = 0;
  first.infos.clear();
  first.data.clear();
  first.keys.replace(first.keys.find("split.tensors.count"), 19, "split.tensors.coun_");
  folder.write("m-00001-of-00002.gguf", first.bytes());
  const auto second = folder.write("m-00002-of-00002.gguf", part(2, 2, "t2").bytes());
  CHECK(read_gguf(second).tensors.size() == 1);
  CHECK(read_gguf(folder.write("any name.gguf", part(1, 1, "t").bytes())).tensors.size() == 1);
}

TEST_CASE("parts that are missing or do not belong together are refused by name") {
  const TemporaryFolder folder;
  const auto second = folder.write("m-00002-of-00009.gguf", part(2, 9, "t2").bytes());
  CHECK(contains(refusal_of(second), second.string() +
                                         " is part 2 of 9: expected m-00001-of-00009.gguf, m-00003-of-00009.gguf, "
                                         "m-00004-of-00009.gguf, m-00005-of-00009.gguf and 4 more beside it"));
  CHECK(contains(refusal_of(folder.write("renamed.gguf", part(2, 9, "t2").bytes())),
                 "is part 2 of 9, which its name does not say: expected NAME-00002-of-00009.gguf"));
  const auto refusal_beside = [&](const GgufBuilder& other) {
    folder.write("n-00002-of-00002.gguf", other.bytes());
    return refusal_of(folder.write("n-00001-of-00002.gguf", part(1, 2, "t1").bytes()));
  };
  CHECK(refusal_beside(part(2, 2, "t2")).empty());
  CHECK(contains(refusal_beside(part(1, 2, "t2")), "says that it is part 1 of 2: expected 2 of 2"));
  CHECK(contains(refusal_beside(part(2, 3, "t2")), "says that it is part 2 of 3: expected 2 of 2"));
  CHECK(contains(refusal_beside(small_file()), "says that it is part 1 of 1: expected 2 of 2"));
  CHECK(contains(refusal_beside(part(2, 2, "t1")), "n-00002-of-00002.gguf: tensor t1 is in a part before, too"));
  auto more = part(2, 2, "t2");
  more.tensor("t3", {4}, f32, counting(4, 3));
  CHECK(contains(refusal_beside(more), "its 2 parts hold 3 tensors: split.tensors.count says 2"));
  GgufBuilder absurd;
  absurd.number("split.no", 7U);
  absurd.number("split.count", 3U);
  CHECK(contains(refusal(absurd.bytes()), "split.no is 7 and split.count 3"));
}
