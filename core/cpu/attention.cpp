// Causal grouped-query attention, forward: tiles of keys pass under a tile of queries while a running maximum and a
// running sum keep the softmax exact (Milakov and Gimelshein 2018; Dao et al. 2022).
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include <omp.h>

#include "core/cpu/attention_tiles.h"
#include "core/cpu/kernels.h"
#include "core/cpu/ops.h"

namespace csreft::cpu {
namespace {

template <typename T>
struct Operands {
  const T *q, *k, *v;
  T *out, *lse;
};

// What a thread needs for a tile of queries, in one piece of memory.
template <typename T>
struct Workspace {
  static std::int64_t elements(const AttentionShape& shape) {
    return shape.group * tile_queries * (2 * shape.head_dim + tile_keys + 3);
  }
  Workspace(T* memory, const AttentionShape& shape, const QueryTile& tile)
      : rows(shape.group * tile.count),
        out(matrix(memory, rows, shape.head_dim, shape.head_dim)),
        q(out.data() + out.size()),
        scores(q + out.size()),
        max(array(scores + tile_keys * rows, rows)),
        sum(array(max.data() + rows, rows)),
        correction(array(sum.data() + rows, rows)) {
    out.setZero();
    max.setConstant(-std::numeric_limits<T>::infinity());
    sum.setZero();
  }

  std::int64_t rows;
  MatrixMap<T> out;
  T *q, *scores;
  ArrayMap<T> max, sum, correction;  // of each row, so far
};

// Scores [keys, rows] become exponentials; what has been summed up is rescaled where the maximum grew.
template <typename T>
void exponentiate(const QueryTile& tile, const AttentionShape& shape, std::int64_t key, std::int64_t keys,
                  Workspace<T>& w) {
  const auto scores = matrix(w.scores, keys, w.rows, w.rows);
  mask(tile, shape.group, key, -std::numeric_limits<T>::infinity(), scores);
  w.correction = w.max;
  for (std::int64_t j = 0; j < keys; ++j) w.max = w.max.max(array(w.scores + j * w.rows, w.rows));
  w.correction = (w.correction - w.max).exp();
  w.sum *= w.correction;
  for (std::int64_t row = 0; row < w.rows; ++row) {
    if (w.correction[row] != T{1}) w.out.row(row) *= w.correction[row];
  }
  for (std::int64_t j = 0; j < keys; ++j) {
    auto seen = array(w.scores + j * w.rows, w.rows);
    seen = (seen - w.max).exp();
  }
  mask(tile, shape.group, key, T{0}, scores);
  for (std::int64_t j = 0; j < keys; ++j) w.sum += array(w.scores + j * w.rows, w.rows);
}

template <typename T>
void attend(const Operands<T>& x, const AttentionShape& shape, const QueryTile& tile, Workspace<T>& w) {
  for (std::int64_t g = 0; g < shape.group; ++g) {
    matrix(w.q, shape.head_dim, w.rows, w.rows).middleCols(g * tile.count, tile.count) =
        score_scale<T>(shape) * matrix(x.q + shape.at(tile, g), tile.count, shape.head_dim, shape.q_stride).transpose();
  }
  for (std::int64_t key = 0; key < tile.keys(); key += tile_keys) {
    const std::int64_t keys = std::min(tile_keys, tile.keys() - key);
    multiply<T>(keys, w.rows, shape.head_dim, {x.k + shape.key_at(tile, key), shape.kv_stride, 1}, w.q, w.rows, false,
                w.scores, w.rows);
    exponentiate(tile, shape, key, keys, w);
    multiply<T>(w.rows, shape.head_dim, keys, {w.scores, 1, w.rows}, x.v + shape.key_at(tile, key), shape.kv_stride,
                true, w.out.data(), shape.head_dim);
  }
}

// The same for so few rows that vectors run along a head's components and along the keys; scores are [rows, keys].
template <typename T>
void attend_few(const Operands<T>& x, const AttentionShape& shape, const QueryTile& tile, Workspace<T>& w) {
  stack(x.q, shape, tile, score_scale<T>(shape), matrix(w.q, w.rows, shape.head_dim, shape.head_dim));
  for (std::int64_t key = 0; key < tile.keys(); key += tile_keys) {
    const std::int64_t keys = std::min(tile_keys, tile.keys() - key);
    for (std::int64_t j = 0; j < keys; ++j) {
      dots(w.rows, x.k + shape.key_at(tile, key + j), w.q, shape.head_dim, shape.head_dim, w.scores + j, tile_keys);
    }
    for (std::int64_t row = 0; row < w.rows; ++row) {
      const std::int64_t visible = tile.visible(row % tile.count, key, keys);
      auto scores = array(w.scores + row * tile_keys, keys);
      auto seen = scores.head(visible);
      if (visible > 0) {
        const T max = std::max(w.max[row], seen.maxCoeff());
        const T correction = std::exp(w.max[row] - max);
        seen = (seen - max).exp();
        w.sum[row] = w.sum[row] * correction + seen.sum();
        w.out.row(row) *= correction;
        w.max[row] = max;
      }
      scores.tail(keys - visible).setZero();
    }
    multiply<T>(w.rows, shape.head_dim, keys, {w.scores, tile_keys, 1}, x.v + shape.key_at(tile, key), shape.kv_stride,
                true, w.out.data(), shape.head_dim);
  }
}

template <typename T>
void attend_tile(const Operands<T>& x, const AttentionShape& shape, const QueryTile& tile, T* memory) {
  Workspace<T> w(memory, shape, tile);
  if (w.rows <= max_dots) {
    attend_few(x, shape, tile, w);
  } else {
    attend(x, shape, tile, w);
  }
  for (std::int64_t row = 0; row < w.rows; ++row) {
    w.out.row(row) /= w.sum[row];
    x.lse[shape.element(tile, row)] = w.max[row] + std::log(w.sum[row]);
  }
  unstack(w.out, shape, tile, x.out);
}

// Every tile of queries. Those that see the most keys come first, so that the threads finish together.
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
  const bool parallel = worth_threads(layout, heads);
  visit_real(q.dtype(), "attention", [&]<typename T>(T) {
    const Operands<T> x{q.data<T>(), k.data<T>(), v.data<T>(), out.data<T>(), lse.data<T>()};
    const Tensor memory = Tensor::empty({omp_get_max_threads(), Workspace<T>::elements(shape)}, q.dtype());
    T* const memories = memory.data<T>();
#pragma omp parallel for schedule(dynamic) if (parallel)
    for (std::size_t i = 0; i < tiles.size(); ++i) {
      attend_tile(x, shape, tiles[i], memories + omp_get_thread_num() * memory.cols());
    }
  });
}

}  // namespace csreft::cpu
