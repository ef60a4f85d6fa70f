// Writes a model of a known shape with random weights as a Hugging Face folder: size, speed and memory of a model that
// is not here.
#include <map>
#include <utility>

#include <fmt/ranges.h>

#include "core/tensor/random.h"
#include "experiments/cli/progress.h"
#include "experiments/training/flag_groups.h"
#include "models/checkpoints/hugging_face_writer.h"
#include "models/checkpoints/open_checkpoint.h"
#include "models/llama/known_shapes.h"
#include "models/text/load_tokenizer.h"

namespace csreft {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view own_tokenizer = "bytes";
// What transformers draws a new model from.
constexpr double deviation = 0.02;

Checkpoint random_source(const std::string& shape, std::int64_t layers, const std::string& tokenizer) {
  Checkpoint checkpoint;
  checkpoint.name = shape;
  checkpoint.path = shape;
  checkpoint.config = known_shape(shape);
  if (layers > 0) checkpoint.config.n_layers = layers;
  const auto [source, chat_template] =
      tokenizer == own_tokenizer ? TokenizerOrigin{byte_vocabulary(), ""} : open_tokenizer(model_path(tokenizer));
  checkpoint.tokenizer = source;
  checkpoint.chat_template = chat_template;
  const Tokenizer loaded = load_tokenizer(checkpoint);
  if (std::cmp_greater(loaded.vocab_size(), checkpoint.config.vocab_size)) {
    fmt::print(stderr,
               "note: the tokenizer {} has {} tokens and the shape {} {}: a text with one of the others is refused\n",
               tokenizer, loaded.vocab_size(), shape, checkpoint.config.vocab_size);
  }
  checkpoint.config.bos_token_id = loaded.bos();
  if (loaded.eos()) checkpoint.config.eos_token_ids = {*loaded.eos()};
  check_config(checkpoint.config, shape);
  return checkpoint;
}

void check_room(const fs::path& out, std::int64_t bytes) {
  fs::path place = fs::absolute(out);
  while (!fs::exists(place)) place = place.parent_path();
  const auto free = static_cast<double>(fs::space(place).available);
  require(
      static_cast<double>(bytes) < free,
      "{} does not fit: the weights need {:.1f} GB, {:.1f} GB are free there; expected another --out, --layers N or "
      "a narrower --dtype",
      out.string(), static_cast<double>(bytes) / 1e9, free / 1e9);
}

void write_random(const fs::path& out, const Checkpoint& source, const HuggingFaceWriteOptions& options,
                  std::uint64_t seed, bool quiet) {
  const auto bytes = static_cast<std::int64_t>(size_of(options.dtype));
  std::map<std::string, std::pair<Shape, std::uint64_t>> parameters;
  for (const auto& [name, shape] : parameter_shapes(source.config)) {
    parameters.emplace(name, std::pair(shape, parameters.size()));
  }
  Progress progress(source.name, weight_bytes(source.config, options.dtype), "MB", quiet);
  std::int64_t written = 0;
  write_hugging_face(
      out, source,
      [&](const std::string& name) {
        require(!interrupted(), "interrupted");
        progress.update(written, static_cast<double>(written) / 1e6);
        const auto& [shape, stream] = parameters.at(name);
        written += shape.numel() * bytes;
        if (name.ends_with("norm.weight")) return Tensor::full(shape, 1.0);
        return random_normal(shape, 0.0, deviation, seed, stream);
      },
      options);
  progress.update(written, static_cast<double>(written) / 1e6);
  progress.finish();
}

}  // namespace

int make_random(Arguments arguments) {
  std::string shape = "tiny", dtype = "bf16", out, tokenizer(own_tokenizer);
  std::int64_t layers = 0;
  std::uint64_t seed = 1;
  bool quiet = false;
  Flags flags("make-random",
              "Writes a model of a known shape with random weights as a Hugging Face folder: normal of deviation 0.02, "
              "norms 1. It says nothing sensible; its size, speed and memory are those of the real one.",
              {"./run make-random --shape llama2-7b --dtype bf16 --out llama2-7b-random",
               "./run make-random --shape qwen2-0.5b --tokenizer Qwen2-0.5B --out qwen2-random"});
  flags.add("--shape", shape, fmt::format("{}", fmt::join(known_shape_names(), ", ")));
  flags.add_path("--out", out, "the folder to write: new, or empty", "FOLDER");
  flags.add("--dtype", dtype, "type of the weights: f32, bf16 or f16");
  flags.add("--tokenizer", tokenizer,
            "whose tokenizer is copied: a model's folder, a tokenizer.json, a tokenizer.model, a GGUF, or smollm2; "
            "`bytes`: a token for each byte");
  flags.add("--layers", layers, "blocks, where not as many as the shape has; 0: as many");
  flags.add("--seed", seed, "which weights");
  flags.add_switch("--quiet", quiet, "no progress on stderr");
  if (!flags.parse(arguments)) return 0;
  require(!out.empty(), "there is no place for the model: expected --out FOLDER");
  require(layers >= 0, "--layers {} is not possible: expected 1 or more, or 0", layers);

  const HuggingFaceWriteOptions options{.dtype = parse_weight_type(dtype)};
  static_cast<void>(known_shape(shape));
  begin_work();
  const Checkpoint source = random_source(shape, layers, tokenizer);
  check_hugging_face_form(source);
  const auto bytes = weight_bytes(source.config, options.dtype);
  check_room(out, bytes);
  const InterruptGuard guard;
  try {
    write_random(out, source, options, seed, quiet);
  } catch (const Error&) {
    if (!interrupted()) throw;
    fmt::print("interrupted; nothing is left of {}\n", out);
    return interrupted_exit;
  }
  fmt::print("{}: {} with random weights, {} parameters in {}, {:.1f} MB\n", out, shape, parameter_count(source.config),
             dtype, static_cast<double>(bytes) / 1e6);
  return 0;
}

}  // namespace csreft
