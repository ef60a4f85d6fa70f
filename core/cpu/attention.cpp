// Causal grouped-query attention, forward: tiles of keys pass under a tile of queries while a running maximum and a
// running sum keep the softmax exact (Milakov and Gimelshein 2018; Dao et al. 2022).
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include <omp.h>

#include "core/cpu/attention_tiles.h"
#include "core/cpu/ops.h"

namespace csreft::cpu {
namespace {

// What a thread needs for one tile of queries, in one piece of memory.
template <typename T>
struct Workspace {
  static std::int64_t elements(const AttentionShape& shape) {
    return shape.group * tile_queries * (2 * shape.head_dim + tile_keys + 2);
  }
  Workspace(T* memory, const AttentionShape& shape, std::int64_t rows)
      : q(matrix(memory, rows, shape.head_dim, shape.head_dim)),
        out(matrix(q.data() + q.size(), rows, shape.head_dim, shape.head_dim)),
        scores(matrix(out.data() + out.size(), rows, tile_keys, tile_keys)),
        max(scores.data() + scores.size()),
        sum(max + rows) {}

  MatrixMap<T> q, out, scores;
  T *max, *sum;  // of each row, so far
};

// Scores of row i (its first `visible` ones) become exponentials; what the row has summed up so far is rescaled when
// the maximum grows.
template <typename T>
void exponentiate_row(Workspace<T>& w, std::int64_t row, std::int64_t visible, std::int64_t keys) {
  auto scores = w.scores.row(row).head(keys).array();
  if (visible > 0) {
    auto seen = scores.head(visible);
    const T max = std::max(w.max[row], seen.maxCoeff());
    seen = (seen - max).exp();
    const T correction = std::exp(w.max[row] - max);
    w.sum[row] = w.sum[row] * correction + seen.sum();
    if (correction != T{1}) w.out.row(row) *= correction;
    w.max[row] = max;
  }
  scores.tail(keys - visible).setZero();
}

template <typename T>
void attend(const QueryTile& tile, const AttentionShape& shape, const T* q, const T* k, const T* v, T* memory, T* out,
            T* lse) {
  const std::int64_t rows = shape.group * tile.count;
  Workspace<T> w(memory, shape, rows);
  stack(q, shape, tile, T{1} / std::sqrt(static_cast<T>(shape.head_dim)), w.q);
  w.out.setZero();
  std::fill_n(w.max, rows, -std::numeric_limits<T>::infinity());
  std::fill_n(w.sum, rows, T{0});

  for (std::int64_t key = 0; key < tile.keys(); key += tile_keys) {
    const std::int64_t keys = std::min(tile_keys, tile.keys() - key);
    const std::int64_t at = (tile.k_start + key) * shape.kv_stride + tile.kv_head * shape.head_dim;
    auto scores = w.scores.leftCols(keys);
    scores.noalias() = w.q * matrix(k + at, keys, shape.head_dim, shape.kv_stride).transpose();
    for (std::int64_t row = 0; row < rows; ++row) {
      exponentiate_row(w, row, tile.visible(row % tile.count, key, keys), keys);
    }
    w.out.noalias() += scores * matrix(v + at, keys, shape.head_dim, shape.kv_stride);
  }

  for (std::int64_t row = 0; row < rows; ++row) {
    w.out.row(row) /= w.sum[row];
    const std::int64_t head = tile.kv_head * shape.group + row / tile.count;
    lse[(tile.first + row % tile.count) * shape.n_heads + head] = w.max[row] + std::log(w.sum[row]);
  }
  unstack<T>(matrix<T>(static_cast<const T*>(w.out.data()), rows, shape.head_dim, shape.head_dim), shape, tile, out);
}

// Every tile of queries. The late tiles of a sequence see the most keys and come first, so that the threads finish
// together.
std::vector<QueryTile> query_tiles(const ops::AttentionLayout& layout, std::int64_t n_kv_heads) {
  const auto* q_offset = layout.q_offsets.data<std::int32_t>();
  std::vector<QueryTile> tiles;
  for (std::int64_t s = 0; s + 1 < layout.q_offsets.numel(); ++s) {
    for (std::int64_t begin = 0; begin < q_offset[s + 1] - q_offset[s]; begin += tile_queries) {
      for (std::int64_t head = 0; head < n_kv_heads; ++head) tiles.push_back(query_tile(layout, s, begin, head));
    }
  }
  std::ranges::stable_sort(tiles, std::ranges::greater{}, &QueryTile::keys);
  return tiles;
}

}  // namespace

void attention(const Tensor& q, const Tensor& k, const Tensor& v, const ops::AttentionLayout& layout,
               const ops::AttentionHeads& heads, const Tensor& out, const Tensor& lse) {
  const AttentionShape shape(heads);
  const auto tiles = query_tiles(layout, heads.n_kv_heads);
  visit_real(q.dtype(), "attention", [&]<typename T>(T) {
    const Tensor memory = Tensor::empty({omp_get_max_threads(), Workspace<T>::elements(shape)}, q.dtype());
#pragma omp parallel for schedule(dynamic) if (tiles.size() > 1)
    for (std::size_t i = 0; i < tiles.size(); ++i) {
      T* mine = memory.data<T>() + omp_get_thread_num() * memory.cols();
      attend(tiles[i], shape, q.data<const T>(), k.data<const T>(), v.data<const T>(), mine, out.data<T>(),
             lse.data<T>());
    }
  });
}

}  // namespace csreft::cpu
