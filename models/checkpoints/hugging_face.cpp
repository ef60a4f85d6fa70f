#include "models/checkpoints/hugging_face.h"

#include <memory>

#include "core/base/json_file.h"
#include "core/tensor/safetensors.h"
#include "models/text/chat_template.h"

namespace csreft {
namespace {

// All files of a checkpoint, and which of them holds a tensor.
struct Shards {
  std::map<std::string, SafeTensors> files;
  std::map<std::string, const SafeTensors*> holder;

  void add(const std::string& tensor, const SafeTensors& file) {
    const auto dtype = file.dtype(tensor);
    require(dtype == DType::f32 || dtype == DType::bf16, "{}: tensor {} is {}: expected F32, F16 or BF16",
            file.path().string(), tensor, name_of(dtype));
    holder.emplace(tensor, &file);
  }
};

std::shared_ptr<const Shards> open_single(const std::filesystem::path& path) {
  auto shards = std::make_shared<Shards>();
  const auto& file = shards->files.emplace(path.string(), SafeTensors::open(path)).first->second;
  for (const auto& name : file.names()) shards->add(name, file);
  return shards;
}

std::shared_ptr<const Shards> open_indexed(const std::filesystem::path& folder,
                                           const std::filesystem::path& index_path) {
  const auto index = read_json_object(index_path);
  const auto map = index.find("weight_map");
  require(map != index.end() && map->is_object(), "{}: `weight_map` is missing or no object", index_path.string());
  auto shards = std::make_shared<Shards>();
  for (const auto& [tensor, _] : map->items()) {
    const auto name = get_json<std::string>(*map, tensor, index_path.string());
    require(!name.empty() && std::filesystem::path(name).filename() == name,
            "{}: shard {} of tensor {} is no file name", index_path.string(), name, tensor);
    auto file = shards->files.find(name);
    if (file == shards->files.end()) file = shards->files.emplace(name, SafeTensors::open(folder / name)).first;
    require(file->second.contains(tensor), "{}: tensor {} is not in {}, where {} says it is", folder.string(), tensor,
            name, index_path.filename().string());
    shards->add(tensor, file->second);
  }
  for (const auto& [name, file] : shards->files) {
    for (const auto& tensor : file.names()) {
      require(map->contains(tensor), "{}: tensor {} of {} is missing from {}", folder.string(), tensor, name,
              index_path.filename().string());
    }
  }
  return shards;
}

std::shared_ptr<const Shards> open_weights(const std::filesystem::path& folder) {
  const auto single = folder / "model.safetensors";
  const auto index = folder / "model.safetensors.index.json";
  if (std::filesystem::exists(single)) return open_single(single);
  require(std::filesystem::exists(index),
          "model {} has no weights: expected model.safetensors or model.safetensors.index.json", folder.string());
  return open_indexed(folder, index);
}

}  // namespace

Checkpoint open_hugging_face(const std::filesystem::path& folder) {
  const auto config_path = folder / "config.json";
  require(std::filesystem::exists(config_path), "model {} has no config.json: expected a Hugging Face folder",
          folder.string());
  Checkpoint checkpoint;
  checkpoint.config = parse_llama_config(read_json_object(config_path), config_path.string());
  checkpoint.chat_template = read_chat_template(folder);
  checkpoint.tokenizer = TokenizerFolder{folder};

  const auto shards = open_weights(folder);
  for (const auto& [name, file] : shards->holder) {
    checkpoint.shapes.emplace(name, file->shape(name));
    if (const auto bytes = file->stored_bytes(name)) checkpoint.stored_bytes.emplace(name, *bytes);
  }
  checkpoint.read = [shards](const std::string& name) { return shards->holder.at(name)->get(name).to(DType::f32); };
  checkpoint.read_stored = [shards](const std::string& name) { return shards->holder.at(name)->stored(name); };
  return checkpoint;
}

}  // namespace csreft
