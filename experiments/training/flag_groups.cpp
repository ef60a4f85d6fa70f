#include "experiments/training/flag_groups.h"

#include <algorithm>
#include <cstdlib>

#include "core/base/threads.h"
#include "core/base/whole_number.h"
#include "experiments/cli/name_list.h"
#include "reft/presets.h"
#include "reft/router/router.h"
#include "reft/stiefel/manifold.h"

namespace csreft {

namespace {

std::string preset_lines() {
  std::string lines;
  MethodOptions options;
  double router_lr = 0.0;
  for (const auto& preset : presets()) {
    lines += fmt::format("\n  {}: {}\n    (", preset.name, preset.summary);
    std::vector<std::string> flags;
    for_each_setting(preset, options, router_lr, [&]<typename T>(std::string_view flag, const T& value, auto&) {
      if constexpr (std::is_same_v<T, bool>) {
        flags.push_back(value ? std::string(flag) : fmt::format("--no-{}", flag.substr(2)));
      } else {
        flags.push_back(fmt::format("{} {}", flag, value));
      }
    });
    lines += fmt::format("{})", fmt::join(flags, " "));
  }
  return lines;
}

}  // namespace

std::filesystem::path model_path(const std::string& model) {
  if (model != default_model) return model;
  const char* file = std::getenv("CSREFT_SMOLLM2");
  require(file != nullptr && *file != '\0',
          "the default model smollm2 is not here: expected its file in the variable CSREFT_SMOLLM2, which ./run and a "
          "bundle set");
  require(std::filesystem::exists(file), "the default model smollm2 is not at {}: expected its file there, or {}", file,
          "CSREFT_SMOLLM2=FILE, or another by --model");
  return file;
}

void ModelFlags::add_to(Flags& flags) {
  flags.group("Model");
  flags.add("--model", model, "a Hugging Face folder, a .gguf, a llama2.c .bin, or smollm2 (the default model)");
  flags.add("--chat-template", chat_template,
            "the form of prompts: " + names_of(chat_templates()) + "; empty: what the model's files call for");
  flags.add("--system", system, "a system message in front of every prompt");
  flags.add(
      "--weights", weights,
      "frozen weights: f32; bf16 (half the memory; faster where the processor multiplies bf16); or tf32 (f32 whose "
      "products are TF32's, with 10 bits of the fraction: faster, on cuda alone)");
  flags.add("--device", device, "where to compute: cpu, cuda, or cuda:N (in a build with CUDA)");
  flags.add("--threads", threads, "threads to use; 0: one for each processor");
  flags.add_switch("--quiet", quiet, "no progress on stderr");
}

LanguageModel ModelFlags::load() const {
  set_threads(threads);
  require(weights == "f32" || weights == "bf16" || weights == "tf32",
          "unknown weights '{}': expected f32, bf16 or tf32", weights);
  const Device where = parse_device(device);
  require(weights != "tf32" || where.type == DeviceType::cuda,
          "--weights tf32 needs --device cuda: the processor has no TF32, expected f32 or bf16");
  const Weights held = weights == "bf16"   ? Weights::frozen_bf16
                       : weights == "tf32" ? Weights::frozen_tf32
                                           : Weights::frozen;
  return load_language_model(model_path(model), chat_template, held, where);
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
  if (adapter_folder.empty()) {
    require(!flags.given("--task"), "--task has no effect without --adapter");
    return out;
  }
  // The folder of a run serves as well as the adapter in it.
  std::filesystem::path folder = adapter_folder;
  if (std::filesystem::exists(folder / "adapter" / "adapter.json")) folder /= "adapter";
  LoadedAdapter adapter = load_adapter(folder, out.model);
  out.method = std::move(adapter.method);
  require(!flags.given("--task") || out.method->needs_task(),
          "--task has no effect: the gates of {} are not decided by the task", adapter_folder);
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
  flags.add("--preset", preset,
            "settings that belong together; empty: what suits --gate and --penalty" + preset_lines());
  flags.add("--subspaces", o.subspaces, "number k of subspaces");
  flags.add_switch("--joint", o.joint, "all subspaces orthogonal to each other: R_i R_j^T = 0");
  flags.add("--gate", o.gate, "how the router's scores become gates:" + summaries_of(gates()));
  flags.add("--penalty", o.penalty, "Omega of the gates:" + summaries_of(penalties()));
  flags.add("--lambda", o.lambda, "weight of the penalty in the loss");
  flags.add("--router-input", o.router_input, "what the router reads:" + summaries_of(router_inputs()));
  flags.add("--router-layer", o.router_layer,
            "the block that --router-input hidden reads; -1: the one below the first edit");
  flags.add("--router-hidden", o.router_hidden, "hidden width of the router (the paper's is half of the model's)");
  flags.add_switch("--router-norm,!--no-router-norm", o.router_norm,
                   "standardise the router's input by the training prompts");
  flags.add("--router-start", o.router_start, "where its weights start:" + summaries_of(router_starts()));
  flags.group("LoRA");
  flags.add("--lora-alpha", o.lora_alpha, "scale: updates are multiplied by alpha / rank");
  flags.add("--targets", targets, "linear layers that are updated");
}

// What was not given is the preset's.
void MethodFlags::apply_preset(const Flags& flags, MethodOptions& out, double& router_lr) const {
  const std::string penalty = flags.given("--penalty") ? options.penalty : "none";
  const Preset& chosen = preset.empty() ? preset_for(options.gate, penalty) : find_preset(preset);
  for_each_setting(chosen, out, router_lr, [&](std::string_view flag, const auto& value, auto& setting) {
    if (!flags.given(std::string(flag))) setting = value;
  });
  // No penalty is no weight, and no weight no penalty, where the other of the two was left to the preset.
  if (out.penalty == "none" && !flags.given("--lambda")) out.lambda = 0.0;
  if (out.lambda == 0.0 && !flags.given("--penalty")) out.penalty = "none";
  if (find_gate(out.gate).source == GateSource::router) return;
  for (const char* flag :
       {"--router-input", "--router-layer", "--router-hidden", "--router-norm", "--router-start", "--router-lr"}) {
    require(!flags.given(flag), "{} means nothing to --gate {}, which asks no router", flag, out.gate);
  }
}

MethodOptions MethodFlags::parsed(const LlamaConfig& config, const Flags& flags, double& router_lr,
                                  std::span<const Task> tasks) const {
  const MethodEntry& entry = find_method(options.method);
  for (const auto* other : methods()) {
    for (const std::string_view flag : other->flags) {
      require(!flags.given(std::string(flag)) || std::ranges::count(entry.flags, flag) == 1,
              "{} means nothing to --method {}: expected one of {}", flag, entry.name, fmt::join(entry.flags, ", "));
    }
  }
  MethodOptions out = options;
  const bool has_router = std::ranges::count(entry.flags, "--preset") == 1;
  if (has_router) {
    apply_preset(flags, out, router_lr);
  } else {
    double none = 0.0;
    set_preset(find_preset("paper"), out, none);  // no trace of a router in the adapter of a method without one
  }
  if (has_router && find_gate(out.gate).source == GateSource::task) out.tasks = task_stems(tasks);
  out.layers = layers == "auto" ? spread_layers(config.n_layers) : parse_layers(layers);
  out.targets = split_commas(targets);
  return out;
}

std::string MethodFlags::departures(const MethodOptions& parsed, double router_lr) const {
  std::string flags;
  if (preset.empty()) return flags;
  for_each_setting(find_preset(preset), parsed, router_lr,
                   [&](std::string_view flag, const auto& value, const auto& setting) {
                     if (setting != value) flags += fmt::format("{}{}", flags.empty() ? "" : ", ", flag);
                   });
  return flags;
}

void SizeFlags::add_to(Flags& flags, EvaluationOptions& evaluation) {
  flags.add(
      "--examples", examples,
      "training examples of each task, the first of its file: a number, or one a task as 400,200,100,50; empty: all");
  flags.add("--tests", evaluation.max_examples, "test examples of each task, the first of its file; 0: all");
}

void SizeFlags::apply(std::vector<Task>& train, const EvaluationOptions& evaluation) const {
  require(evaluation.max_examples >= 0, "--tests {} is not possible: expected 0 (all) or more",
          evaluation.max_examples);
  if (examples.empty()) return;
  const auto parts = split_commas(examples);
  require(parts.size() == 1 || parts.size() == train.size(),
          "--examples {} has {} numbers for {} tasks: expected one, or one for each", examples, parts.size(),
          train.size());
  for (std::size_t t = 0; t < train.size(); ++t) {
    const std::size_t n = parse_whole_number<std::size_t>(parts[parts.size() == 1 ? 0 : t]).value_or(0);
    require(n >= 1, "--examples '{}' is not understood: expected numbers of 1 or more such as 250 or 400,200,100,50",
            examples);
    if (train[t].examples.size() > n) train[t].examples.resize(n);
  }
}

void add_train_flags(Flags& flags, TrainOptions& o) {
  flags.group("Training");
  flags.add("--batch", o.batch, "examples in an optimizer step");
  flags.add("--epochs", o.epochs, "passes over the training data");
  flags.add("--steps", o.max_steps, "stop after this many steps; 0: all of them");
  flags.add("--lr", o.lr, "largest learning rate");
  flags.add("--router-lr", o.router_lr, "learning rate of the router, as a multiple of --lr")
      ->default_str("the preset's");
  flags.add("--stiefel-lr", o.stiefel_lr,
            "learning rate of the orthonormal R, as a multiple of --lr (a Riemannian step has the length lr in all)");
  flags.add("--warmup", o.warmup, "share of the steps over which the rate rises; then it falls to 0, linearly");
  flags.add("--beta2", o.beta2, "decay of Adam's second moments");
  flags.add("--clip", o.clip, "largest norm of the gradient; 0: no clipping");
  flags.add("--weight-decay", o.weight_decay, "AdamW's weight decay");
  flags.add("--optimizer", o.optimizer, names_of(optimizer_rules()));
  flags.add("--retraction", o.retraction, names_of(retractions()));
  flags.add("--max-length", o.max_length, "tokens at which a training example is cut");
  flags.add("--tokens-per-pass", o.tokens_per_pass, "a batch with more tokens is computed in several passes");
  flags.add("--seed", o.seed, "of initial values and the order of examples");
}

}  // namespace csreft
