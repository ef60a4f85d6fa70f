// Distances between tensors, for tests.
#pragma once

#include "core/tensor/tensor.h"

// The largest |a - b| over all elements of two tensors of one shape, in double; infinite where a difference is no
// number. Throws csreft::Error for shapes that differ.
double largest_difference(const csreft::Tensor& a, const csreft::Tensor& b);

// The largest |x|; 0 for no elements.
double largest_element(const csreft::Tensor& x);
