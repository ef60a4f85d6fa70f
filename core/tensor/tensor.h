// A contiguous, row-major array with reference-counted storage.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/device/device.h"
#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"

namespace csreft {

// What a tensor's elements are and where they lie. A bare DType stands for elements on the host.
struct TensorOptions {
  TensorOptions(DType type = DType::f32, Device where = {}) : dtype(type), device(where) {}

  DType dtype;
  Device device;
};

// A handle: copies share storage, as in NumPy and PyTorch, and a const Tensor still gives access to its elements.
// Whoever writes into elements must own them: ops.h marks its writing functions with a trailing underscore.
class Tensor {
 public:
  // An undefined tensor: no storage, shape [], defined() is false.
  Tensor() = default;

  // Uninitialised elements.
  static Tensor empty(Shape shape, DType dtype = DType::f32, Device device = {});
  static Tensor zeros(Shape shape, DType dtype = DType::f32, Device device = {});
  static Tensor full(Shape shape, double value, DType dtype = DType::f32, Device device = {});
  static Tensor empty(Shape shape, const TensorOptions& o) { return empty(shape, o.dtype, o.device); }
  static Tensor zeros(Shape shape, const TensorOptions& o) { return zeros(shape, o.dtype, o.device); }
  static Tensor full(Shape shape, double value, const TensorOptions& o) {
    return full(shape, value, o.dtype, o.device);
  }
  // Copies host values. Throws Error unless values.size() is the shape's number of elements.
  template <typename T>
  static Tensor from(std::span<const T> values, Shape shape);
  // Read-only elements in memory that `owner` keeps alive (a memory-mapped file). `data` must be aligned for `dtype`.
  static Tensor borrow(const void* data, Shape shape, DType dtype, std::shared_ptr<const void> owner);

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  const Device& device() const { return device_; }
  TensorOptions options() const { return {dtype_, device_}; }
  std::int64_t numel() const { return shape_.numel(); }
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype_); }
  // Extents of a matrix. Throw Error unless the rank is 2.
  std::int64_t rows() const;
  std::int64_t cols() const;

  // The elements in host memory. Throw Error for another element type or for a tensor on another device.
  template <typename T>
  T* data() const {
    check_access(dtype_of<T>());
    return static_cast<T*>(raw());
  }
  template <typename T>
  std::span<T> span() const {
    return {data<T>(), static_cast<std::size_t>(numel())};
  }
  // The first element's address on the tensor's own device.
  void* raw() const { return data_; }
  // The only element of a tensor of any real type with one element, as a double; on a device, this waits for the work
  // that makes it. Throws Error otherwise.
  double item() const;

  // The same elements under another shape. Throws Error if the number of elements differs.
  Tensor view(Shape shape) const;
  // Rows [begin, end) of the first axis: a view.
  Tensor slice(std::int64_t begin, std::int64_t end) const;
  // A copy with storage of its own.
  Tensor clone() const;
  // A copy in another element type (itself if it is the same): f32, bf16 and f64 among each other.
  Tensor to(DType dtype) const;
  // A copy on another device (itself if it is the same). Waits for the work that makes the elements when they go to
  // the host.
  Tensor to(const Device& device) const;
  // Both.
  Tensor to(const TensorOptions& o) const { return to(o.dtype).to(o.device); }

  // True if no other tensor shares the storage, so that writing into it is seen by no one else.
  bool unique() const { return storage_.use_count() == 1; }
  bool shares_storage_with(const Tensor& other) const { return storage_ == other.storage_; }

 private:
  void check_access(DType wanted) const;

  std::shared_ptr<const void> storage_;
  void* data_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::f32;
  Device device_;
};

}  // namespace csreft
