#include "core/tensor/safetensors.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "core/tensor/half.h"
#include "core/tensor/random.h"
#include "tests/error_text.h"
#include "tests/little_endian.h"
#include "tests/temporary_folder.h"

using csreft::DType;
using csreft::half_to_float;
using csreft::random_normal;
using csreft::SafeTensors;
using csreft::SafeTensorsMetadata;
using csreft::save_safetensors;
using csreft::Tensor;

namespace {

std::string file_bytes(const std::string& header, const std::string& data) {
  return bytes_of(static_cast<std::uint64_t>(header.size())) + header + data;
}

// What the reader says of a file with this header and `data_bytes` zeros.
std::string refusal(const std::string& header, std::size_t data_bytes = 0) {
  const TemporaryFolder folder;
  const auto path = folder.write("bad.safetensors", file_bytes(header, std::string(data_bytes, '\0')));
  const auto text = error_text([&] { return SafeTensors::open(path); });
  CHECK((text.empty() || text.starts_with(path.string())));
  CHECK(!contains(text, "\n"));
  return text;
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

bool same_elements(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::string_view(static_cast<const char*>(a.raw()), a.bytes()) ==
             std::string_view(static_cast<const char*>(b.raw()), b.bytes());
}

}  // namespace

TEST_CASE("every dtype and rank comes back as it was saved") {
  const TemporaryFolder folder;
  const Tensor matrix = random_normal({5, 3}, 0, 1, 1, 2);
  const std::vector<std::pair<std::string, Tensor>> saved{
      {"matrix", matrix},
      {"half", matrix.to(DType::bf16)},
      {"double", random_normal({2, 1, 3, 2}, 0, 1, 1, 3, DType::f64)},
      {"ids", Tensor::full({7}, -3, DType::i32)},
      {"scalar", Tensor::full({}, 2.5)},
      {"none", Tensor::zeros({0, 4})},
  };
  save_safetensors(folder / "a", saved, {{"format", "pt"}, {"note", "\"quoted\" \u00e9"}});
  const auto file = SafeTensors::open(folder / "a");
  CHECK(file.names() == std::vector<std::string>{"double", "half", "ids", "matrix", "none", "scalar"});
  CHECK(file.metadata() == SafeTensorsMetadata{{"format", "pt"}, {"note", "\"quoted\" \u00e9"}});
  for (const auto& [name, tensor] : saved) {
    CAPTURE(name);
    CHECK(same_elements(file.get(name), tensor));
    CHECK(file.shape(name) == tensor.shape());
    CHECK(file.dtype(name) == tensor.dtype());
  }
  CHECK(folder.count() == 1);
}

TEST_CASE("a tensor keeps its file mapped") {
  const TemporaryFolder folder;
  save_safetensors(folder / "a", {{"w", Tensor::full({3}, 7)}});
  Tensor w;
  {
    const auto file = SafeTensors::open(folder / "a");
    w = file.get("w");
    CHECK(w.raw() == file.get("w").raw());
  }
  std::filesystem::remove(folder / "a");
  CHECK(w.span<float>()[2] == 7);
}

TEST_CASE("the same tensors give the same bytes, aligned whatever their order") {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, Tensor>> saved{{"odd", Tensor::full({3}, 1, DType::bf16)},
                                                          {"wide", Tensor::full({2}, 1, DType::f64)},
                                                          {"w", Tensor::full({1}, 1)}};
  save_safetensors(folder / "a", saved);
  save_safetensors(folder / "b", saved);
  CHECK(folder.read("a") == folder.read("b"));
  const auto file = SafeTensors::open(folder / "a");
  for (const auto& [name, _] : saved) CHECK(file.get(name).raw() == file.get(name).raw());  // views, not copies
}

TEST_CASE("F16 becomes f32 exactly") {
  const TemporaryFolder folder;
  // 1/3, the largest half, the smallest normal and subnormal ones, -0, infinity
  const std::vector<std::uint16_t> halves{0x3555, 0x7bff, 0x0400, 0x0001, 0x8000, 0xfc00};
  const auto path = folder.write("a", file_bytes("{" + entry("h", "F16", "[6]", "[0,12]") + "}", bytes_of(halves)));
  const Tensor h = SafeTensors::open(path).get("h");
  const auto values = h.span<float>();
  CHECK(values[0] == 0.333251953125F);
  CHECK(values[1] == 65504);
  CHECK(values[2] == 0x1p-14F);
  CHECK(values[3] == 0x1p-24F);
  CHECK((values[4] == 0 && std::signbit(values[4])));
  CHECK(values[5] == -std::numeric_limits<float>::infinity());
  CHECK(std::isnan(half_to_float(0x7e00)));
}

TEST_CASE("I64 becomes i32 where it fits") {
  const TemporaryFolder folder;
  const auto write = [&](std::int64_t value) {
    return folder.write("a", file_bytes("{" + entry("n", "I64", "[2]", "[0,16]") + "}",
                                        bytes_of(std::vector<std::int64_t>{-5, value})));
  };
  CHECK(SafeTensors::open(write(2147483647)).get("n").span<std::int32_t>()[1] == 2147483647);
  const auto path = write(2147483648);
  CHECK(error_text([&] { return SafeTensors::open(path).get("n"); }) ==
        path.string() + ": tensor n: element 1 is 2147483648: expected a 32-bit integer");
}

TEST_CASE("elements that the file does not align are copied") {
  const TemporaryFolder folder;
  auto header = "{" + entry("w", "F32", "[2]", "[0,8]") + "}";
  while (header.size() % 4 != 1) header += ' ';
  const auto path = folder.write("a", file_bytes(header, bytes_of(std::vector<float>{1.5F, -2})));
  const auto file = SafeTensors::open(path);
  const Tensor w = file.get("w");
  CHECK(w.span<float>()[0] == 1.5F);
  CHECK(w.span<float>()[1] == -2);
  CHECK_FALSE(w.raw() == file.get("w").raw());
}

TEST_CASE("a file without a sound header is refused") {
  const TemporaryFolder folder;
  const auto refuse = [&](const std::string& bytes) {
    return error_text([&] { return SafeTensors::open(folder.write("a", bytes)); });
  };
  CHECK(contains(refuse("1234567"), "truncated: 7 bytes"));
  CHECK(contains(refuse(bytes_of(std::uint64_t{3}) + "{}"), "length is 3 in a file of 10 bytes"));
  CHECK(contains(refuse(bytes_of(~std::uint64_t{0}) + "{}"), "length is 18446744073709551615"));
  CHECK(contains(error_text([&] { return SafeTensors::open(folder / "none"); }), "No such file"));
  CHECK(contains(refusal(""), "not valid JSON"));
  CHECK(contains(refusal("{\"a\":"), "not valid JSON"));
  CHECK(contains(refusal("{} {}"), "not valid JSON"));
  CHECK(contains(refusal("{\"\xff\":1}"), "not valid JSON"));
  CHECK(contains(refusal("{\"a\":1e999}"), "number is out of range"));
  CHECK(contains(refusal("[]"), "expected a JSON object"));
  CHECK(contains(refusal("{\"a\":1,\"a\":2}"), "`a` appears twice"));
  CHECK(contains(refusal("{\"__metadata__\":3}"), "`__metadata__` is number"));
  CHECK(contains(refusal("{\"__metadata__\":{\"k\":3}}"), "`k` is number: expected a string"));
  CHECK(refusal("{}").empty());
}

TEST_CASE("a tensor that does not fit its file is refused by name") {
  const auto one = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return refusal("{" + entry("w", dtype, shape, offsets) + "}", 8);
  };
  CHECK(one("F32", "[2]", "[0,8]").empty());
  CHECK(contains(one("U3", "[2]", "[0,8]"), "tensor w: dtype U3 is not one of the format's"));
  CHECK(contains(one("F32", "[-2]", "[0,8]"), "tensor w: `shape` is missing or wrong"));
  CHECK(contains(one("F32", "[2.5]", "[0,8]"), "tensor w: `shape` is missing or wrong"));
  CHECK(contains(one("F32", "2", "[0,8]"), "tensor w: `shape` is missing or wrong"));
  CHECK(contains(one("F32", "[4294967296,4294967296]", "[0,8]"), "tensor w: the shape's number of elements overflows"));
  CHECK(contains(one("F32", "[0,9223372036854775808]", "[0,0]"), "tensor w: the shape's number of elements overflows"));
  CHECK(contains(one("F32", "[4611686018427387905]", "[0,8]"), "tensor w: 8 bytes do not fit"));
  CHECK(contains(one("F32", "[1,1,1,1,2]", "[0,8]"), "tensor w: the shape has 5 axes"));
  CHECK(contains(one("F32", "[2]", "[0,16]"), "tensor w: bytes [0, 16) lie outside the file"));
  CHECK(contains(one("F32", "[2]", "[8,0]"), "tensor w: `data_offsets` is [8,0]"));
  CHECK(contains(one("F32", "[2]", "[0,4,8]"), "tensor w: `data_offsets` is [0,4,8]"));
  CHECK(contains(one("F32", "[2]", "[0,-8]"), "tensor w: `data_offsets` is missing or wrong"));
  CHECK(contains(one("F32", "[2]", "[0,4]"), "tensor w: 4 bytes do not fit shape [2] of F32"));
  CHECK(contains(one("F64", "[2]", "[0,8]"), "tensor w: 8 bytes do not fit shape [2] of F64"));
  CHECK(contains(refusal("{\"w\":7}"), "tensor w: the entry is number"));
  CHECK(contains(refusal("{\"w\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4), "tensor w: `dtype` is missing"));
}

TEST_CASE("tensors that share bytes or leave some out are refused") {
  const auto two = [](const std::string& first, const std::string& second, std::size_t bytes) {
    return refusal("{" + entry("a", "F32", "[2]", first) + "," + entry("b", "F32", "[2]", second) + "}", bytes);
  };
  CHECK(two("[8,16]", "[0,8]", 16).empty());
  CHECK(contains(two("[0,8]", "[4,12]", 12), "tensors a and b overlap"));
  CHECK(contains(two("[0,8]", "[0,8]", 8), "tensors a and b overlap"));
  CHECK(contains(two("[0,8]", "[12,20]", 20), "4 bytes before tensor b belong to no tensor"));
  CHECK(contains(two("[0,8]", "[8,16]", 17), "the last 1 bytes belong to no tensor"));
}

TEST_CASE("a missing tensor is named") {
  const TemporaryFolder folder;
  save_safetensors(folder / "a", {{"w", Tensor::zeros({1})}});
  const auto file = SafeTensors::open(folder / "a");
  CHECK(file.contains("w"));
  CHECK_FALSE(file.contains("v"));
  CHECK(error_text([&] { return file.get("v"); }) == (folder / "a").string() + " holds no tensor v");
}

TEST_CASE("what a file cannot hold is not written") {
  const TemporaryFolder folder;
  const Tensor t = Tensor::zeros({1});
  const auto refuse = [&](const std::vector<std::pair<std::string, Tensor>>& tensors) {
    return error_text([&] {
      save_safetensors(folder / "a", tensors);
      return 0;
    });
  };
  CHECK(contains(refuse({{"w", t}, {"w", t}}), "two entries are named w"));
  CHECK(contains(refuse({{"__metadata__", t}}), "named __metadata__"));
  CHECK(contains(refuse({{"w", Tensor()}}), "tensor w is undefined"));
  CHECK(contains(refuse({{"\xff", t}}), "not UTF-8"));
  CHECK(folder.count() == 0);
}

TEST_CASE("types that are not read may stand in a file, and are named when they are asked for") {
  const TemporaryFolder folder;
  const std::string header = "{" + entry("mask", "BOOL", "[3]", "[0,3]") + "," + entry("q", "F8_E4M3", "[5]", "[3,8]") +
                             "," + entry("w", "F32", "[2]", "[8,16]") + "}";
  const auto file = SafeTensors::open(folder.write("a.safetensors", file_bytes(header, std::string(16, '\0'))));
  CHECK(file.shape("mask") == csreft::Shape{3});
  CHECK(file.type_name("q") == "F8_E4M3");
  CHECK(file.element_type("q") == SafeTensors::ElementType::other);
  CHECK(file.get("w").numel() == 2);
  CHECK(contains(error_text([&] { return file.get("q"); }),
                 "tensor q is of type F8_E4M3, which is not read: expected F16"));
  CHECK(contains(error_text([&] { return file.dtype("mask"); }), "tensor mask is of type BOOL"));
}

TEST_CASE("a file written tensor by tensor is the same file, and has halves where they are wanted") {
  using ElementType = SafeTensors::ElementType;
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, Tensor>> tensors{{"a", random_normal({5, 3}, 0, 1, 1, 2)},
                                                            {"b", random_normal({4}, 0, 1e-6, 1, 3)}};
  const auto by_name = [&](const std::string& name) { return tensors[name == "a" ? 0 : 1].second; };
  save_safetensors(folder / "whole", tensors, {{"k", "v"}});
  save_safetensors(folder / "streamed", {{"a", {5, 3}, ElementType::f32}, {"b", {4}, ElementType::f32}}, by_name,
                   {{"k", "v"}});
  CHECK(folder.read("streamed") == folder.read("whole"));

  save_safetensors(folder / "half", {{"a", {5, 3}, ElementType::f16}, {"b", {4}, ElementType::f16}}, by_name);
  const auto half = SafeTensors::open(folder / "half");
  for (const auto& [name, tensor] : tensors) {
    const Tensor read = half.get(name);
    // Half a step of 11 bits, or of the subnormals.
    for (std::int64_t i = 0; i < read.numel(); ++i) {
      const float was = tensor.data<const float>()[i];
      CHECK(std::abs(read.data<const float>()[i] - was) <= std::max(std::abs(was) * 0x1p-11F, 0x1p-25F));
    }
  }
  CHECK(contains(error_text([&] {
                   save_safetensors(folder / "wrong", {{"a", {5, 4}, ElementType::f32}}, by_name);
                   return 0;
                 }),
                 "tensor a has shape [5, 3], expected [5, 4]"));
  CHECK_FALSE(std::filesystem::exists(folder / "wrong"));
}

TEST_CASE("every half becomes a float and the same half again; floats between round to the nearest, ties to even") {
  for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = csreft::half_to_float(half);
    if (std::isnan(value)) {
      CHECK(std::isnan(csreft::half_to_float(csreft::float_to_half(value))));
    } else {
      CHECK(csreft::float_to_half(value) == half);
    }
  }
  CHECK(csreft::float_to_half(1 + 0x1p-11F) == 0x3c00);
  CHECK(csreft::float_to_half(1 + 3 * 0x1p-11F) == 0x3c02);
  CHECK(csreft::float_to_half(std::nextafter(1 + 0x1p-11F, 2.0F)) == 0x3c01);
  CHECK(csreft::float_to_half(0x1p-25F) == 0);
  CHECK(csreft::float_to_half(3 * 0x1p-25F) == 2);
  CHECK(csreft::float_to_half(65519.0F) == 0x7bff);
  CHECK(csreft::float_to_half(-65520.0F) == 0xfc00);
}
