#include "reft/stiefel/manifold.h"

#include <array>

#include "core/base/table.h"

namespace csreft {
namespace {

constexpr std::array metric_table{
    Metric{"euclidean", "of the surrounding space; gradient G - sym(G R^T) R", ops::StiefelMetric::euclidean},
    Metric{"canonical", "of the quotient of rotations; gradient G - R G^T R", ops::StiefelMetric::canonical},
};

// Another retraction is a line here, and its formula a case of core/cpu/stiefel.cpp and of core/cuda/stiefel.cu.
constexpr std::array retraction_table{
    Retraction{"qr", "Q of R + xi = L Q, positive diagonal", ops::StiefelRetraction::qr},
    Retraction{"polar", "the orthonormal matrix nearest to R + xi", ops::StiefelRetraction::polar},
    Retraction{"cayley", "Cayley transform, one r x r system", ops::StiefelRetraction::cayley},
};

}  // namespace

std::span<const Metric> metrics() { return metric_table; }

std::span<const Retraction> retractions() { return retraction_table; }

Manifold find_manifold(std::string_view metric, std::string_view retraction) {
  return {find_named(metrics(), "metric", metric).metric,
          find_named(retractions(), "retraction", retraction).retraction};
}

}  // namespace csreft
