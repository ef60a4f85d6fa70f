#include "reft/adapters/peft.h"

#include <map>

#include <nlohmann/json.hpp>

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/folder.h"
#include "core/tensor/safetensors.h"
#include "reft/adapters/peft_config.h"

namespace csreft {
namespace {

namespace fs = std::filesystem;

constexpr const char* config_name = "adapter_config.json";
constexpr const char* tensors_name = "adapter_model.safetensors";

// [out, in] of every linear layer's weight, by the module's name.
std::map<std::string, Shape> module_shapes(const LlamaConfig& config) {
  constexpr std::string_view suffix = ".weight";
  std::map<std::string, Shape> shapes;
  for (const auto& [name, shape] : parameter_shapes(config)) {
    if (shape.rank() == 2) shapes.emplace(name.substr(0, name.size() - suffix.size()), shape);
  }
  return shapes;
}

std::string tensor_name(const std::string& module, const char* matrix) {
  return fmt::format("base_model.model.{}.lora_{}.weight", module, matrix);
}

// The name that write_peft gives a matrix. Files may leave "base_model.model." away, or "model." before "layers." (LoRA
// of the model without its head), and keep the adapter's own name, such as "default", before ".weight" (peft before
// 0.4).
std::string written_name(std::string name) {
  constexpr std::string_view wrapper = "base_model.model.", ending = ".weight";
  if (name.starts_with(wrapper)) name.erase(0, wrapper.size());
  if (name.starts_with("layers.")) name.insert(0, "model.");
  for (const std::string_view matrix : {".lora_A", ".lora_B"}) {
    const auto found = name.rfind(matrix);
    if (found == name.npos || !name.ends_with(ending)) continue;
    const auto end = found + matrix.size(), own_name = name.size() - ending.size();
    if (end < own_name && name.rfind('.', own_name - 1) == end) name.erase(end, own_name - end);
  }
  return fmt::format("{}{}", wrapper, name);
}

// The names that the file has, by those that write_peft gives. Throws Error for two names of one matrix.
std::map<std::string, std::string> stored_names(const SafeTensors& file) {
  std::map<std::string, std::string> names;
  for (const auto& name : file.names()) {
    const auto [found, is_new] = names.emplace(written_name(name), name);
    require(is_new, "{}: tensors {} and {} are one matrix: expected one adapter", file.path().string(), found->second,
            name);
  }
  return names;
}

// The tensors of a file under the names that write_peft gives, taken one by one.
struct PeftTensors {
  const SafeTensors& file;
  std::map<std::string, std::string> left;

  Tensor take(const std::string& name, const Shape& shape) {
    const auto where = file.path().string();
    const auto stored = left.extract(name);
    require(!stored.empty(), "{}: tensor {} is missing: expected shape {}", where, name, shape.str());
    const auto& own_name = stored.mapped();
    require(file.shape(own_name) == shape, "{}: tensor {} has shape {}: expected {}", where, own_name,
            file.shape(own_name).str(), shape.str());
    const auto dtype = file.dtype(own_name);
    require(dtype == DType::f32 || dtype == DType::bf16, "{}: tensor {} is {}: expected F32, F16 or BF16", where,
            own_name, name_of(dtype));
    return file.get(own_name).to(DType::f32);
  }
};

// What a tensor that no module has is, by its name.
std::string_view kind_of(std::string_view name) {
  if (name.find("lora_embedding_") != name.npos) return "LoRA of an embedding";
  if (name.find("lora_magnitude_vector") != name.npos) return "DoRA's magnitude";
  if (name.find("lora_") != name.npos) return "LoRA of a layer that adapter_config.json does not name";
  return "no part of LoRA";
}

void check_places(const PeftConfig& config) {
  for (const char* module : {"lm_head", "model.embed_tokens"}) {
    require(!is_target(config, module), "{}: target_modules names {}: expected linear layers of the blocks, such as {}",
            config.source, module, "q_proj and v_proj");
  }
}

LoraModule read_module(const PeftConfig& config, PeftTensors& tensors, std::int64_t layer, LinearSite site,
                       const Shape& weight) {
  const auto module = module_name(layer, site);
  const auto rank = rank_of(config, module);
  return {.layer = layer,
          .site = site,
          .alpha = alpha_of(config, module),
          .A = tensors.take(tensor_name(module, "A"), {rank, weight[1]}),
          .B = tensors.take(tensor_name(module, "B"), {weight[0], rank})};
}

void check_module(const LoraModule& module, const std::map<std::string, Shape>& weights) {
  const auto name = module_name(module.layer, module.site);
  const auto found = weights.find(name);
  require(found != weights.end(), "LoRA of {} cannot be written: the model has no such layer", name);
  const Shape& weight = found->second;
  for (const Tensor& t : {module.A, module.B}) {
    require(t.defined() && t.dtype() == DType::f32 && t.shape().rank() == 2,
            "LoRA of {} cannot be written: A and B must be f32 matrices", name);
  }
  require(module.A.cols() == weight[1] && module.B.shape() == Shape{weight[0], module.rank()},
          "LoRA of {} cannot be written: A is {} and B {}: expected [rank, {}] and [{}, rank]", name,
          module.A.shape().str(), module.B.shape().str(), weight[1], weight[0]);
}

}  // namespace

bool is_peft_folder(const fs::path& folder) { return fs::exists(folder / config_name); }

void write_peft(const fs::path& folder, const LoraAdapter& adapter, const LlamaConfig& config) {
  require(!adapter.modules.empty(), "an adapter without modules cannot be written to {}: expected LoRA of a layer",
          folder.string());
  const auto weights = module_shapes(config);
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& module : adapter.modules) {
    check_module(module, weights);
    const auto name = module_name(module.layer, module.site);
    tensors.emplace_back(tensor_name(name, "A"), module.A);
    tensors.emplace_back(tensor_name(name, "B"), module.B);
  }
  make_folder(folder);
  save_safetensors(folder / tensors_name, tensors, {{"format", "pt"}});
  write_file_atomically(folder / config_name, peft_config_json(adapter, config.n_layers).dump(2) + "\n");
}

LoraAdapter read_peft(const fs::path& folder, const LlamaConfig& model) {
  const auto config_file = folder / config_name;
  require(fs::exists(config_file), "adapter folder {} has no {}: expected a folder of Python's peft", folder.string(),
          config_name);
  const auto config = parse_peft_config(read_text_file(config_file), config_file.string());
  check_places(config);
  require(fs::exists(folder / tensors_name), "adapter folder {} has no {}{}", folder.string(), tensors_name,
          fs::exists(folder / "adapter_model.bin")
              ? ", but adapter_model.bin, a pickle: expected it saved by save_pretrained(..., safe_serialization=True)"
              : ": expected the adapter's tensors");
  const auto file = SafeTensors::open(folder / tensors_name);

  LoraAdapter adapter{.rank = config.rank,
                      .alpha = config.alpha,
                      .use_rslora = config.use_rslora,
                      .dropout = config.dropout,
                      .base_model = config.base_model,
                      .modules = {}};
  const auto weights = module_shapes(model);
  PeftTensors tensors{file, stored_names(file)};
  for (std::int64_t layer = 0; layer < model.n_layers; ++layer) {
    for (const auto site : linear_sites()) {
      const auto name = module_name(layer, site);
      if (!is_target(config, name)) continue;
      adapter.modules.push_back(read_module(config, tensors, layer, site, weights.at(name)));
    }
  }
  require(!adapter.modules.empty(), "{}: its targets name no linear layer of a Llama with {} layers", config.source,
          model.n_layers);
  for (const auto& [_, name] : tensors.left) {
    fail("{}: tensor {} is {}: expected A and B of {} linear layers", file.path().string(), name, kind_of(name),
         adapter.modules.size());
  }
  return adapter;
}

}  // namespace csreft
