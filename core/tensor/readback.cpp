#include "core/tensor/readback.h"

#include "core/base/error.h"

namespace csreft {

Readback::Readback(const Device& device, std::int64_t capacity)
    : device_(device),
      capacity_(static_cast<std::size_t>(capacity)),
      copy_(backend_of(device).copy_to_host(capacity_ * sizeof(std::int32_t), device.index)) {}

void Readback::start(const Tensor& values) {
  require(values.defined() && values.dtype() == DType::i32 && values.device() == device_,
          "readback: expected i32 on {}", to_string(device_));
  require(values.numel() <= static_cast<std::int64_t>(capacity_), "readback: {} integers, expected {} at most",
          values.numel(), capacity_);
  asked_ = static_cast<std::size_t>(values.numel());
  copy_.start(values.raw(), values.bytes());
}

std::span<const std::int32_t> Readback::wait() { return {static_cast<const std::int32_t*>(copy_.wait()), asked_}; }

}  // namespace csreft
