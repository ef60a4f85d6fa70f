#include "models/llama/fingerprint.h"

#include "core/base/hash.h"
#include "models/llama/llama_config.h"

namespace csreft {
namespace {

std::uint64_t hash_bytes(const Tensor& t, std::uint64_t hash) {
  return fnv1a({static_cast<const char*>(t.raw()), t.bytes()}, hash);
}

}  // namespace

void Fingerprint::add(const std::string& name, const Tensor& value) {
  const bool is_matrix = value.shape().rank() == 2;
  rows_[name] = hash_bytes((is_matrix ? value.slice(0, 1) : value).to(Device{}), fnv1a_start);
}

std::uint64_t Fingerprint::value() const {
  std::uint64_t hash = fnv1a_start;
  for (const auto& [name, row] : rows_) hash = fnv1a(fmt::format("{} {:016x}\n", name, row), hash);
  return hash;
}

std::uint64_t fingerprint(const Checkpoint& checkpoint) {
  Fingerprint all;
  for (const auto& [name, shape] : parameter_shapes(checkpoint.config)) all.add(name, checkpoint.tensor(name));
  return all.value();
}

}  // namespace csreft
