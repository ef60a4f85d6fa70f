#include "models/checkpoints/gguf_encodings.h"

namespace csreft {
namespace {

// What core/cpu multiplies as it is.
RowForm row_form(GgmlType type) {
  switch (type) {
    case GgmlType::f16: return RowForm::f16;
    case GgmlType::q4_0: return RowForm::q4_0;
    case GgmlType::q4_1: return RowForm::q4_1;
    case GgmlType::q8_0: return RowForm::q8_0;
    case GgmlType::q4_k: return RowForm::q4_k;
    case GgmlType::q5_k: return RowForm::q5_k;
    case GgmlType::q6_k: return RowForm::q6_k;
    case GgmlType::bf16: return RowForm::bf16;
    default: return RowForm::other;
  }
}

}  // namespace

std::shared_ptr<const RowEncoding> row_encoding(GgmlType type) {
  const GgmlFormat& format = *find_ggml_format(static_cast<std::uint32_t>(type));
  const GgmlBlock block = format.block;
  return std::make_shared<const RowEncoding>(
      RowEncoding{.name = std::string(format.name),
                  .form = row_form(type),
                  .block_elements = block.elements,
                  .block_bytes = block.bytes,
                  .decode = [type, block](std::span<const std::byte> blocks, float* values) {
                    const std::int64_t n_blocks = static_cast<std::int64_t>(blocks.size()) / block.bytes;
                    decode_rows(type, blocks.data(), n_blocks * block.elements, values);
                  }});
}

}  // namespace csreft
