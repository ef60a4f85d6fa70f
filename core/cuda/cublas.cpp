// cuBLAS, loaded when a device first needs it: a programme with this backend also starts, and computes on the CPU,
// where there is no cuBLAS. Defines the functions of cublas_v2.h that the backend calls.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <dlfcn.h>

#include "core/base/error.h"
#include "core/cuda/runtime.h"

namespace csreft::cuda {
namespace {

namespace fs = std::filesystem;

// Where NVIDIA's installers, Linux distributions and Python wheels put libraries below a folder.
constexpr const char* subfolders[] = {"", "lib64", "lib", "nvidia/cu13/lib", "nvidia/cublas/lib"};

// The folders to look in, in this order; "" is for the places that the dynamic linker knows. CSREFT_CUBLAS=DIR rules
// out all others.
std::vector<fs::path> folders() {
  if (const char* chosen = std::getenv("CSREFT_CUBLAS")) return {chosen};
  std::vector<fs::path> known{""};
  const char* const home = std::getenv("CUDA_HOME");
  for (const char* folder : {CSREFT_CUDA_ROOT, home, "/usr/local/cuda", "/opt/cuda"}) {
    if (folder != nullptr && std::ranges::count(known, fs::path(folder)) == 0) known.emplace_back(folder);
  }
  return known;
}

void* load() {
  const std::string name = fmt::format("libcublas.so.{}", CUBLAS_VER_MAJOR);
  std::string tried, reason;
  for (const fs::path& folder : folders()) {
    if (folder.empty()) {
      if (void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
      continue;
    }
    tried += fmt::format("{}{}", tried.empty() ? "" : ", ", folder.string());
    for (const char* subfolder : subfolders) {
      const fs::path file = folder / subfolder / name;
      std::error_code ignored;
      if (!fs::exists(file, ignored)) continue;
      if (void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
      reason = fmt::format(" ({})", dlerror());
    }
  }
  fail(
      "cannot load {} of cuBLAS, looked for in {}{}: expected it where the dynamic linker looks, or CSREFT_CUBLAS=DIR, "
      "the folder of a CUDA toolkit or of the installed wheel nvidia-cublas",
      name, tried, reason);
}

void* find(const char* function) {
  static void* const library = load();
  void* const found = dlsym(library, function);
  require(found != nullptr, "the cuBLAS that was loaded has no {}: expected version {}", function, CUBLAS_VER_MAJOR);
  return found;
}

template <typename Result, typename... Arguments>
Result call(void* function, Arguments... arguments) {
  return reinterpret_cast<Result (*)(Arguments...)>(function)(arguments...);
}

}  // namespace
}  // namespace csreft::cuda

using csreft::cuda::call;
using csreft::cuda::find;

cublasStatus_t cublasCreate_v2(cublasHandle_t* handle) {
  static void* const function = find("cublasCreate_v2");
  return call<cublasStatus_t>(function, handle);
}

cublasStatus_t cublasSetStream_v2(cublasHandle_t handle, cudaStream_t stream) {
  static void* const function = find("cublasSetStream_v2");
  return call<cublasStatus_t>(function, handle, stream);
}

cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t handle, void* workspace, size_t bytes) {
  static void* const function = find("cublasSetWorkspace_v2");
  return call<cublasStatus_t>(function, handle, workspace, bytes);
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  static void* const function = find("cublasSetMathMode");
  return call<cublasStatus_t>(function, handle, mode);
}

const char* cublasGetStatusString(cublasStatus_t status) {
  static void* const function = find("cublasGetStatusString");
  return call<const char*>(function, status);
}

cublasStatus_t cublasSgemm_v2(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                              int k, const float* alpha, const float* a, int lda, const float* b, int ldb,
                              const float* beta, float* c, int ldc) {
  static void* const function = find("cublasSgemm_v2");
  return call<cublasStatus_t>(function, handle, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

cublasStatus_t cublasDgemm_v2(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                              int k, const double* alpha, const double* a, int lda, const double* b, int ldb,
                              const double* beta, double* c, int ldc) {
  static void* const function = find("cublasDgemm_v2");
  return call<cublasStatus_t>(function, handle, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                            int k, const void* alpha, const void* a, cudaDataType Atype, int lda, const void* b,
                            cudaDataType Btype, int ldb, const void* beta, void* c, cudaDataType Ctype, int ldc,
                            cublasComputeType_t computeType, cublasGemmAlgo_t algorithm) {
  static void* const function = find("cublasGemmEx");
  return call<cublasStatus_t>(function, handle, transa, transb, m, n, k, alpha, a, Atype, lda, b, Btype, ldb, beta, c,
                              Ctype, ldc, computeType, algorithm);
}
