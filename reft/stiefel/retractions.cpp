#include "reft/stiefel/retractions.h"

#include <array>

#include "core/base/table.h"

namespace csreft {
namespace {

using enum ops::StiefelRetraction;

constexpr Retraction with_qr{"qr", "Q of R + xi = L Q, positive diagonal", retract_qr, qr};
constexpr Retraction with_polar{"polar", "the orthonormal matrix nearest to R + xi", retract_polar, polar};
constexpr Retraction with_cayley{"cayley", "Cayley transform, one r x r system", retract_cayley, cayley};

constexpr std::array table{&with_qr, &with_polar, &with_cayley};

}  // namespace

Tensor retract_qr(const Tensor& R, const Tensor& xi) { return ops::stiefel_retract(R, xi, R.rows(), qr); }

Tensor retract_polar(const Tensor& R, const Tensor& xi) { return ops::stiefel_retract(R, xi, R.rows(), polar); }

Tensor retract_cayley(const Tensor& R, const Tensor& xi) { return ops::stiefel_retract(R, xi, R.rows(), cayley); }

std::span<const Retraction* const> retractions() { return table; }

const Retraction& find_retraction(std::string_view name) { return find_named(retractions(), "retraction", name); }

}  // namespace csreft
