// Rotary position embedding, components i and i + head_dim / 2 turned together.
#include <cmath>
#include <numbers>

#include "core/cpu/maps.h"
#include "core/cpu/ops.h"
#include "core/cpu/parallel.h"

namespace csreft::cpu {
namespace {

using Angles = Eigen::Array<double, Eigen::Dynamic, 1>;

// Cosines and sines of the angles. The angle is brought into [-pi, pi] in double: a float holds position * frequency
// only to about 1e-4 at position 2000.
template <typename T>
void turn(const Angles& angles, Eigen::Array<T, Eigen::Dynamic, 1>& cosine, Eigen::Array<T, Eigen::Dynamic, 1>& sine) {
  constexpr double turn = 2 * std::numbers::pi;
  const Eigen::Array<T, Eigen::Dynamic, 1> small = (angles - turn * (angles / turn).round()).template cast<T>();
  cosine = small.cos();
  sine = small.sin();
}

}  // namespace

void rope(const Tensor& x, const Tensor& positions, const Tensor& inverse_frequencies, bool inverse, const Tensor& y) {
  const std::int64_t m = x.cols(), half = inverse_frequencies.numel();
  const std::int64_t heads = m / (2 * half);
  const auto frequency = array<double>(inverse_frequencies.data<const double>(), half);
  const auto* position = positions.data<std::int32_t>();
  visit_real(x.dtype(), "rope", [&]<typename T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for_each_piece(x.rows(), std::max<std::int64_t>(1, piece_size / m), [&](std::int64_t begin, std::int64_t end) {
      Eigen::Array<T, Eigen::Dynamic, 1> cosine(half), sine(half);
      for (std::int64_t i = begin; i < end; ++i) {
        turn<T>(frequency * ((inverse ? -1.0 : 1.0) * position[i]), cosine, sine);
        for (std::int64_t head = 0; head < heads; ++head) {
          const std::int64_t at = i * m + head * 2 * half;
          const auto a = array(px + at, half);
          const auto b = array(px + at + half, half);
          array(py + at, half) = a * cosine - b * sine;
          array(py + at + half, half) = b * cosine + a * sine;
        }
      }
    });
  });
}

}  // namespace csreft::cpu
