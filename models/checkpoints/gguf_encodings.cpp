#include "models/checkpoints/gguf_encodings.h"

#include <array>
#include <utility>

namespace csreft {
namespace {

// What core/cpu multiplies as it is.
constexpr std::array multiplied{
    std::pair{GgmlType::bf16, RowForm::bf16}, std::pair{GgmlType::f16, RowForm::f16},
    std::pair{GgmlType::q4_0, RowForm::q4_0}, std::pair{GgmlType::q4_1, RowForm::q4_1},
    std::pair{GgmlType::q8_0, RowForm::q8_0}, std::pair{GgmlType::q4_k, RowForm::q4_k},
    std::pair{GgmlType::q5_k, RowForm::q5_k}, std::pair{GgmlType::q6_k, RowForm::q6_k},
};

RowForm row_form(GgmlType type) {
  for (const auto& [of, form] : multiplied) {
    if (of == type) return form;
  }
  return RowForm::other;
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

std::vector<std::shared_ptr<const RowEncoding>> multiplied_encodings() {
  std::vector<std::shared_ptr<const RowEncoding>> encodings;
  for (const auto& [type, form] : multiplied) encodings.push_back(row_encoding(type));
  return encodings;
}

}  // namespace csreft
