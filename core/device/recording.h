// Work that is done again and again with the same tensors, such as the step that computes one more token.
#pragma once

#include <functional>

#include "core/device/device.h"

namespace csreft {

// On a CUDA device the host starts the work's kernels one by one the first time only; the second time they are
// captured as a graph, and from then on one call starts them all. On the host, the work is done each time.
//
// The work must do the same each time, whatever its tensors hold: the same primitives on the same shapes, not waiting
// for the device and not copying to or from the host. What changes from time to time it reads from tensors that lie on
// the device and that the caller writes into in between; index tensors on the host are taken as they were when it was
// recorded. A tensor that it makes and the caller keeps is written anew by each run, and must be let go of (assigned
// {}) at the start of the work, so that its memory is there to be had again. Throws Error, on the device, for work that
// cannot be recorded; there is no way back to starting kernels one by one.
class Recording {
 public:
  Recording(const Device& device, std::function<void()> work);
  void run();

 private:
  std::function<void()> run_;
};

}  // namespace csreft
