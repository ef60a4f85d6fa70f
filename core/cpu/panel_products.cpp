#include "core/cpu/panel_products.h"

#include <algorithm>
#include <atomic>
#include <functional>

#include <dnnl.hpp>
#include <omp.h>

#include "core/base/threads.h"
#include "core/cpu/kernels.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {
namespace {

// How large pieces of n are of which each thread gets several: multiples of `unit`, and at most `most`.
std::int64_t piece_of(std::int64_t n, std::int64_t unit, std::int64_t most) {
  const std::int64_t wanted = std::min(most, n / (4 * threads()));
  return std::max<std::int64_t>(1, (wanted + unit - 1) / unit) * unit;
}

// Calls body(begin, end, panel) for pieces of [0, n), in parallel, where `panel` is room for `panel_size` floats;
// throws Error if one of them returns anything but oneDNN's success.
void for_panels(std::int64_t n, std::int64_t piece, std::int64_t panel_size,
                const std::function<dnnl_status_t(std::int64_t begin, std::int64_t end, float* panel)>& body) {
  const Tensor panels = Tensor::empty({omp_get_max_threads(), panel_size});
  std::atomic<dnnl_status_t> worst = dnnl_success;
  for_each_piece(n, piece, [&](std::int64_t begin, std::int64_t end) {
    const auto status = body(begin, end, panels.data<float>() + omp_get_thread_num() * panel_size);
    if (status != dnnl_success) worst = status;
  });
  require(worst == dnnl_success, "a product of {} rows failed in oneDNN with status {}: expected success", n,
          static_cast<int>(worst.load()));
}

}  // namespace

void multiply_panels(const Tensor& x, const StoredMatrix& w, const Tensor& y) {
  const std::int64_t n = x.rows(), in = w.cols(), out = w.rows();
  const float* px = x.data<float>();
  float* py = y.data<float>();
  const std::int64_t piece = piece_of(out, 48, 192);
  for_panels(out, piece, piece * in, [&](std::int64_t begin, std::int64_t end, float* panel) {
    w.decode(begin * in, end * in, panel);
    if (n > max_dots) return dnnl_sgemm('N', 'T', n, end - begin, in, 1.0F, px, in, panel, in, 0.0F, py + begin, out);
    for (std::int64_t o = begin; o < end; ++o) dots(n, panel + (o - begin) * in, px, in, in, py + o, out);
    return dnnl_success;
  });
}

void multiply_panels_transposed(const Tensor& y, const StoredMatrix& w, bool accumulate, const Tensor& sum) {
  constexpr std::int64_t tall = 256;
  const std::int64_t n = y.rows(), in = w.cols(), out = w.rows();
  const float* py = y.data<float>();
  float* psum = sum.data<float>();
  const std::int64_t piece = piece_of(in, std::max<std::int64_t>(64, w.encoding().block_elements), 384);
  for_panels(in, piece, tall * piece, [&](std::int64_t begin, std::int64_t end, float* panel) {
    const std::int64_t wide = end - begin;
    dnnl_status_t status = dnnl_success;
    for (std::int64_t row = 0; row < out && status == dnnl_success; row += tall) {
      const std::int64_t rows = std::min(tall, out - row);
      for (std::int64_t r = 0; r < rows; ++r) {
        w.decode((row + r) * in + begin, (row + r) * in + end, panel + r * wide);
      }
      status = dnnl_sgemm('N', 'N', n, wide, rows, 1.0F, py + row, out, panel, wide,
                          accumulate || row > 0 ? 1.0F : 0.0F, psum + begin, in);
    }
    return status;
  });
}

}  // namespace csreft::cpu
