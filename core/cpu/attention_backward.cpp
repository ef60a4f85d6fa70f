// Gradients of attention (Dao et al. 2022, algorithm 4). With P = exp(S - lse), S = q k^T / sqrt(head_dim), and
// delta = rowsum(dout * out):
//   dv = P^T dout, dS = P * (dout v^T - delta), dq = dS k / sqrt(head_dim), dk = dS^T q / sqrt(head_dim).
// One thread owns a key/value head of a sequence, hence its rows of dk and dv and its queries' rows of dq: every sum
// has one fixed order.
#include <cmath>

#include <omp.h>

#include "core/cpu/attention_tiles.h"
#include "core/cpu/ops.h"

namespace csreft::cpu {
namespace {

template <typename T>
struct Operands {
  const T *dout, *q, *k, *v, *out, *lse;
  T *dq, *dk, *dv;
};

template <typename T>
struct Workspace {
  static std::int64_t elements(const AttentionShape& shape) {
    return shape.group * tile_queries * (3 * shape.head_dim + 2 * tile_keys + 2);
  }
  Workspace(T* memory, const AttentionShape& shape, std::int64_t rows)
      : q(matrix(memory, rows, shape.head_dim, shape.head_dim)),
        dq(matrix(q.data() + q.size(), rows, shape.head_dim, shape.head_dim)),
        dout(matrix(dq.data() + dq.size(), rows, shape.head_dim, shape.head_dim)),
        p(matrix(dout.data() + dout.size(), rows, tile_keys, tile_keys)),
        ds(matrix(p.data() + p.size(), rows, tile_keys, tile_keys)),
        delta(ds.data() + ds.size()),
        lse(delta + rows) {}

  MatrixMap<T> q, dq, dout, p, ds;
  T *delta, *lse;
};

// Loads q / sqrt(head_dim), dout, delta and lse of a tile.
template <typename T>
void load(const Operands<T>& x, const AttentionShape& shape, const QueryTile& tile, Workspace<T>& w) {
  stack(x.out, shape, tile, T{1}, w.q);
  stack(x.dout, shape, tile, T{1}, w.dout);
  for (std::int64_t row = 0; row < w.q.rows(); ++row) {
    w.delta[row] = w.q.row(row).dot(w.dout.row(row));
    const std::int64_t head = tile.kv_head * shape.group + row / tile.count;
    w.lse[row] = x.lse[(tile.first + row % tile.count) * shape.n_heads + head];
  }
  stack(x.q, shape, tile, T{1} / std::sqrt(static_cast<T>(shape.head_dim)), w.q);
  w.dq.setZero();
}

template <typename T>
void backward_tile(const Operands<T>& x, const AttentionShape& shape, const QueryTile& tile, T* memory) {
  const std::int64_t rows = shape.group * tile.count;
  Workspace<T> w(memory, shape, rows);
  load(x, shape, tile, w);
  for (std::int64_t key = 0; key < tile.keys(); key += tile_keys) {
    const std::int64_t keys = std::min(tile_keys, tile.keys() - key);
    const std::int64_t at = (tile.k_start + key) * shape.kv_stride + tile.kv_head * shape.head_dim;
    const auto k = matrix(x.k + at, keys, shape.head_dim, shape.kv_stride);
    const auto v = matrix(x.v + at, keys, shape.head_dim, shape.kv_stride);
    auto p = w.p.leftCols(keys);
    auto ds = w.ds.leftCols(keys);
    p.noalias() = w.q * k.transpose();
    ds.noalias() = w.dout * v.transpose();
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t visible = tile.visible(row % tile.count, key, keys);
      auto p_row = p.row(row).array();
      auto ds_row = ds.row(row).array();
      p_row.head(visible) = (p_row.head(visible) - w.lse[row]).exp();
      p_row.tail(keys - visible).setZero();
      ds_row = p_row * (ds_row - w.delta[row]);
    }
    matrix(x.dv + at, keys, shape.head_dim, shape.kv_stride).noalias() += p.transpose() * w.dout;
    matrix(x.dk + at, keys, shape.head_dim, shape.kv_stride).noalias() += ds.transpose() * w.q;
    w.dq.noalias() += ds * k;
  }
  w.dq *= T{1} / std::sqrt(static_cast<T>(shape.head_dim));
  unstack<T>(matrix<T>(static_cast<const T*>(w.dq.data()), rows, shape.head_dim, shape.head_dim), shape, tile, x.dq);
}

}  // namespace

void attention_backward(const Tensor& dout, const Tensor& q, const Tensor& k, const Tensor& v,
                        const ops::Attention& forward, const ops::AttentionLayout& layout,
                        const ops::AttentionHeads& heads, const Tensor& dq, const Tensor& dk, const Tensor& dv) {
  const AttentionShape shape(heads);
  const std::int64_t sequences = layout.q_offsets.numel() - 1;
  const auto* q_offset = layout.q_offsets.data<std::int32_t>();
  // Keys that no query sees have no gradient.
  fill(0, dk);
  fill(0, dv);
  visit_real(q.dtype(), "attention_backward", [&]<typename T>(T) {
    const Operands<T> x{dout.data<T>(),        q.data<T>(),  k.data<T>(),  v.data<T>(), forward.out.data<T>(),
                        forward.lse.data<T>(), dq.data<T>(), dk.data<T>(), dv.data<T>()};
    const Tensor memory = Tensor::empty({omp_get_max_threads(), Workspace<T>::elements(shape)}, q.dtype());
#pragma omp parallel for schedule(dynamic)
    for (std::int64_t unit = 0; unit < sequences * heads.n_kv_heads; ++unit) {
      T* mine = memory.data<T>() + omp_get_thread_num() * memory.cols();
      const std::int64_t s = unit / heads.n_kv_heads;
      for (std::int64_t begin = 0; begin < q_offset[s + 1] - q_offset[s]; begin += tile_queries) {
        backward_tile(x, shape, query_tile(layout, s, begin, unit % heads.n_kv_heads), mine);
      }
    }
  });
}

}  // namespace csreft::cpu
