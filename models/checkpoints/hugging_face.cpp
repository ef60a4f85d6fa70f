#include "models/checkpoints/hugging_face.h"

#include <algorithm>
#include <memory>

#include "core/base/json_file.h"
#include "core/tensor/safetensors.h"
#include "models/checkpoints/hugging_face_folder.h"
#include "models/text/chat_template_files.h"

namespace csreft {
namespace {

// A tensor in its file.
struct Stored {
  const SafeTensors* file;
  std::string name;
};

// All files of a checkpoint, and where the tensors are, by their names here.
struct Shards {
  std::map<std::string, SafeTensors> files;
  std::map<std::string, Stored> tensors;

  void add(const std::string& tensor, const SafeTensors& file) { tensors.emplace(tensor, Stored{&file, tensor}); }
};

std::shared_ptr<Shards> open_single(const std::filesystem::path& path) {
  auto shards = std::make_shared<Shards>();
  const auto& file = shards->files.emplace(path.string(), SafeTensors::open(path)).first->second;
  for (const auto& name : file.names()) shards->add(name, file);
  return shards;
}

std::shared_ptr<Shards> open_indexed(const std::filesystem::path& folder, const std::filesystem::path& index_path) {
  const auto index = read_json_object(index_path);
  const auto map = index.find("weight_map");
  require(map != index.end() && map->is_object(), "{}: `weight_map` is missing or no object", index_path.string());
  auto shards = std::make_shared<Shards>();
  for (const auto& [tensor, _] : map->items()) {
    const auto name = get_json<std::string>(*map, tensor, index_path.string());
    require(!name.empty() && name != "." && name != ".." && std::filesystem::path(name).filename() == name,
            "{}: shard {} of tensor {} is no file name", index_path.string(), name, tensor);
    auto file = shards->files.find(name);
    if (file == shards->files.end()) {
      require(std::filesystem::exists(folder / name), "{} is missing: {} names it; was the folder downloaded in part?",
              (folder / name).string(), index_path.filename().string());
      file = shards->files.emplace(name, SafeTensors::open(folder / name)).first;
    }
    require(file->second.contains(tensor), "{}: tensor {} is not in {}, where {} says it is", folder.string(), tensor,
            name, index_path.filename().string());
    shards->add(tensor, file->second);
  }
  // What the index does not list counts, too, as in transformers.
  for (const auto& [_, file] : shards->files) {
    for (const auto& tensor : file.names()) shards->add(tensor, file);
  }
  return shards;
}

std::shared_ptr<Shards> open_weights(const std::filesystem::path& folder) {
  const auto single = folder / "model.safetensors";
  const auto index = folder / "model.safetensors.index.json";
  if (std::filesystem::exists(single)) return open_single(single);
  if (!std::filesystem::exists(index)) fail_without_weights(folder);
  return open_indexed(folder, index);
}

bool is_part_of_body(const std::string& name) {
  return name.starts_with("embed_tokens.") || name.starts_with("layers.") || name.starts_with("norm.");
}

// Gives the tensors of a dump without the prefix "model.", or with one more before it ("_orig_mod."), their usual
// names: the first block's norm shows what stands before.
void rename_prefix(Shards& shards) {
  constexpr std::string_view anchor = "layers.0.input_layernorm.weight", usual = "model.";
  std::vector<std::string> prefixes;
  for (const auto& [name, _] : shards.tensors) {
    if (name.ends_with(anchor)) prefixes.push_back(name.substr(0, name.size() - anchor.size()));
  }
  if (prefixes.size() != 1 || prefixes[0] == usual) return;
  const std::string& body = prefixes[0];
  const std::string outer = body.ends_with(usual) ? body.substr(0, body.size() - usual.size()) : "";
  std::map<std::string, Stored> renamed;
  for (auto& [name, stored] : shards.tensors) {
    std::string own = name;
    if (name.starts_with(outer + "lm_head.")) {
      own = name.substr(outer.size());
    } else if (body.empty() ? is_part_of_body(name) : name.starts_with(body)) {
      own = fmt::format("{}{}", usual, name.substr(body.size()));
    }
    renamed.emplace(std::move(own), std::move(stored));
  }
  shards.tensors = std::move(renamed);
}

// A tied model may have its one matrix under the head's name.
void rename_tied_head(Shards& shards) {
  auto& tensors = shards.tensors;
  if (tensors.contains("model.embed_tokens.weight")) return;
  if (const auto head = tensors.find("lm_head.weight"); head != tensors.end()) {
    tensors.emplace("model.embed_tokens.weight", head->second);
  }
}

// Of the parameters: what else a file holds may be of any type.
void check_dtypes(const Shards& shards, const LlamaConfig& config) {
  using ElementType = SafeTensors::ElementType;
  for (const auto& [name, _] : parameter_shapes(config)) {
    const auto found = shards.tensors.find(name);
    if (found == shards.tensors.end()) continue;
    const auto& [file, stored] = found->second;
    const auto type = file->element_type(stored);
    require(
        type == ElementType::f16 || type == ElementType::bf16 || type == ElementType::f32 || type == ElementType::f64,
        "{}: tensor {} is of type {}: expected F32, F16, BF16 or F64", file->path().string(), stored,
        file->type_name(stored));
  }
}

// Adds the stops of generation_config.json.
void add_stops(const std::filesystem::path& folder, Checkpoint& checkpoint) {
  const auto path = folder / "generation_config.json";
  if (!std::filesystem::exists(path)) return;
  auto& notes = checkpoint.notes;  // of config.json's ids, which are often the same
  auto& stops = checkpoint.config.eos_token_ids;
  for (const auto id : read_token_ids(read_json_object(path), "eos_token_id", path.string(),
                                      checkpoint.config.vocab_size, notes.empty() ? &notes : nullptr)) {
    if (std::ranges::find(stops, id) == stops.end()) stops.push_back(id);
  }
}

}  // namespace

Checkpoint open_hugging_face(const std::filesystem::path& folder) {
  const auto config_path = folder / "config.json";
  if (!std::filesystem::exists(config_path)) fail_without_config(folder);
  Checkpoint checkpoint;
  checkpoint.config = parse_llama_config(read_json_object(config_path), config_path.string(), &checkpoint.notes);
  add_stops(folder, checkpoint);
  try {
    checkpoint.chat_template = read_chat_template(folder);
  } catch (const Error& error) {
    checkpoint.chat_template_failure = error.what();
  }
  checkpoint.tokenizer = TokenizerFolder{folder};

  const auto shards = open_weights(folder);
  rename_prefix(*shards);
  if (checkpoint.config.tie_word_embeddings) rename_tied_head(*shards);
  check_dtypes(*shards, checkpoint.config);
  for (const auto& [name, stored] : shards->tensors) {
    checkpoint.shapes.emplace(name, stored.file->shape(stored.name));
    if (const auto bytes = stored.file->stored_bytes(stored.name)) checkpoint.stored_bytes.emplace(name, *bytes);
  }
  checkpoint.read = [shards](const std::string& name) {
    const auto& [file, stored] = shards->tensors.at(name);
    return file->get(stored).to(DType::f32);
  };
  checkpoint.read_stored = [shards](const std::string& name) {
    const auto& [file, stored] = shards->tensors.at(name);
    return file->stored(stored);
  };
  return checkpoint;
}

}  // namespace csreft
