// The CUDA backend of a build without CUDA.
#include "core/base/error.h"
#include "core/cuda/backend.h"
#include "core/device/device_info.h"
#include "core/ops/ops.h"
#include "core/ops/packed_matrix.h"

namespace csreft::cuda {
namespace {

template <typename Result, typename... Arguments>
using Function = Result (*)(Arguments...);

// Becomes any function of a backend.
struct Refusal {
  template <typename Result, typename... Arguments>
  operator Function<Result, Arguments...>() const {
    return [](Arguments...) -> Result {
      fail("this build has no CUDA backend: expected --device cpu, or ./run build --cuda");
    };
  }
};

}  // namespace

const Backend& backend() {
  constexpr Refusal refusal;
  static const Backend instance{
      .check_device = refusal,
      .device_name = refusal,
      .device_memory = refusal,
      .reset_peak_memory = refusal,
      .synchronize = refusal,
      .allocate = refusal,
      .set_zero = refusal,
      .copy_bytes = refusal,
      .copy_to_host = refusal,
      .record = refusal,
      .pack = refusal,
#define PRIMITIVE(result, name, ...) .name = refusal,
#include "core/device/primitives.inc"
#undef PRIMITIVE
  };
  return instance;
}

}  // namespace csreft::cuda
