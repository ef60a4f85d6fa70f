#include "models/llama/fingerprint.h"

#include <algorithm>

#include "core/base/hash.h"

namespace csreft {
namespace {

std::uint64_t hash_bytes(const Tensor& tensor, std::uint64_t hash) {
  const Tensor t = tensor.to(Device{});
  return fnv1a({static_cast<const char*>(t.raw()), t.bytes()}, hash);
}

}  // namespace

std::uint64_t fingerprint(const Tensor& norm, const Tensor& embedding) {
  constexpr std::int64_t rows = 64;
  return hash_bytes(embedding.slice(0, std::min(rows, embedding.rows())), hash_bytes(norm, fnv1a_start));
}

std::uint64_t fingerprint(const Checkpoint& checkpoint) {
  return fingerprint(checkpoint.tensor("model.norm.weight"), checkpoint.tensor("model.embed_tokens.weight"));
}

}  // namespace csreft
