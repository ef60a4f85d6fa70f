#include "core/device/readback.h"

#include "core/base/error.h"
#include "core/cuda/primitives.h"

namespace csreft {

Readback::Readback(const Device& device, std::int64_t capacity)
    : device_(device), capacity_(static_cast<std::size_t>(capacity)) {
  if (device.type == DeviceType::cuda) {
    pinned_ = cuda::make_pinned_copy(capacity_ * sizeof(std::int32_t), device.index);
  }
}

void Readback::start(const Tensor& values) {
  require(values.defined() && values.dtype() == DType::i32 && values.device() == device_,
          "readback: expected i32 on {}", to_string(device_));
  require(values.numel() <= static_cast<std::int64_t>(capacity_), "readback: {} integers, expected {} at most",
          values.numel(), capacity_);
  asked_ = static_cast<std::size_t>(values.numel());
  if (pinned_ != nullptr) return cuda::start_copy(*pinned_, values);
  here_.assign(values.data<std::int32_t>(), values.data<std::int32_t>() + asked_);
}

std::span<const std::int32_t> Readback::wait() {
  if (pinned_ == nullptr) return here_;
  return {static_cast<const std::int32_t*>(cuda::finish_copy(*pinned_)), asked_};
}

}  // namespace csreft
