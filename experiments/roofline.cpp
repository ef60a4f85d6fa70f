// What a training step of Llama-2-7B must take at least on two cards, by their data sheets: an estimate.
#include "experiments/measure/roofline.h"

#include "experiments/measure/random_llama.h"
#include "experiments/training/flag_groups.h"
#include "reft/methods/edit_sites.h"

namespace csreft {

int roofline(Arguments arguments) {
  TrainingStep step{.config = llama2_7b_shape()};
  std::int64_t rank = 4, subspaces = 4;
  constexpr std::int64_t router_hidden = 32;
  std::string layers = "3,9,18,24";

  Flags flags("roofline",
              "Estimates, from two cards' data sheets, the least time of each operation of a training step of "
              "Llama-2-7B with CS-ReFT. In Markdown.",
              {"./run roofline", "./run roofline --sequences 4 --length 512"});
  flags.group("Step");
  flags.add("--sequences", step.sequences, "sequences of a step");
  flags.add("--length", step.length, "tokens of each, of which half are the prompt");
  flags.group("Method");
  flags.add("--layers", layers, "edited blocks, 0-based");
  flags.add("--rank", rank, "rank r of each subspace");
  flags.add("--subspaces", subspaces, "number k of subspaces");
  if (!flags.parse(arguments)) return 0;
  require(step.sequences >= 1 && step.length >= 20,
          "{} x {} tokens make no step: expected sequences of 20 tokens or more", step.sequences, step.length);
  check_rank(rank, subspaces, step.config);
  begin_work();
  step.edited_layers = parse_layers(layers, step.config.n_layers);
  step.rank = rank * subspaces;
  const std::int64_t d = step.config.hidden_size, places = static_cast<std::int64_t>(step.edited_layers.size());
  const std::int64_t router = router_hidden * (d + 1) + subspaces * (router_hidden + 1);
  const std::int64_t orthonormal = places * step.rank * d;        // R
  step.adamw_parameters = places * step.rank * (d + 1) + router;  // W and b, and the router

  fmt::print(
      "## Roofline of a training step: an estimate\n\n`{}`. From data sheets, not measured: nothing here has run on a "
      "card.\n\nLlama-2-7B, frozen weights in bf16, CS-ReFT with k = {}, r = {}, layers {}, f5+l5 tied, {} trainable "
      "parameters; {} x {} tokens. A call takes at least the larger of its bytes over the memory's bandwidth and its "
      "FLOPs over the peak of their type, which stands in brackets; bf16: on tensor cores, with sums in f32. A real "
      "step "
      "takes longer: starting a kernel, what it reads twice, the router, the gradient's norm and the step on the "
      "Stiefel manifold are not counted, and few kernels reach a peak (attention here, by WMMA, cannot on an H100, "
      "whose peak is that of products of whole warp groups).\n\n{}",
      flags.command(), subspaces, rank, fmt::join(step.edited_layers, ", "), orthonormal + step.adamw_parameters,
      step.sequences, step.length, roofline_table(step));
  return 0;
}

}  // namespace csreft
