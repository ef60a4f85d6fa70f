#include "reft/router/gates/entries.h"

namespace csreft {

// alpha = one-hot of the example's task: a partition given by hand, task i to subspace i. No router.
const Gate onehot_gate{
    .name = "onehot",
    .summary = "one-hot of the example's task (manual partition): no router; generation needs --task",
    .source = GateSource::task,
    .competing = false,
    .apply = [](const GateInput& input) -> Gates {
      Tensor alpha = Tensor::zeros({input.examples, input.subspaces}, input.tensors);
      const Tensor ones = Tensor::full({input.examples, 1}, 1.0, input.tensors);
      std::vector<std::int32_t> places;
      for (std::size_t e = 0; e < input.tasks.size(); ++e) {
        require(input.tasks[e] >= 0 && input.tasks[e] < input.subspaces,
                "task {} has no subspace: expected at most {} tasks", input.tasks[e], input.subspaces);
        places.push_back(static_cast<std::int32_t>(e) * static_cast<std::int32_t>(input.subspaces) + input.tasks[e]);
      }
      ops::scatter_rows_(alpha.view({input.examples * input.subspaces, 1}), index_tensor(places), ones);
      return {Variable(alpha), {}};
    },
};

}  // namespace csreft
