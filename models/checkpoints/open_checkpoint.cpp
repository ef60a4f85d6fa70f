#include "models/checkpoints/open_checkpoint.h"

#include "core/base/error.h"
#include "models/checkpoints/gguf.h"
#include "models/checkpoints/hugging_face.h"
#include "models/checkpoints/llama2c.h"

namespace csreft {

Checkpoint open_checkpoint(const std::filesystem::path& path) {
  require(std::filesystem::exists(path),
          "model {} does not exist: expected a folder, a .gguf or a .bin file, or smollm2", path.string());
  const auto extension = path.extension();
  Checkpoint checkpoint;
  if (std::filesystem::is_directory(path)) {
    checkpoint = open_hugging_face(path);
  } else if (extension == ".gguf") {
    checkpoint = open_gguf(path);
  } else if (extension == ".bin") {
    checkpoint = open_llama2c(path);
  } else if (extension == ".safetensors") {
    fail("model {} is one file of a Hugging Face folder: expected the folder", path.string());
  } else {
    fail("model {} is of no known kind: expected a Hugging Face folder, a .gguf or a llama2.c .bin file",
         path.string());
  }
  auto full = std::filesystem::weakly_canonical(path);
  checkpoint.name = full.filename().string();
  checkpoint.path = path;
  check_complete(checkpoint);
  return checkpoint;
}

}  // namespace csreft
