#include "models/checkpoints/llama2c.h"

#include "tests/fuzz/target.h"
#include "tests/little_endian.h"

namespace csreft {

namespace {

// hidden 8, FFN 6, one layer, 2 heads of 4, 1 key/value head, vocabulary 5, context 3.
struct Sizes {
  std::int32_t dim = 8, hidden_dim = 6, n_layers = 1, n_heads = 2, n_kv_heads = 1, vocab_size = 5, seq_len = 3;
};

constexpr std::size_t weights = 5 * 8 + 2 * 8 + 2 * 8 * 8 + 2 * 4 * 8 + 3 * 6 * 8 + 8;

std::string zeros(std::size_t n) { return std::string(4 * n, '\0'); }

std::vector<std::string> seeds() {
  std::string second = bytes_of(std::uint32_t{0x616b3432}) + bytes_of(std::int32_t{1}) + bytes_of(Sizes{}) + '\x01';
  second.resize(256);
  std::string third = second;
  third[4] = '\x02';
  third.replace(37, 4, bytes_of(std::int32_t{4}));
  constexpr std::size_t norms = 3 * 8;
  third += zeros(norms);
  third.append(2 * (weights - norms), '\x01');  // groups of four, a scale each
  return {bytes_of(Sizes{}) + zeros(weights + 3 * 4), second + zeros(weights), third};
}

void read(std::string_view input) {
  const auto checkpoint = open_llama2c(fuzz_folder().write("input.bin", input));
  for (const auto& [name, shape] : checkpoint.shapes) {
    static_cast<void>(checkpoint.tensor(name));
    if (const auto stored = checkpoint.stored(name)) static_cast<void>(stored->decoded());
  }
}

}  // namespace

extern const FuzzTarget llama2c_target;
const FuzzTarget llama2c_target{"llama2c", "a llama2.c model", seeds, read};

}  // namespace csreft
