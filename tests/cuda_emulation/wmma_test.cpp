// bf16 and the matrix products of a warp.
#include <random>
#include <vector>

#include <mma.h>

#include "core/cuda/launch.h"
#include "device_array.h"

using csreft::cuda::launch;
using namespace csreft::emulation;
namespace wmma = nvcuda::wmma;

namespace {

constexpr unsigned size = 16;

template <typename LayoutA, typename LayoutB>
__global__ void multiply(const __nv_bfloat16* a, const __nv_bfloat16* b, float* y) {
  wmma::fragment<wmma::matrix_a, 16, 16, 16, __nv_bfloat16, LayoutA> left;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, __nv_bfloat16, LayoutB> right;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
  wmma::fill_fragment(sum, 1.0F);
  wmma::load_matrix_sync(left, a, size);
  wmma::load_matrix_sync(right, b, size);
  wmma::mma_sync(sum, left, right, sum);
  for (int i = 0; i < sum.num_elements; ++i) sum.x[i] *= 2;
  wmma::store_matrix_sync(y, sum, size, wmma::mem_row_major);
}

__global__ void transpose(const float* x, float* y) {
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> values;
  wmma::load_matrix_sync(values, x, size, wmma::mem_row_major);
  wmma::store_matrix_sync(y, values, size, wmma::mem_col_major);
}

__global__ void load_by_half_a_warp(const float* x) {
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> values;
  if (threadIdx.x < 16) wmma::load_matrix_sync(values, x, size, wmma::mem_row_major);
}
__global__ void load_from(const float* x, unsigned stride) {
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> values;
  wmma::load_matrix_sync(values, x, stride, wmma::mem_row_major);
}

std::vector<__nv_bfloat16> random_matrix(unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<__nv_bfloat16> out;
  for (unsigned i = 0; i < size * size; ++i) out.emplace_back(normal(random));
  return out;
}

}  // namespace

TEST_CASE("products of fragments in all layouts") {
  const auto a = random_matrix(1), b = random_matrix(2);
  const DeviceArray<__nv_bfloat16> da(a), db(b);
  const auto check = [&](auto* kernel, bool a_by_columns, bool b_by_columns) {
    const DeviceArray<float> y(size * size);
    launch(kernel, dim3(1), dim3(32), 0, nullptr, da.data(), db.data(), y.data());
    const auto values = y.values();
    for (unsigned i = 0; i < size; ++i) {
      for (unsigned j = 0; j < size; ++j) {
        double sum = 1;
        for (unsigned l = 0; l < size; ++l) {
          sum += double{a[a_by_columns ? l * size + i : i * size + l]} *
                 double{b[b_by_columns ? j * size + l : l * size + j]};
        }
        CHECK(values[i * size + j] == doctest::Approx(2 * sum).epsilon(1e-5));  // f32: 16 products
      }
    }
  };
  check(multiply<wmma::row_major, wmma::row_major>, false, false);
  check(multiply<wmma::row_major, wmma::col_major>, false, true);
  check(multiply<wmma::col_major, wmma::row_major>, true, false);
  check(multiply<wmma::col_major, wmma::col_major>, true, true);
}

TEST_CASE("sums are loaded and stored in both layouts") {
  std::vector<float> x;
  for (unsigned i = 0; i < size * size; ++i) x.push_back(static_cast<float>(i));
  const DeviceArray<float> from(x), to(size * size);
  launch(transpose, dim3(1), dim3(32), 0, nullptr, from.data(), to.data());
  const auto y = to.values();
  for (unsigned i = 0; i < size * size; ++i) CHECK(y[i % size * size + i / size] == x[i]);
}

TEST_CASE("fragments without the whole warp, or of matrices that a device refuses") {
  const DeviceArray<float> x(size * size + 64);
  const auto found = [](auto start) {
    start();
    return run_and_report();
  };
  CHECK(found([&] {
          launch(load_by_half_a_warp, dim3(1), dim3(32), 0, nullptr, x.data());
        }).find("wmma::load_matrix_sync at") != std::string::npos);
  CHECK(found([&] { launch(load_from, dim3(1), dim3(32), 0, nullptr, x.data() + 1, size); }).find("aligned") !=
        std::string::npos);
  CHECK(found([&] { launch(load_from, dim3(1), dim3(32), 0, nullptr, x.data(), size + 1); }).find("16 bytes apart") !=
        std::string::npos);
}

TEST_CASE("bf16 is rounded to nearest, ties to even") {
  CHECK(float{__nv_bfloat16(1.0F)} == 1);
  CHECK(float{__nv_bfloat16(1 + 0x1p-8F)} == 1);            // half way: to the even neighbour
  CHECK(float{__nv_bfloat16(1 + 0x3p-8F)} == 1 + 0x4p-8F);  // half way: to the even neighbour
  CHECK(float{__nv_bfloat16(1 + 0x1p-8F + 0x1p-20F)} == 1 + 0x1p-7F);
  CHECK(float{__nv_bfloat16(1 + 0x1p-8 + 0x1p-40)} == 1 + 0x1p-7F);  // a double that is not half way
  CHECK(float{__nv_bfloat16(-3.0)} == -3);
  CHECK(std::isnan(float{__nv_bfloat16(std::nanf(""))}));
  CHECK(std::isinf(float{__nv_bfloat16(3.4e38F)}));
}
