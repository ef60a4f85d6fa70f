#include "experiments/harness/flag_groups.h"

#include <algorithm>
#include <cstdlib>

#include "core/threads.h"
#include "experiments/harness/name_list.h"
#include "reft/presets.h"
#include "reft/router.h"

namespace csreft {

namespace {

std::string preset_lines() {
  std::string lines;
  for (const auto& p : presets()) {
    lines += fmt::format(
        "\n  {}: {}\n    (--gate {} --penalty {} --lambda {} --router-input {} {} --router-start {} --router-lr {})",
        p.name, p.summary, p.gate, p.penalty, p.lambda, p.router_input,
        p.router_norm ? "--router-norm" : "--no-router-norm", p.router_start, p.router_lr);
  }
  return lines;
}

}  // namespace

std::filesystem::path model_path(const std::string& model) {
  if (model != "smollm2") return model;
  const char* file = std::getenv("CSREFT_SMOLLM2");
  require(file != nullptr && *file != '\0',
          "the default model smollm2 is not here: expected its file in the variable CSREFT_SMOLLM2, which ./run sets");
  return file;
}

void ModelFlags::add_to(Flags& flags) {
  flags.group("Model");
  flags.add("--model", model, "a Hugging Face folder, a .gguf, a llama2.c .bin, or smollm2 (the default model)");
  flags.add("--chat-template", chat_template,
            "the form of prompts: " + names_of(chat_templates()) + "; empty: what the model's files call for");
  flags.add("--system", system, "a system message in front of every prompt");
  flags.add("--device", device, "where to compute: cpu");
  flags.add("--threads", threads, "threads to use; 0: one for each processor");
  flags.add_switch("--quiet", quiet, "no progress on stderr");
}

LanguageModel ModelFlags::load() const {
  set_threads(threads);
  static_cast<void>(parse_device(device));
  return load_language_model(model_path(model), chat_template);
}

std::vector<std::int64_t> spread_layers(std::int64_t n_layers) {
  std::vector<std::int64_t> layers;
  for (std::int64_t fifth = 1; fifth <= 4; ++fifth) {
    const std::int64_t layer = fifth * n_layers / 5;
    if (layers.empty() || layers.back() != layer) layers.push_back(layer);
  }
  return layers;
}

AdaptedModel load_adapted_model(const ModelFlags& model_flags, const std::string& adapter_folder, const Flags& flags) {
  AdaptedModel out{model_flags.load(), nullptr, model_flags.system};
  if (adapter_folder.empty()) return out;
  LoadedAdapter adapter = load_adapter(adapter_folder, out.model);
  out.method = std::move(adapter.method);
  if (!flags.given("--chat-template")) out.model.chat = &find_chat_template(adapter.context.chat_template);
  if (!flags.given("--system")) out.system = adapter.context.system;
  return out;
}

MethodFlags::MethodFlags() {
  double router_lr = 0.0;
  set_preset(presets().front(), options, router_lr);
}

void MethodFlags::add_to(Flags& flags) {
  MethodOptions& o = options;
  flags.group("Method");
  flags.add("--method", o.method, names_of(methods()));
  flags.add("--layers", layers,
            "edited blocks, 0-based: numbers such as 6,12,18,24, all, or auto (four, evenly spread)");
  flags.add("--rank", o.rank, "rank r of each subspace, or of LoRA's matrices");
  flags.add("--positions", o.positions, "edited tokens of a prompt: f5+l5, f5, l5, all, or a list 0,3,-1");
  flags.add_switch("--tied", o.tied, "one set of parameters for all positions; without, one for each end");
  flags.group("CS-ReFT");
  flags.add("--preset", preset, "settings that belong together; empty: what suits --gate" + preset_lines());
  flags.add("--subspaces", o.subspaces, "number k of subspaces");
  flags.add_switch("--joint", o.joint, "all subspaces orthogonal to each other: R_i R_j^T = 0");
  flags.add("--gate", o.gate, "how the router's scores become gates: " + summaries_of(gates()));
  flags.add("--penalty", o.penalty, "Omega of the gates: " + summaries_of(penalties()));
  flags.add("--lambda", o.lambda, "weight of the penalty in the loss");
  flags.add("--router-input", o.router_input, "what the router reads: " + summaries_of(router_inputs()));
  flags.add("--router-layer", o.router_layer, "the block that --router-input hidden reads; -1: below the first edit");
  flags.add("--router-hidden", o.router_hidden, "hidden width of the router (the paper's is half of the model's)");
  flags.add_switch("--router-norm,!--no-router-norm", o.router_norm,
                   "standardise the router's input by the training prompts");
  flags.add("--router-start", o.router_start, "where its weights start: " + summaries_of(router_starts()));
  flags.group("LoRA");
  flags.add("--lora-alpha", o.lora_alpha, "scale: updates are multiplied by alpha / rank");
  flags.add("--targets", targets, "linear layers that are updated");
}

// What was not given is the preset's.
void MethodFlags::apply_preset(const Flags& flags, MethodOptions& out, double& router_lr) const {
  const Preset& chosen = preset.empty() ? preset_of_gate(options.gate) : find_preset(preset);
  const double given_router_lr = router_lr;
  set_preset(chosen, out, router_lr);
  if (flags.given("--gate")) out.gate = options.gate;
  if (flags.given("--penalty")) out.penalty = options.penalty;
  if (flags.given("--lambda")) out.lambda = options.lambda;
  if (flags.given("--router-input")) out.router_input = options.router_input;
  if (flags.given("--router-norm")) out.router_norm = options.router_norm;
  if (flags.given("--router-start")) out.router_start = options.router_start;
  if (flags.given("--router-lr")) router_lr = given_router_lr;
  // No penalty is no weight, and no weight no penalty, where the other of the two was left to the preset.
  if (out.penalty == "none" && !flags.given("--lambda")) out.lambda = 0.0;
  if (out.lambda == 0.0 && !flags.given("--penalty")) out.penalty = "none";
}

MethodOptions MethodFlags::parsed(const LlamaConfig& config, const Flags& flags, double& router_lr,
                                  std::span<const Task> tasks) const {
  const MethodEntry& entry = find_method(options.method);
  for (const std::string flag :
       {"--rank", "--positions", "--tied", "--subspaces", "--joint", "--preset", "--router-input", "--router-layer",
        "--router-hidden", "--router-norm", "--router-start", "--router-lr", "--gate", "--penalty", "--lambda",
        "--lora-alpha", "--targets"}) {
    require(!flags.given(flag) || std::ranges::count(entry.flags, flag) == 1,
            "{} means nothing to --method {}: expected one of {}", flag, entry.name, fmt::join(entry.flags, ", "));
  }
  MethodOptions out = options;
  if (out.method == "csreft") {
    apply_preset(flags, out, router_lr);
    if (needs_task(out)) out.tasks = task_stems(tasks);
  }
  out.layers = layers == "auto" ? spread_layers(config.n_layers) : parse_layers(layers);
  out.targets = split_commas(targets);
  return out;
}

void add_train_flags(Flags& flags, TrainOptions& o) {
  flags.group("Training");
  flags.add("--batch", o.batch, "examples in an optimizer step");
  flags.add("--epochs", o.epochs, "passes over the training data");
  flags.add("--steps", o.max_steps, "stop after this many steps; 0: all of them");
  flags.add("--lr", o.lr, "largest learning rate");
  flags.add("--router-lr", o.router_lr, "learning rate of the router, as a multiple of --lr");
  flags.add("--stiefel-lr", o.stiefel_lr,
            "learning rate of the orthonormal R, as a multiple of --lr (a Riemannian step has the length lr in all)");
  flags.add("--warmup", o.warmup, "share of the steps over which the rate rises; then it falls to 0, linearly");
  flags.add("--clip", o.clip, "largest norm of the gradient; 0: no clipping");
  flags.add("--weight-decay", o.weight_decay, "AdamW's weight decay");
  flags.add("--optimizer", o.optimizer, names_of(optimizer_rules()));
  flags.add("--retraction", o.retraction, names_of(retractions()));
  flags.add("--max-length", o.max_length, "tokens at which a training example is cut");
  flags.add("--tokens-per-pass", o.tokens_per_pass, "a batch with more tokens is computed in several passes");
  flags.add("--seed", o.seed, "of initial values and the order of examples");
}

}  // namespace csreft
