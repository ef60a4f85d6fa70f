#include "models/checkpoints/gguf_encodings.h"

namespace csreft {
namespace {

// By ggml's numbers (ggml_type_name).
RowForm row_form(GgmlType type) {
  switch (static_cast<std::uint32_t>(type)) {
    case 1: return RowForm::f16;
    case 2: return RowForm::q4_0;
    case 3: return RowForm::q4_1;
    case 8: return RowForm::q8_0;
    case 12: return RowForm::q4_k;
    case 14: return RowForm::q6_k;
    case 30: return RowForm::bf16;
    default: return RowForm::other;
  }
}

}  // namespace

std::shared_ptr<const RowEncoding> row_encoding(GgmlType type) {
  const GgmlBlock block = block_of(type);
  return std::make_shared<const RowEncoding>(RowEncoding{
      .name = std::string(ggml_type_name(static_cast<std::uint32_t>(type))),
      .form = row_form(type),
      .block_elements = block.elements,
      .block_bytes = block.bytes,
      .decode = [type](std::span<const std::byte> blocks, float* values) { dequantize(type, blocks, values); }});
}

}  // namespace csreft
