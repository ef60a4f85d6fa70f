// Matrix products by cuBLAS, whose matrices are column-major: a row-major matrix is the transpose of what it reads, so
// y^T = op(b)^T op(a)^T is asked for.
#include "core/cuda/check.h"
#include "core/cuda/context.h"
#include "core/cuda/ops.h"

namespace csreft::cuda {
namespace {

using ops::Transpose;

cublasOperation_t operation(Transpose t) { return t == Transpose::yes ? CUBLAS_OP_T : CUBLAS_OP_N; }

int extent(std::int64_t n) {
  require(n <= 0x7fffffff, "matmul: a matrix has an extent of {}, expected at most 2^31 - 1 on cuda", n);
  return static_cast<int>(n);
}

cublasStatus_t gemm(cublasHandle_t blas, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                    const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc) {
  const float one = 1;
  return cublasSgemm(blas, ta, tb, m, n, k, &one, a, lda, b, ldb, &beta, c, ldc);
}
cublasStatus_t gemm(cublasHandle_t blas, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                    const double* a, int lda, const double* b, int ldb, double beta, double* c, int ldc) {
  const double one = 1;
  return cublasDgemm(blas, ta, tb, m, n, k, &one, a, lda, b, ldb, &beta, c, ldc);
}

// y = x op(weight), or y += x op(weight), both of `type`; y and the sums are f32.
void multiply_rounded(const Tensor& x, const Tensor& weight, Transpose transpose_weight, cudaDataType type,
                      cublasComputeType_t compute, bool accumulate, const Tensor& y) {
  const std::int64_t m = y.rows(), n = y.cols(), k = x.cols();
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (!accumulate) fill(0, y);
    return;
  }
  const float one = 1, beta = accumulate ? 1 : 0;
  check(cublasGemmEx(context(y).blas, operation(transpose_weight), CUBLAS_OP_N, extent(n), extent(m), extent(k), &one,
                     weight.raw(), type, extent(weight.cols()), x.raw(), type, extent(k), &beta, y.raw(), CUDA_R_32F,
                     extent(n), compute, CUBLAS_GEMM_DEFAULT),
        "a matrix product by cuBLAS");
}

}  // namespace

void matmul(const Tensor& a, const Tensor& b, Transpose transpose_a, Transpose transpose_b, bool accumulate,
            const Tensor& y) {
  const std::int64_t m = y.rows(), n = y.cols(), k = transpose_a == Transpose::yes ? a.rows() : a.cols();
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (!accumulate) fill(0, y);
    return;
  }
  Context& device = context(y);
  visit_real(y.dtype(), "matmul", [&]<typename T>(T) {
    check(gemm(device.blas, operation(transpose_b), operation(transpose_a), extent(n), extent(m), extent(k),
               elements<const T>(b), extent(b.cols()), elements<const T>(a), extent(a.cols()), accumulate ? T{1} : T{0},
               elements<T>(y), extent(n)),
          "a matrix product by cuBLAS");
  });
}

void matmul_tf32(const Tensor& x, const Tensor& weight, Transpose transpose_weight, bool accumulate, const Tensor& y) {
  multiply_rounded(x, weight, transpose_weight, CUDA_R_32F, CUBLAS_COMPUTE_32F_FAST_TF32, accumulate, y);
}

void matmul_bf16(const Tensor& x, const Tensor& weight, Transpose transpose_weight, bool accumulate, const Tensor& y) {
  multiply_rounded(x.to(DType::bf16), weight, transpose_weight, CUDA_R_16BF, CUBLAS_COMPUTE_32F, accumulate, y);
}

}  // namespace csreft::cuda
