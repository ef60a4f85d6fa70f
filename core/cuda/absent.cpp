// The CUDA backend of a build without CUDA.
#include "core/cuda/device_info.h"
#include "core/cuda/primitives.h"

namespace csreft::cuda {
namespace {

[[noreturn]] void refuse() {
  fail("this build has no CUDA backend: expected --device cpu, or a build with the option cuda=enabled");
}

}  // namespace

const Primitives& primitives() { refuse(); }
void check_device(int /*index*/) { refuse(); }
std::shared_ptr<void> allocate(std::size_t /*bytes*/, int /*index*/) { refuse(); }
void set_zero(void* /*data*/, std::size_t /*bytes*/, int /*index*/) { refuse(); }
void cast(const Tensor& /*x*/, const Tensor& /*y*/) { refuse(); }
void copy(void* /*to*/, const Device& /*to_device*/, const void* /*from*/, const Device& /*from_device*/,
          std::size_t /*bytes*/) {
  refuse();
}
void synchronize(int /*index*/) { refuse(); }
std::shared_ptr<Graph> make_graph(int /*index*/) { refuse(); }
void run_in_graph(Graph& /*graph*/, const std::function<void()>& /*work*/) { refuse(); }
std::shared_ptr<PinnedCopy> make_pinned_copy(std::size_t /*bytes*/, int /*index*/) { refuse(); }
void start_copy(PinnedCopy& /*copy*/, const Tensor& /*values*/) { refuse(); }
const void* finish_copy(PinnedCopy& /*copy*/) { refuse(); }
std::string device_name(int /*index*/) { refuse(); }
DeviceMemory device_memory(int /*index*/) { refuse(); }
void reset_peak_memory(int /*index*/) { refuse(); }

}  // namespace csreft::cuda
