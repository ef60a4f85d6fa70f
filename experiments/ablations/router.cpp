// What decides which subspaces a prompt is edited in: the task's label, a router that specialises, the paper's router,
// nothing, or the first token; beside one subspace of the same size and LoRA of about that size. Nothing else differs:
// every edit has LoReFT's formula (arXiv 2404.03592, eq. 2), and starts as the identity.
#include "experiments/ablations/ablation.h"

namespace csreft {
namespace {

std::vector<Variant> router_variants(const AblationBase& given) {
  AblationBase base = given;
  base.method["edit"] = "loreft";
  const Variant learned = csreft_variant(base, "learned");
  return {csreft_variant(base, "manual", {{"gate", "onehot"}, {"tasks", task_stems(base.tasks)}}),
          learned,
          csreft_variant(base, "sigmoid", {}, "paper"),
          csreft_variant(base, "ones", {{"gate", "ones"}}),
          csreft_variant(base, "first_token", {{"router_input", "first_token"}}, "paper"),
          single_variant(base, "loreft", total_rank(base)),
          lora_variant(base, "lora", learned)};
}

}  // namespace

extern const Ablation router_ablation;
const Ablation router_ablation{
    .name = "router",
    .summary =
        "who decides a prompt's subspaces\n"
        "    manual: the task's label; learned: the router of preset specialised; sigmoid: that of preset paper;\n"
        "    ones: nobody; first_token: as in the paper's code; loreft: one subspace of rank r k; lora: of about as\n"
        "    many parameters",
    .reason =
        "Which subspaces a prompt is edited in is decided by the task's label (manual), by a router whose gates "
        "compete "
        "(learned), by the paper's router of independent sigmoids (sigmoid), by nobody, so that all are open (ones), "
        "or "
        "by the first token's embedding, as in the paper's released code, which is the same for every prompt of a chat "
        "template (first_token). Beside them stand one subspace of the total rank (loreft), and LoRA of about as many "
        "parameters (lora). All edits have LoReFT's formula and start as the identity. Each variant has the learning "
        "rate of one list with which its first seed did best on examples that it did not learn from.",
    .variants = router_variants,
    .reference = [](const std::string&) { return std::string("loreft"); },
    .rates = "5e-4,2e-3,4e-3,8e-3",
};

}  // namespace csreft
