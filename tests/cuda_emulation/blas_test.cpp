// Products of the emulated cuBLAS against sums written out.
#include <cmath>
#include <random>
#include <vector>

#include <cublas_v2.h>

#include "device_array.h"

using namespace csreft::emulation;

namespace {

struct Handle {
  cublasHandle_t blas = nullptr;
  Handle() { REQUIRE(cublasCreate(&blas) == CUBLAS_STATUS_SUCCESS); }
  ~Handle() { cublasDestroy(blas); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

template <typename T>
std::vector<T> random_values(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<T> out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(T(normal(random)));
  return out;
}

constexpr int m = 5, n = 3, k = 4, ld = 9;

// Element (i, j) of op(x), x column-major.
template <typename T>
double element(const std::vector<T>& x, bool transposed, int i, int j, std::size_t begin = 0) {
  return static_cast<double>(x[begin + static_cast<std::size_t>(transposed ? i * ld + j : j * ld + i)]);
}

template <typename T>
double expected(const std::vector<T>& a, bool ta, const std::vector<T>& b, bool tb, int i, int j,
                std::size_t begin = 0) {
  double sum = 0;
  for (int l = 0; l < k; ++l) sum += element(a, ta, i, l, begin) * element(b, tb, l, j, begin);
  return sum;
}

}  // namespace

TEST_CASE("products of f32 and f64, transposed or not, and what lies between columns is kept") {
  const Handle handle;
  const auto a = random_values<float>(ld * 5, 1), b = random_values<float>(ld * 5, 2),
             c = random_values<float>(ld * n, 3);
  const std::vector<double> a64(a.begin(), a.end()), b64(b.begin(), b.end()), c64(c.begin(), c.end());
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      const DeviceArray<float> da(a), db(b), dc(c);
      const DeviceArray<double> da64(a64), db64(b64), dc64(c64);
      const auto op = [](bool transposed) { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
      const float alpha = 2, beta = 0.5F;
      const double alpha64 = 2, beta64 = 0.5;
      REQUIRE(cublasSgemm(handle.blas, op(ta), op(tb), m, n, k, &alpha, da.data(), ld, db.data(), ld, &beta, dc.data(),
                          ld) == CUBLAS_STATUS_SUCCESS);
      REQUIRE(cublasDgemm(handle.blas, op(ta), op(tb), m, n, k, &alpha64, da64.data(), ld, db64.data(), ld, &beta64,
                          dc64.data(), ld) == CUBLAS_STATUS_SUCCESS);
      const auto y = dc.values();
      const auto y64 = dc64.values();
      for (int j = 0; j < n; ++j) {
        for (int i = 0; i < ld; ++i) {
          const auto at = static_cast<std::size_t>(j * ld + i);
          const double sum = 2 * expected(a, ta, b, tb, i % m, j) + 0.5 * c64[at];
          CHECK(y[at] == doctest::Approx(i < m ? sum : c64[at]).epsilon(1e-5));  // f32: 4 products
          CHECK(y64[at] == doctest::Approx(i < m ? sum : c64[at]).epsilon(1e-14));
        }
      }
    }
  }
}

TEST_CASE("with beta = 0 the old values are not read") {
  const Handle handle;
  const DeviceArray<float> a(random_values<float>(ld * k, 1)), b(random_values<float>(ld * n, 2)), c(ld * n);
  const float one = 1, zero = 0;
  REQUIRE(cublasSgemm(handle.blas, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &one, a.data(), ld, b.data(), ld, &zero, c.data(),
                      ld) == CUBLAS_STATUS_SUCCESS);
  const auto y = c.values();
  for (int i = 0; i < ld * n; ++i) CHECK(std::isnan(y[static_cast<std::size_t>(i)]) == (i % ld >= m));
}

TEST_CASE("bf16 factors, a batch, f32 and bf16 results") {
  const Handle handle;
  constexpr int batch = 2, stride = ld * 5;
  const auto a = random_values<__nv_bfloat16>(batch * stride, 1), b = random_values<__nv_bfloat16>(batch * stride, 2);
  const DeviceArray<__nv_bfloat16> da(a), db(b), dc16(batch * stride);
  const DeviceArray<float> dc(batch * stride);
  const float one = 1, zero = 0;
  REQUIRE(cublasGemmStridedBatchedEx(handle.blas, CUBLAS_OP_T, CUBLAS_OP_N, m, n, k, &one, da.data(), CUDA_R_16BF, ld,
                                     stride, db.data(), CUDA_R_16BF, ld, stride, &zero, dc.data(), CUDA_R_32F, ld,
                                     stride, batch, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(cublasGemmStridedBatchedEx(handle.blas, CUBLAS_OP_T, CUBLAS_OP_N, m, n, k, &one, da.data(), CUDA_R_16BF, ld,
                                     stride, db.data(), CUDA_R_16BF, ld, stride, &zero, dc16.data(), CUDA_R_16BF, ld,
                                     stride, batch, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
  const auto y = dc.values();
  const auto y16 = dc16.values();
  for (int e = 0; e < batch; ++e) {
    for (int j = 0; j < n; ++j) {
      for (int i = 0; i < m; ++i) {
        const auto begin = static_cast<std::size_t>(e * stride), at = begin + static_cast<std::size_t>(j * ld + i);
        const double sum = expected(a, true, b, false, i, j, begin);
        CHECK(y[at] == doctest::Approx(sum).epsilon(1e-5));
        CHECK(static_cast<double>(y16[at]) == doctest::Approx(sum).epsilon(0.004));  // 8 bits: half of 2^-7
      }
    }
  }
}

TEST_CASE("TF32 rounds factors to 10 bits, and only when asked") {
  const Handle handle;
  const float x = 1 + 0x1p-12F, one = 1, zero = 0;
  const DeviceArray<float> a(std::vector<float>{x}), c(1);
  const auto product = [&] {
    REQUIRE(cublasSgemm(handle.blas, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.data(), 1, a.data(), 1, &zero, c.data(),
                        1) == CUBLAS_STATUS_SUCCESS);
    return c.values()[0];
  };
  CHECK(product() == x * x);
  REQUIRE(cublasSetMathMode(handle.blas, CUBLAS_TF32_TENSOR_OP_MATH) == CUBLAS_STATUS_SUCCESS);
  CHECK(product() == 1);
}

TEST_CASE("a workspace that comes after the first product") {
  const Handle handle;
  const DeviceArray<float> a(std::vector<float>{2}), c(1);
  const DeviceArray<char> workspace(1024);
  const float one = 1, zero = 0;
  REQUIRE(cublasSetWorkspace(handle.blas, workspace.data(), 1024) == CUBLAS_STATUS_SUCCESS);
  REQUIRE(cublasSgemm(handle.blas, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.data(), 1, a.data(), 1, &zero, c.data(),
                      1) == CUBLAS_STATUS_SUCCESS);
  CHECK(run_and_report() == "");
  cublasSetWorkspace(handle.blas, workspace.data(), 1024);
  CHECK(run_and_report().find("cublasSetWorkspace after the handle's first product") != std::string::npos);
}

TEST_CASE("wrong leading dimensions, types, and matrices that reach past an allocation") {
  const Handle handle;
  const DeviceArray<float> a(random_values<float>(m * k, 1)), b(random_values<float>(k * n, 2)), c(m * n);
  const float one = 1, zero = 0;
  const auto product = [&](int lda, int ldb, int ldc) {
    return cublasSgemm(handle.blas, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &one, a.data(), lda, b.data(), ldb, &zero,
                       c.data(), ldc);
  };
  CHECK(product(m, k, m) == CUBLAS_STATUS_SUCCESS);
  CHECK(product(m - 1, k, m) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(product(m, k - 1, m) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(product(m, k, m - 1) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasGemmEx(handle.blas, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &one, a.data(), CUDA_R_32F, m, b.data(),
                     CUDA_R_16BF, k, &zero, c.data(), CUDA_R_32F, m, CUBLAS_COMPUTE_32F,
                     CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_NOT_SUPPORTED);
  CHECK(run_and_report() == "");
  CHECK(product(m + 1, k, m) == CUBLAS_STATUS_SUCCESS);
  CHECK(run_and_report().find("A (5 x 4, leading dimension 6, matrix 0 of the batch) is 92 bytes") !=
        std::string::npos);
}
