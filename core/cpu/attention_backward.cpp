// Gradients of attention (Dao et al. 2022, algorithm 4). With P = exp(S - lse), S = q k^T / sqrt(head_dim), and
// delta = rowsum(dout * out):
//   dv = P^T dout, dS = P * (dout v^T - delta), dq = dS k / sqrt(head_dim), dk = dS^T q / sqrt(head_dim).
// One thread owns a key/value head of a sequence, hence its rows of dk and dv and its queries' rows of dq: every sum
// has one fixed order.
#include <cmath>

#include <omp.h>

#include "core/cpu/attention_tiles.h"
#include "core/cpu/kernels.h"
#include "core/cpu/ops.h"

namespace csreft::cpu {
namespace {

template <typename T>
struct Operands {
  const T *dout, *q, *k, *v, *out, *lse;
  T *dq, *dk, *dv;
};

// Of a tile of queries; q is q / sqrt(head_dim).
template <typename T>
struct Workspace {
  static std::int64_t elements(const AttentionShape& shape) {
    return shape.group * tile_queries * (5 * shape.head_dim + 2 * tile_keys + 2);
  }
  Workspace(T* memory, const AttentionShape& shape, const QueryTile& tile)
      : rows(shape.group * tile.count),
        q(matrix(memory, rows, shape.head_dim, shape.head_dim)),
        dout(matrix(q.data() + q.size(), rows, shape.head_dim, shape.head_dim)),
        dq(matrix(dout.data() + q.size(), rows, shape.head_dim, shape.head_dim)),
        q_transposed(matrix(dq.data() + q.size(), shape.head_dim, rows, rows)),
        dout_transposed(matrix(q_transposed.data() + q.size(), shape.head_dim, rows, rows)),
        p(dout_transposed.data() + q.size()),
        ds(p + tile_keys * rows),
        delta(array(ds + tile_keys * rows, rows)),
        lse(array(delta.data() + rows, rows)) {}

  std::int64_t rows;
  MatrixMap<T> q, dout, dq;                    // [rows, head_dim]
  MatrixMap<T> q_transposed, dout_transposed;  // [head_dim, rows]
  T *p, *ds;                                   // [keys, rows]
  ArrayMap<T> delta, lse;
};

template <typename T>
void load(const Operands<T>& x, const AttentionShape& shape, const QueryTile& tile, Workspace<T>& w) {
  stack(x.out, shape, tile, T{1}, w.q);
  stack(x.dout, shape, tile, T{1}, w.dout);
  w.delta = (w.q.array() * w.dout.array()).rowwise().sum();
  for (std::int64_t row = 0; row < w.rows; ++row) w.lse[row] = x.lse[shape.element(tile, row)];
  stack(x.q, shape, tile, score_scale<T>(shape), w.q);
  w.q_transposed = w.q.transpose();
  w.dout_transposed = w.dout.transpose();
  w.dq.setZero();
}

// What the queries of a tile contribute to dk and dv, and their dq.
template <typename T>
void backward_tile(const Operands<T>& x, const AttentionShape& shape, const QueryTile& tile, T* memory) {
  Workspace<T> w(memory, shape, tile);
  load(x, shape, tile, w);
  const std::int64_t rows = w.rows, d = shape.head_dim, stride = shape.kv_stride;
  for (std::int64_t key = 0; key < tile.keys(); key += tile_keys) {
    const std::int64_t keys = std::min(tile_keys, tile.keys() - key), at = shape.key_at(tile, key);
    multiply<T>(keys, rows, d, {x.k + at, stride, 1}, w.q_transposed.data(), rows, false, w.p, rows);
    multiply<T>(keys, rows, d, {x.v + at, stride, 1}, w.dout_transposed.data(), rows, false, w.ds, rows);
    for (std::int64_t j = 0; j < keys; ++j) {
      auto p = array(w.p + j * rows, rows);
      p = (p - w.lse).exp();
    }
    mask(tile, shape.group, key, T{0}, matrix(w.p, keys, rows, rows));
    for (std::int64_t j = 0; j < keys; ++j) {
      auto ds = array(w.ds + j * rows, rows);
      ds = array(w.p + j * rows, rows) * (ds - w.delta);
    }
    multiply<T>(keys, d, rows, {w.p, rows, 1}, w.dout.data(), d, true, x.dv + at, stride);
    multiply<T>(keys, d, rows, {w.ds, rows, 1}, w.q.data(), d, true, x.dk + at, stride);
    multiply<T>(rows, d, keys, {w.ds, 1, rows}, x.k + at, stride, true, w.dq.data(), d);
  }
  w.dq *= score_scale<T>(shape);
  unstack(w.dq, shape, tile, x.dq);
}

}  // namespace

void attention_backward(const Tensor& dout, const Tensor& q, const Tensor& k, const Tensor& v,
                        const ops::Attention& forward, const ops::AttentionLayout& layout,
                        const ops::AttentionHeads& heads, const Tensor& dq, const Tensor& dk, const Tensor& dv) {
  const AttentionShape shape(heads);
  const std::int64_t sequences = layout.q_offsets.numel() - 1;
  const auto* q_offset = layout.q_offsets.data<std::int32_t>();
  const bool parallel = worth_threads(layout, heads);
  // Keys that no query sees have no gradient.
  fill(0, dk);
  fill(0, dv);
  visit_real(q.dtype(), "attention_backward", [&]<typename T>(T) {
    const Operands<T> x{dout.data<T>(),        q.data<T>(),  k.data<T>(),  v.data<T>(), forward.out.data<T>(),
                        forward.lse.data<T>(), dq.data<T>(), dk.data<T>(), dv.data<T>()};
    const Tensor memory = Tensor::empty({omp_get_max_threads(), Workspace<T>::elements(shape)}, q.dtype());
    T* const memories = memory.data<T>();
#pragma omp parallel for schedule(dynamic) if (parallel)
    for (std::int64_t unit = 0; unit < sequences * heads.n_kv_heads; ++unit) {
      T* mine = memories + omp_get_thread_num() * memory.cols();
      const std::int64_t s = unit / heads.n_kv_heads;
      for (std::int64_t begin = 0; begin < q_offset[s + 1] - q_offset[s]; begin += tile_queries) {
        backward_tile(x, shape, query_tile(layout, s, begin, unit % heads.n_kv_heads), mine);
      }
    }
  });
}

}  // namespace csreft::cpu
