#include "core/device/recording.h"

#include <utility>

#include "core/device/backend.h"

namespace csreft {

Recording::Recording(const Device& device, std::function<void()> work)
    : run_(backend_of(device).record(std::move(work), device.index)) {}

void Recording::run() { run_(); }

}  // namespace csreft
