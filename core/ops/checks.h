// Checks of a primitive's arguments. Each throws Error naming the primitive, the argument, and what was expected.
#pragma once

#include <string_view>

#include "core/ops/ops.h"

namespace csreft::checks {

// Defined, f32 or f64.
void real(std::string_view op, std::string_view name, const Tensor& t);
// The same, with two axes.
void real_matrix(std::string_view op, std::string_view name, const Tensor& t);
// Of this shape, with the element type and the device of `other`.
void like(std::string_view op, std::string_view name, const Tensor& t, const Shape& shape, const Tensor& other);
// i32 [n].
void index(std::string_view op, std::string_view name, const Tensor& t, std::int64_t n);
// The same, on the host or on the device of `other`.
void index_beside(std::string_view op, std::string_view name, const Tensor& t, std::int64_t n, const Tensor& other);
// Every element of an i32 tensor lies in [0, limit), if that is on the host.
void below(std::string_view op, std::string_view name, const Tensor& index, std::int64_t limit);
// No element of an i32 tensor on the host, all in [0, limit), is there twice.
void each_once(std::string_view op, std::string_view name, const Tensor& index, std::int64_t limit);
// i32, at least one element, rising from 0 to n.
void offsets(std::string_view op, std::string_view name, const Tensor& t, std::int64_t n);
// Throws Error unless temperature >= 0, top_k >= 0 and 0 < top_p <= 1.
void sampling(const ops::Sampling& sampling);

}  // namespace csreft::checks
