#include "models/llama/fingerprint.h"

#include "core/base/hash.h"
#include "models/llama/llama_config.h"

namespace csreft {
namespace {

constexpr std::string_view scheme = "xxh64:";

std::string digits(std::uint64_t hash) { return fmt::format("{:016x}", hash); }

std::span<const std::byte> bytes_of(const Tensor& t) { return {static_cast<const std::byte*>(t.raw()), t.bytes()}; }

}  // namespace

std::string Fingerprint::text() const { return std::string(scheme) + digits(whole); }

bool Fingerprint::is(std::string_view saved) const {
  return saved == (is_of_first_rows(saved) ? digits(first_rows) : text());
}

bool is_of_first_rows(std::string_view saved) { return !saved.starts_with(scheme); }

void FingerprintMaker::add(const std::string& name, const Tensor& value) {
  const Tensor there = value.to(Device{});
  const Tensor first = there.shape().rank() == 2 ? there.slice(0, 1) : there;
  parameters_[name] = {.whole = content_hash(bytes_of(there)),
                       .first_rows = fnv1a({static_cast<const char*>(first.raw()), first.bytes()})};
}

Fingerprint FingerprintMaker::made() const {
  Fingerprint all{.whole = fnv1a_start, .first_rows = fnv1a_start};
  for (const auto& [name, of] : parameters_) {
    all.whole = fnv1a(fmt::format("{} {}\n", name, digits(of.whole)), all.whole);
    all.first_rows = fnv1a(fmt::format("{} {}\n", name, digits(of.first_rows)), all.first_rows);
  }
  return all;
}

Fingerprint fingerprint(const Checkpoint& checkpoint) {
  FingerprintMaker all;
  for (const auto& [name, shape] : parameter_shapes(checkpoint.config)) all.add(name, checkpoint.tensor(name));
  return all.made();
}

}  // namespace csreft
