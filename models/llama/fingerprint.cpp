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

void FingerprintMaker::add(const std::string& name, const StoredMatrix& value) {
  const auto write = [&](std::size_t begin, std::span<std::byte> piece) {
    // Pieces are a power of two, as blocks are, and rows are whole blocks.
    const auto first = static_cast<std::int64_t>(begin / sizeof(float));
    value.decode(first, first + static_cast<std::int64_t>(piece.size() / sizeof(float)),
                 static_cast<float*>(static_cast<void*>(piece.data())));
  };
  std::vector<float> row(static_cast<std::size_t>(value.cols()));
  if (value.rows() > 0) value.decode(0, value.cols(), row.data());
  parameters_[name] = {.whole = content_hash(static_cast<std::size_t>(value.shape().numel()) * sizeof(float), write),
                       .first_rows = fnv1a({static_cast<const char*>(static_cast<const void*>(row.data())),
                                            row.size() * sizeof(float)})};
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
  for (const auto& [name, shape] : parameter_shapes(checkpoint.config)) {
    if (const auto stored = checkpoint.stored(name)) {
      all.add(name, *stored);
    } else {
      all.add(name, checkpoint.tensor(name));
    }
  }
  return all.made();
}

}  // namespace csreft
