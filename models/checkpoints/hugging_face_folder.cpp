#include "models/checkpoints/hugging_face_folder.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace csreft {
namespace {

namespace fs = std::filesystem;

// The names of the files in a folder, sorted, so that messages do not depend on the system.
std::vector<std::string> file_names(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

// The first name with this end; empty if there is none.
std::string name_ending_in(const std::vector<std::string>& names, std::string_view end) {
  const auto found = std::ranges::find_if(names, [end](const auto& name) { return name.ends_with(end); });
  return found == names.end() ? "" : *found;
}

void refuse_adapter(const fs::path& folder) {
  if (fs::exists(folder / "adapter_config.json")) {
    fail(
        "{} is an adapter of peft (adapter_config.json), not a model: expected --adapter with it, and --model with the "
        "model that it was trained on",
        folder.string());
  }
  if (fs::exists(folder / "adapter.json") || fs::exists(folder / "adapter")) {
    fail("{} is {}, not a model: expected --adapter with it, and --model with the model that it was trained on",
         folder.string(), fs::exists(folder / "adapter.json") ? "an adapter (adapter.json)" : "the folder of a run");
  }
}

void refuse_other_formats(const fs::path& folder, const std::vector<std::string>& names) {
  for (const char* end : {".bin", ".bin.index.json", ".pth", ".pt", ".ckpt", ".h5", ".msgpack", ".onnx"}) {
    const auto name = name_ending_in(names, end);
    // Files of a trainer's settings are no weights.
    if (name.empty() || name == "training_args.bin") continue;
    fail("{} is not read: convert it to safetensors (transformers' save_pretrained writes model.safetensors)",
         (folder / name).string());
  }
}

}  // namespace

void fail_without_config(const fs::path& folder) {
  refuse_adapter(folder);
  const auto gguf = name_ending_in(file_names(folder), ".gguf");
  if (!gguf.empty()) {
    fail("model {} has no config.json, but a GGUF: expected the file itself, {}", folder.string(),
         (folder / gguf).string());
  }
  fail("model {} has no config.json: expected a Hugging Face folder", folder.string());
}

void fail_without_weights(const fs::path& folder) {
  refuse_adapter(folder);
  const auto names = file_names(folder);
  const auto safetensors = name_ending_in(names, ".safetensors");
  if (!safetensors.empty()) {
    fail(
        "model {} has {}, but no model.safetensors.index.json, which says what each file holds: expected it, or one "
        "file model.safetensors",
        folder.string(), safetensors);
  }
  refuse_other_formats(folder, names);
  fail("model {} has no weights: expected model.safetensors or model.safetensors.index.json", folder.string());
}

}  // namespace csreft
