// Matrix products of cuBLAS, by Eigen.
#include <Eigen/Core>
#include <algorithm>
#include <bit>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include <cublas_v2.h>
#include <fmt/format.h>

#include "block.h"
#include "memory.h"
#include "report.h"
#include "streams.h"

namespace csreft::emulation {

struct Blas {
  cudaStream_t stream = nullptr;
  cublasMath_t math = CUBLAS_DEFAULT_MATH;
  bool has_multiplied = false;
};

namespace {

struct Operand {
  const char* name;
  const void* data;
  cudaDataType type;
  int rows, cols, ld;  // as stored: column-major, `ld` elements from one column to the next
  long long stride;    // elements from one matrix of a batch to the next
};

struct Product {
  bool transpose_a, transpose_b, tf32;
  int m, n, k, batch;
  double alpha, beta;
  Operand a, b, c;
};

std::size_t size_of(cudaDataType type) {
  switch (type) {
    case CUDA_R_16BF: return 2;
    case CUDA_R_32F: return 4;
    case CUDA_R_64F: return 8;
  }
  return 0;
}

const std::byte* matrix(const Operand& x, int i) {
  return static_cast<const std::byte*>(x.data) + static_cast<long long>(size_of(x.type)) * x.stride * i;
}

// The emulation's address of one matrix; nullptr and a fault if the device does not have all of it.
std::byte* usable(const Operand& x, int i) {
  if (x.rows == 0 || x.cols == 0) return nullptr;
  const auto elements =
      static_cast<std::size_t>(x.cols - 1) * static_cast<std::size_t>(x.ld) + static_cast<std::size_t>(x.rows);
  const std::byte* const data = matrix(x, i);
  if (!device_memory().owns(data, elements * size_of(x.type))) {
    set_fault(cudaErrorIllegalAddress,
              fmt::format("a cuBLAS product: {} ({} x {}, leading dimension {}, matrix {} of the batch) is {}", x.name,
                          x.rows, x.cols, x.ld, i,
                          device_memory().contains(data)
                              ? fmt::format("{} bytes {}", elements * size_of(x.type), device_memory().describe(data))
                              : "in the host's memory"));
    return nullptr;
  }
  return const_cast<std::byte*>(device_memory().alias(data));
}

template <typename T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic>;
template <typename T>
using Strided = Eigen::Map<Matrix<T>, 0, Eigen::OuterStride<>>;

template <typename T>
Strided<T> mapped(std::byte* data, const Operand& x) {
  return {reinterpret_cast<T*>(data), x.rows, x.cols, Eigen::OuterStride<>(x.ld)};
}

// TF32 keeps 10 bits of a float's fraction.
float to_tf32(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if ((bits & 0x7f800000U) == 0x7f800000U) return x;
  return std::bit_cast<float>((bits + 0xfffU + (bits >> 13 & 1U)) & ~0x1fffU);
}

template <typename T>
Matrix<T> loaded(const Operand& x, std::byte* data, bool tf32) {
  if (x.type == CUDA_R_16BF) {
    return mapped<__nv_bfloat16>(data, x).unaryExpr([](__nv_bfloat16 v) { return static_cast<T>(float{v}); });
  }
  Matrix<T> out = mapped<T>(data, x);
  if constexpr (std::is_same_v<T, float>) {
    if (tf32) out = out.unaryExpr([](float v) { return to_tf32(v); });
  }
  return out;
}

template <typename A, typename B, typename Y>
void multiply(const Product& p, const A& a, const B& b, Y& product) {
  if (p.transpose_a && p.transpose_b) {
    product.noalias() = a.transpose() * b.transpose();
  } else if (p.transpose_a) {
    product.noalias() = a.transpose() * b;
  } else if (p.transpose_b) {
    product.noalias() = a * b.transpose();
  } else {
    product.noalias() = a * b;
  }
}

template <typename T>
void run(const Product& p, int i) {
  std::byte* const c = usable(p.c, i);
  if (c == nullptr) return;
  Matrix<T> product = Matrix<T>::Zero(p.m, p.n);
  if (p.k > 0) {
    std::byte *const a = usable(p.a, i), *const b = usable(p.b, i);
    if (a == nullptr || b == nullptr) return;
    if (p.a.type == CUDA_R_16BF || p.tf32) {
      multiply(p, loaded<T>(p.a, a, p.tf32), loaded<T>(p.b, b, p.tf32), product);
    } else {
      multiply(p, mapped<T>(a, p.a), mapped<T>(b, p.b), product);
    }
  }
  product *= static_cast<T>(p.alpha);
  if (p.beta != 0) product += static_cast<T>(p.beta) * loaded<T>(p.c, c, false);
  if (p.c.type == CUDA_R_16BF) {
    mapped<__nv_bfloat16>(c, p.c) = product.unaryExpr([](T v) { return __nv_bfloat16(v); });
  } else {
    mapped<T>(c, p.c) = product;
  }
}

cublasStatus_t enqueue_product(cublasHandle_t handle, cublasOperation_t transpose_a, cublasOperation_t transpose_b,
                               Product p, cublasComputeType_t compute) {
  const std::lock_guard lock(entrance());
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  p.transpose_a = transpose_a == CUBLAS_OP_T;
  p.transpose_b = transpose_b == CUBLAS_OP_T;
  if (p.m < 0 || p.n < 0 || p.k < 0 || p.batch < 0) return CUBLAS_STATUS_INVALID_VALUE;
  for (auto& [operand, rows, cols] :
       {std::tuple{&p.a, p.transpose_a ? p.k : p.m, p.transpose_a ? p.m : p.k},
        std::tuple{&p.b, p.transpose_b ? p.n : p.k, p.transpose_b ? p.k : p.n}, std::tuple{&p.c, p.m, p.n}}) {
    operand->rows = rows;
    operand->cols = cols;
    if (operand->ld < std::max(1, rows)) return CUBLAS_STATUS_INVALID_VALUE;
  }
  const bool f64 = compute == CUBLAS_COMPUTE_64F;
  const auto type = p.a.type;
  const bool supported = type == p.b.type && (type == CUDA_R_16BF ? !f64 && p.c.type != CUDA_R_64F
                                                                  : f64 == (type == CUDA_R_64F) && p.c.type == type);
  if (!supported) return CUBLAS_STATUS_NOT_SUPPORTED;
  p.tf32 = type == CUDA_R_32F && (compute == CUBLAS_COMPUTE_32F_FAST_TF32 ||
                                  (compute == CUBLAS_COMPUTE_32F && handle->math == CUBLAS_TF32_TENSOR_OP_MATH));
  ++started_kernels_so_far();
  handle->has_multiplied = true;
  const auto error = enqueue(handle->stream, [p, f64] {
    for (int i = 0; i < p.batch; ++i) {
      if (f64) {
        run<double>(p, i);
      } else {
        run<float>(p, i);
      }
    }
  });
  return result(error) == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

double scalar(const void* value, cublasComputeType_t compute) {
  return compute == CUBLAS_COMPUTE_64F ? *static_cast<const double*>(value) : *static_cast<const float*>(value);
}

}  // namespace
}  // namespace csreft::emulation

using namespace csreft::emulation;

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  *handle = new Blas;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  handle->math = mode;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void* workspace, std::size_t bytes) {
  const std::lock_guard lock(entrance());
  if (handle == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
  // No error on a device, where later products may be made by other algorithms than earlier ones.
  if (handle->has_multiplied) set_fault(cudaErrorInvalidValue, "cublasSetWorkspace after the handle's first product");
  return bytes == 0 || device_memory().owns(workspace, bytes) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

const char* cublasGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "an unknown status";
}
const char* cublasGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "the library was not initialized";
    case CUBLAS_STATUS_ALLOC_FAILED: return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE: return "an unsupported value or parameter was passed to the function";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return fault() != cudaSuccess ? fault_report().c_str() : "the function failed to launch on the GPU";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "the requested functionality is not supported";
  }
  return "an unknown status";
}

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t transpose_a, cublasOperation_t transpose_b, int m,
                           int n, int k, const float* alpha, const float* a, int lda, const float* b, int ldb,
                           const float* beta, float* c, int ldc) {
  return cublasGemmEx(handle, transpose_a, transpose_b, m, n, k, alpha, a, CUDA_R_32F, lda, b, CUDA_R_32F, ldb, beta, c,
                      CUDA_R_32F, ldc, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
}
cublasStatus_t cublasDgemm(cublasHandle_t handle, cublasOperation_t transpose_a, cublasOperation_t transpose_b, int m,
                           int n, int k, const double* alpha, const double* a, int lda, const double* b, int ldb,
                           const double* beta, double* c, int ldc) {
  return cublasGemmEx(handle, transpose_a, transpose_b, m, n, k, alpha, a, CUDA_R_64F, lda, b, CUDA_R_64F, ldb, beta, c,
                      CUDA_R_64F, ldc, CUBLAS_COMPUTE_64F, CUBLAS_GEMM_DEFAULT);
}
cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transpose_a, cublasOperation_t transpose_b, int m,
                            int n, int k, const void* alpha, const void* a, cudaDataType type_a, int lda, const void* b,
                            cudaDataType type_b, int ldb, const void* beta, void* c, cudaDataType type_c, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t algorithm) {
  return cublasGemmStridedBatchedEx(handle, transpose_a, transpose_b, m, n, k, alpha, a, type_a, lda, 0, b, type_b, ldb,
                                    0, beta, c, type_c, ldc, 0, 1, compute, algorithm);
}
cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t transpose_a,
                                          cublasOperation_t transpose_b, int m, int n, int k, const void* alpha,
                                          const void* a, cudaDataType type_a, int lda, long long stride_a,
                                          const void* b, cudaDataType type_b, int ldb, long long stride_b,
                                          const void* beta, void* c, cudaDataType type_c, int ldc, long long stride_c,
                                          int batch, cublasComputeType_t compute, cublasGemmAlgo_t) {
  if (alpha == nullptr || beta == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  return enqueue_product(handle, transpose_a, transpose_b,
                         {.transpose_a = {},
                          .transpose_b = {},
                          .tf32 = {},
                          .m = m,
                          .n = n,
                          .k = k,
                          .batch = batch,
                          .alpha = scalar(alpha, compute),
                          .beta = scalar(beta, compute),
                          .a = {"A", a, type_a, 0, 0, lda, stride_a},
                          .b = {"B", b, type_b, 0, 0, ldb, stride_b},
                          .c = {"C", c, type_c, 0, 0, ldc, stride_c}},
                         compute);
}
