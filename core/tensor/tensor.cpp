#include "core/tensor/tensor.h"

#include <algorithm>
#include <cstring>

#include "core/device/backend.h"

namespace csreft {
namespace {

// Equal shapes and types, any devices.
void copy_elements(const Tensor& from, const Tensor& to) {
  copy_bytes(to.raw(), to.device(), from.raw(), from.device(), from.bytes());
}

}  // namespace

Tensor Tensor::empty(Shape shape, DType dtype, Device device) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.device_ = device;
  const auto storage = backend_of(device).allocate(t.bytes(), device.index);
  t.data_ = storage.get();
  t.storage_ = storage;
  return t;
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  backend_of(device).set_zero(t.data_, t.bytes(), device.index);
  return t;
}

Tensor Tensor::full(Shape shape, double value, DType dtype, Device device) {
  if (dtype == DType::f32 || dtype == DType::f64) {
    Tensor t = empty(shape, dtype, device);
    backend_of(device).fill(value, t);
    return t;
  }
  Tensor t = empty(shape, dtype);
  if (dtype == DType::bf16) {
    std::ranges::fill(t.span<bfloat16>(), bfloat16(static_cast<float>(value)));
  } else {
    std::ranges::fill(t.span<std::int32_t>(), static_cast<std::int32_t>(value));
  }
  return t.to(device);
}

template <typename T>
Tensor Tensor::from(std::span<const T> values, Shape shape) {
  require(static_cast<std::int64_t>(values.size()) == shape.numel(), "{} values do not fill a tensor of shape {}",
          values.size(), shape.str());
  Tensor t = empty(shape, dtype_of<T>());
  if (!values.empty()) std::memcpy(t.data_, values.data(), t.bytes());
  return t;
}
template Tensor Tensor::from<float>(std::span<const float>, Shape);
template Tensor Tensor::from<bfloat16>(std::span<const bfloat16>, Shape);
template Tensor Tensor::from<double>(std::span<const double>, Shape);
template Tensor Tensor::from<std::int32_t>(std::span<const std::int32_t>, Shape);

Tensor Tensor::borrow(const void* data, Shape shape, DType dtype, std::shared_ptr<const void> owner) {
  Tensor t;
  t.storage_ = std::move(owner);
  // The handle gives write access to everything; a mapped file is read-only, and writing into it faults.
  t.data_ = const_cast<void*>(data);
  t.shape_ = shape;
  t.dtype_ = dtype;
  return t;
}

std::int64_t Tensor::rows() const {
  require(shape_.rank() == 2, "expected a matrix, got shape {}", shape_.str());
  return shape_[0];
}

std::int64_t Tensor::cols() const {
  require(shape_.rank() == 2, "expected a matrix, got shape {}", shape_.str());
  return shape_[1];
}

double Tensor::item() const {
  require(defined() && numel() == 1, "expected a tensor of one element, got shape {}", shape_.str());
  if (device_.type != DeviceType::cpu) return to(Device{}).item();
  return visit_real(dtype_, "item", [&]<typename T>(T) { return static_cast<double>(*data<T>()); });
}

Tensor Tensor::view(Shape shape) const {
  require(shape.numel() == numel(), "a tensor of shape {} cannot be viewed as {}", shape_.str(), shape.str());
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::slice(std::int64_t begin, std::int64_t end) const {
  require(shape_.rank() >= 1 && 0 <= begin && begin <= end && end <= shape_[0],
          "rows [{}, {}) do not lie in a tensor of shape {}", begin, end, shape_.str());
  const std::int64_t row = shape_[0] == 0 ? 0 : numel() / shape_[0];
  Tensor t = *this;
  switch (shape_.rank()) {
    case 1: t.shape_ = {end - begin}; break;
    case 2: t.shape_ = {end - begin, shape_[1]}; break;
    case 3: t.shape_ = {end - begin, shape_[1], shape_[2]}; break;
    default: t.shape_ = {end - begin, shape_[1], shape_[2], shape_[3]}; break;
  }
  t.data_ = static_cast<std::byte*>(data_) + static_cast<std::size_t>(begin * row) * size_of(dtype_);
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape_, dtype_, device_);
  copy_elements(*this, t);
  return t;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  require(dtype_ != DType::i32 && dtype != DType::i32, "a tensor of {} cannot become {}: expected f32, bf16 or f64",
          name_of(dtype_), name_of(dtype));
  Tensor t = empty(shape_, dtype, device_);
  backend_of(device_).cast(*this, t);
  return t;
}

Tensor Tensor::to(const Device& device) const {
  if (device == device_) return *this;
  Tensor t = empty(shape_, dtype_, device);
  copy_elements(*this, t);
  return t;
}

void Tensor::check_access(DType wanted) const {
  require(defined(), "an undefined tensor has no elements");
  require(wanted == dtype_, "a tensor of {} was read as {}", name_of(dtype_), name_of(wanted));
  require(device_.type == DeviceType::cpu, "a tensor on {} was read from the host", to_string(device_));
}

}  // namespace csreft
