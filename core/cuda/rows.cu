// Rows of a matrix: broadcast, summed, looked up, scattered, averaged over segments.
#include "core/cuda/columns.cuh"
#include "core/cuda/groups.h"
#include "core/cuda/ops.h"

namespace csreft::cuda {
namespace {

template <typename T>
struct AddRow {
  const T *x, *row;
  T* y;
  std::int64_t m;
  __device__ void operator()(std::int64_t i) const { y[i] = x[i] + row[i % m]; }
};
template <typename T>
struct MulRow {
  const T *x, *row;
  T* y;
  std::int64_t m;
  __device__ void operator()(std::int64_t i) const { y[i] = x[i] * row[i % m]; }
};
template <typename T>
struct Element {
  const T* x;
  std::int64_t m;
  __device__ T operator()(std::int64_t row, std::int64_t column) const { return x[row * m + column]; }
};
template <typename T>
struct GatherRows {
  const T* x;
  const std::int32_t* index;
  T* y;
  std::int64_t m;
  __device__ void operator()(std::int64_t i) const { y[i] = x[index[i / m] * m + i % m]; }
};

// Each row goes to another row of y, which may round its elements.
template <typename T, typename To>
struct PutRows {
  const T* rows;
  const std::int32_t* index;
  To* y;
  std::int64_t m;
  __device__ void operator()(std::int64_t i) const { y[index[i / m] * m + i % m] = static_cast<To>(rows[i]); }
};

// Rows on the device that go to one row of y, as group_by_value lists them.
struct DeviceGroups {
  const std::int32_t *values, *offsets, *places;
};

// The last of the rows that go to one row of y stays.
template <typename T, typename To>
struct ScatterRows {
  DeviceGroups groups;
  const T* rows;
  To* y;
  std::int64_t m;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t group = i / m, column = i % m;
    const std::int64_t last = groups.places[groups.offsets[group + 1] - 1];
    y[groups.values[group] * m + column] = static_cast<To>(rows[last * m + column]);
  }
};
template <typename T>
struct ScatterAddRows {
  DeviceGroups groups;
  const T* rows;
  T* y;
  std::int64_t m;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t group = i / m, column = i % m;
    T& target = y[groups.values[group] * m + column];
    T sum = target;
    for (std::int32_t at = groups.offsets[group]; at < groups.offsets[group + 1]; ++at) {
      sum += rows[groups.places[at] * m + column];
    }
    target = sum;
  }
};

// One thread block per row of y: x, plus rows[places[row]] where places[row] is not -1.
template <typename T>
__global__ void add_rows_kernel(const T* x, const std::int32_t* places, const T* rows, T* y, std::int64_t m) {
  const std::int64_t at = blockIdx.x * m, place = places[blockIdx.x];
  for (std::int64_t i = threadIdx.x; i < m; i += blockDim.x) {
    y[at + i] = place < 0 ? x[at + i] : x[at + i] + rows[place * m + i];
  }
}

template <typename T>
struct SegmentMean {
  const T* x;
  const std::int32_t* offsets;
  T* y;
  std::int64_t m;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t begin = offsets[i / m], end = offsets[i / m + 1];
    T sum = 0;
    for (std::int64_t row = begin; row < end; ++row) sum += x[row * m + i % m];
    y[i] = end > begin ? sum / static_cast<T>(end - begin) : T{0};
  }
};
// segments[row] is the segment that a row belongs to.
template <typename T>
struct SegmentMeanBackward {
  const T* dy;
  const std::int32_t *offsets, *segments;
  T* dx;
  std::int64_t m;
  __device__ void operator()(std::int64_t i) const {
    const std::int32_t s = segments[i / m];
    dx[i] = T{1} / static_cast<T>(offsets[s + 1] - offsets[s]) * dy[s * m + i % m];
  }
};

template <template <typename> typename Broadcast>
void broadcast(std::string_view op, const Tensor& x, const Tensor& row, const Tensor& y) {
  visit_real(x.dtype(), op, [&]<typename T>(T) {
    for_elements(context(y), y.numel(),
                 Broadcast<T>{elements<const T>(x), elements<const T>(row), elements<T>(y), x.cols()});
  });
}

// Runs scatter(groups)(i) for each element i of the rows of y that the index names.
template <typename Scatter>
void for_groups(const Tensor& index, const Tensor& rows, const Tensor& y, const Scatter& scatter) {
  if (rows.numel() == 0) return;
  Context& device = context(y);
  const Groups groups = group_by_value(index.span<std::int32_t>());
  const auto upload_list = [&](const std::vector<std::int32_t>& list) {
    return upload(device, std::span<const std::int32_t>(list));
  };
  const DeviceGroups on_device{upload_list(groups.values), upload_list(groups.offsets), upload_list(groups.places)};
  for_elements(device, static_cast<std::int64_t>(groups.values.size()) * rows.cols(), scatter(on_device));
}

template <typename T, typename To>
void scatter_rows_as(const Tensor& index, const Tensor& rows, const Tensor& y) {
  const auto* const from = elements<const T>(rows);
  auto* const to = elements<To>(y);
  if (index.device().type == DeviceType::cuda) {
    const auto* const places = elements<const std::int32_t>(index);
    return for_elements(context(y), rows.numel(), PutRows<T, To>{from, places, to, y.cols()});
  }
  for_groups(index, rows, y, [&](const DeviceGroups& groups) {
    return ScatterRows<T, To>{groups, from, to, y.cols()};
  });
}

}  // namespace

void add_row(const Tensor& x, const Tensor& row, const Tensor& y) { broadcast<AddRow>("add_row", x, row, y); }
void mul_row(const Tensor& x, const Tensor& row, const Tensor& y) { broadcast<MulRow>("mul_row", x, row, y); }

void sum_rows(const Tensor& x, const Tensor& y) {
  visit_real(x.dtype(), "sum_rows", [&]<typename T>(T) {
    sum_columns(context(x), x.rows(), x.cols(), Element<T>{elements<const T>(x), x.cols()}, elements<T>(y));
  });
}

void gather_rows(const Tensor& x, const Tensor& index, const Tensor& y) {
  Context& device = context(x);
  const auto* from = upload(device, index);
  visit_real(x.dtype(), "gather_rows", [&]<typename T>(T) {
    for_elements(device, y.numel(), GatherRows<T>{elements<const T>(x), from, elements<T>(y), x.cols()});
  });
}

void scatter_rows(const Tensor& index, const Tensor& rows, const Tensor& y) {
  if (y.dtype() == DType::bf16) return scatter_rows_as<float, __nv_bfloat16>(index, rows, y);
  visit_real(y.dtype(), "scatter_rows_", [&]<typename T>(T) { scatter_rows_as<T, T>(index, rows, y); });
}

void scatter_add_rows(const Tensor& index, const Tensor& rows, const Tensor& y) {
  visit_real(y.dtype(), "scatter_add_rows_", [&]<typename T>(T) {
    for_groups(index, rows, y, [&](const DeviceGroups& groups) {
      return ScatterAddRows<T>{groups, elements<const T>(rows), elements<T>(y), y.cols()};
    });
  });
}

void add_rows(const Tensor& x, const Tensor& index, const Tensor& rows, const Tensor& y) {
  if (x.numel() == 0) return;
  Context& device = context(x);
  std::vector<std::int32_t> places(static_cast<std::size_t>(x.rows()), -1);
  std::int32_t place = 0;
  for (const auto row : index.span<std::int32_t>()) places[static_cast<std::size_t>(row)] = place++;
  const auto* on_device = upload(device, std::span<const std::int32_t>(places));
  visit_real(x.dtype(), "add_rows", [&]<typename T>(T) {
    launch(add_rows_kernel<T>, row_grid(x.rows()), dim3(block_threads), 0, device.stream, elements<const T>(x),
           on_device, elements<const T>(rows), elements<T>(y), x.cols());
  });
}

void segment_mean(const Tensor& x, const Tensor& offsets, const Tensor& y) {
  Context& device = context(x);
  const auto* offset = upload(device, offsets);
  visit_real(x.dtype(), "segment_mean", [&]<typename T>(T) {
    for_elements(device, y.numel(), SegmentMean<T>{elements<const T>(x), offset, elements<T>(y), x.cols()});
  });
}

void segment_mean_backward(const Tensor& dy, const Tensor& offsets, const Tensor& dx) {
  Context& device = context(dy);
  std::vector<std::int32_t> segments(static_cast<std::size_t>(dx.rows()));
  const auto offset = offsets.span<std::int32_t>();
  for (std::size_t s = 0; s + 1 < offset.size(); ++s) {
    std::fill(segments.begin() + offset[s], segments.begin() + offset[s + 1], static_cast<std::int32_t>(s));
  }
  const auto* offsets_there = upload(device, offsets);
  const auto* segments_there = upload(device, std::span<const std::int32_t>(segments));
  visit_real(dy.dtype(), "segment_mean_backward", [&]<typename T>(T) {
    for_elements(
        device, dx.numel(),
        SegmentMeanBackward<T>{elements<const T>(dy), offsets_there, segments_there, elements<T>(dx), dy.cols()});
  });
}

}  // namespace csreft::cuda
