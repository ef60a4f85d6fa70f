// Which streams of the run's seed (core/tensor/random.h) are drawn from for what, so that no two uses share one.
#pragma once

#include <cstdint>

#include "reft/training_moment.h"

namespace csreft {

// The parameters of place i of a method: a layer and a group of positions, or a layer and a linear layer within it, in
// the order of the method's parameters. Stream i, far below the next.
constexpr std::uint64_t first_place_stream = 0;

// The router's weights: + 0 the first layer's, + 1 the second's.
constexpr std::uint64_t router_stream = 1U << 20U;

// The seeds of the clusters from which a router may start.
constexpr std::uint64_t kmeans_stream = router_stream + 2;

// The directions from which principal components are sought.
constexpr std::uint64_t principal_components_stream = router_stream + 3;

// The examples of training task t that are set apart for validation: + t.
constexpr std::uint64_t validation_stream = router_stream + (1U << 19U);

// The order of the training examples in epoch e of task i of a sequence (0 in a mixture): + i phase_shuffle_streams +
// e.
constexpr std::uint64_t epoch_shuffle_stream = 1U << 21U;
constexpr std::uint64_t phase_shuffle_streams = 1U << 16U;

// The parameters of place i that an intervention draws apart from R: + i most_intervention_parameters + the
// parameter's number.
constexpr std::uint64_t intervention_stream = std::uint64_t{1} << 32U;
constexpr std::uint64_t most_intervention_parameters = 8;

// What is drawn anew in each step of training: dropout at place i, or the noise of gates.
constexpr std::uint64_t dropout_stream = std::uint64_t{1} << 40U;
constexpr std::uint64_t gate_noise_stream = std::uint64_t{1} << 62U;

// The stream of step s (below 2^20 or so) and place i (below 2^24) from `first` on.
constexpr std::uint64_t stream_of_moment(std::uint64_t first, const TrainingMoment& moment, std::uint64_t place = 0) {
  return first + (static_cast<std::uint64_t>(moment.step) << 24U) + place;
}

}  // namespace csreft
