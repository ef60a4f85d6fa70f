#include <algorithm>
#include <cmath>

#include "core/tensor/random.h"
#include "reft/random_streams.h"
#include "reft/router/router.h"

namespace csreft {
namespace {

// Straight-through Gumbel-softmax (arXiv 1611.01144): in training alpha = one-hot of the largest score + g, g Gumbel
// noise, with the gradient of softmax((scores + g) / t); t falls geometrically over the run. In evaluation alpha =
// one-hot of the largest score: no noise.
class GumbelGate final : public Gate {
 public:
  void describe(Options& options) override {
    options.add("temperature", temperature_, "temperature of the softmax at the first step", positive());
    options.add("last_temperature", last_temperature_, "temperature of the softmax at the last step", positive());
  }
  bool competes() const override { return true; }
  Gates apply(const GateInput& input) const override {
    const Variable p = softmax(input.scores);
    if (!input.training) return {straight_through(ops::top_k_rows(p.value(), 1), p), p};
    const TrainingMoment& moment = *input.training;
    const std::uint64_t stream = stream_of_moment(gate_noise_stream, moment);
    const auto first = static_cast<std::uint64_t>(input.first_row * input.gates);
    const Variable noise(random_gumbel({input.rows, input.gates}, moment.seed, stream, input.tensors, first));
    const double done =
        static_cast<double>(moment.step) / static_cast<double>(std::max<std::int64_t>(moment.total_steps - 1, 1));
    const double t = temperature_ * std::pow(last_temperature_ / temperature_, done);
    const Variable drawn = softmax(scale(add(input.scores, noise), 1.0 / t));
    return {straight_through(ops::top_k_rows(drawn.value(), 1), drawn), p};
  }

 private:
  double temperature_ = 1.0, last_temperature_ = 0.3;
};

}  // namespace

extern const ChoiceEntry<Gate> gumbel_gate;
const ChoiceEntry<Gate> gumbel_gate{"gumbel",
                                    "one-hot of a draw from the softmax, at a temperature that falls (Gumbel-softmax)",
                                    [] { return std::make_unique<GumbelGate>(); }};

}  // namespace csreft
