// Writes a model with a LoRA adapter merged into its weights as a Hugging Face folder.
#include "core/base/json_file.h"
#include "experiments/training/flag_groups.h"
#include "experiments/training/run_list.h"
#include "models/checkpoints/open_checkpoint.h"
#include "models/llama/fingerprint.h"
#include "reft/adapter.h"
#include "reft/adapters/merge_lora.h"
#include "reft/adapters/peft.h"

namespace csreft {
namespace {

namespace fs = std::filesystem;

// Throws Error for an adapter that is not a change of weights, the same for every token, and for one of another model.
void check_mergeable(const fs::path& folder, const Checkpoint& checkpoint) {
  if (!fs::exists(folder / "adapter.json")) return;
  const AdapterDescription description = read_adapter_description(folder);
  const MethodOptions& method = description.method;
  const auto positions = find_json<std::string>(method.values, "positions", folder.string()).value_or("everywhere");
  require(
      is_peft_folder(folder) && positions == "everywhere",
      "{} cannot be merged: it is an adapter of method {} at positions {}; expected method lora alone, at positions "
      "everywhere, which alone adds the same matrices to the weights for every token",
      folder.string(), method.method, positions);
  const auto saved = find_json<std::string>(description.base_model, "fingerprint", folder.string());
  if (!saved) return;
  const Fingerprint own = fingerprint(checkpoint);
  require(own.is(*saved),
          "{} belongs to another model: its fingerprint is {}, that of {} is {}; expected --model with the one it was "
          "trained on",
          (folder / "adapter.json").string(), *saved, checkpoint.name, own.text());
}

}  // namespace

int merge(Arguments arguments) {
  std::string model(default_model), adapter_path, out, dtype = "f32";
  Flags flags("merge",
              "Writes a model with a LoRA adapter merged into its weights, W + scale B A, as a Hugging Face folder. "
              "It loads here by --model and in transformers, and needs no adapter.",
              {"./run merge --adapter runs/train-20260101-120000 --out merged",
               "./run merge --model Llama-2-7b-hf --adapter peft-adapter --out merged --dtype bf16",
               "./run evaluate --model merged --test sentiment.test.json"});
  flags.add("--model", model, "a Hugging Face folder, a .gguf, a llama2.c .bin, or smollm2 (the default model)");
  flags.add_path("--adapter", adapter_path,
                 "a LoRA of Python's peft, or the folder of a run with such an adapter; `last`: the "
                 "newest run in runs/",
                 "FOLDER");
  flags.add_path("--out", out, "the folder to write: new, or empty", "FOLDER");
  flags.add("--dtype", dtype, "type of the written weights: f32, bf16 or f16; sums are f32");
  if (!flags.parse(arguments)) return 0;
  require(!adapter_path.empty(), "there is no adapter: expected --adapter FOLDER");
  adapter_path = resolve_last(adapter_path);
  require(!out.empty(), "there is no place for the merged model: expected --out FOLDER");

  const HuggingFaceWriteOptions options{.dtype = parse_weight_type(dtype)};
  require(fs::is_directory(adapter_path),
          "adapter folder {} does not exist: expected a folder of Python's peft, or of a run with --method lora",
          adapter_path);
  begin_work();
  const auto folder = adapter_folder(adapter_path);
  const Checkpoint checkpoint = open_checkpoint(model_path(model));
  check_mergeable(folder, checkpoint);
  const LoraAdapter adapter = read_peft(folder, checkpoint.config);
  merge_lora(out, checkpoint, adapter, options);
  if (!fs::exists(folder / "adapter.json")) {
    fmt::print(stderr, "note: {}\n", unknown_model_note(folder, checkpoint.name));
  }
  fmt::print("{}: {} in {}, with LoRA merged into {} linear layers\n", out, checkpoint.name, dtype,
             adapter.modules.size());
  return 0;
}

}  // namespace csreft
