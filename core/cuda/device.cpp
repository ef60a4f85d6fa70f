#include "core/cuda/device.h"

#include "core/base/error.h"
#include "core/cuda/check.h"

namespace csreft::cuda {

void check_device(int index) {
  int driver = 0, runtime = 0, count = 0;
  const bool has_driver = cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0;
  require(has_driver,
          "no CUDA driver on this machine: expected NVIDIA's driver (nvidia-smi shows it), or --device cpu");
  check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  const cudaError_t status = cudaGetDeviceCount(&count);
  require(status != cudaErrorInsufficientDriver,
          "the CUDA driver is too old: it serves CUDA {}.{}, expected {}.{} or newer (update NVIDIA's driver)",
          driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
  require(status != cudaErrorNoDevice && count > 0,
          "no CUDA device is visible: expected one (CUDA_VISIBLE_DEVICES may hide it), or --device cpu");
  check(status, "cudaGetDeviceCount");
  require(index < count, "no device cuda:{}: expected cuda:0 to cuda:{}", index, count - 1);
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index), "cudaDeviceGetAttribute");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index), "cudaDeviceGetAttribute");
  require(major >= 8, "cuda:{} has compute capability {}.{}: expected 8.0 (Ampere) or newer", index, major, minor);
}

std::string device_name(int index) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
  return fmt::format("{}, sm_{}{}", properties.name, properties.major, properties.minor);
}

}  // namespace csreft::cuda
