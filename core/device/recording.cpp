#include "core/device/recording.h"

#include <utility>

#include "core/cuda/primitives.h"

namespace csreft {

Recording::Recording(const Device& device, std::function<void()> work)
    : work_(std::move(work)), graph_(device.type == DeviceType::cuda ? cuda::make_graph(device.index) : nullptr) {}

void Recording::run() {
  if (graph_ == nullptr) return work_();
  cuda::run_in_graph(*graph_, work_);
}

}  // namespace csreft
