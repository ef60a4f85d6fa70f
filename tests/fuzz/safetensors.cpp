#include "core/tensor/safetensors.h"

#include "tests/fuzz/target.h"

namespace csreft {

namespace {

std::vector<std::string> seeds() {
  const TemporaryFolder folder;
  const auto made = [&](const std::vector<std::pair<std::string, Tensor>>& tensors) {
    save_safetensors(folder / "made.safetensors", tensors, {{"format", "pt"}});
    return folder.read("made.safetensors");
  };
  const Tensor f32 = Tensor::zeros({2, 3}, DType::f32);
  return {made({}), made({{"a", f32}}),
          made({{"a", f32}, {"b", f32.to(DType::bf16)}, {"c", Tensor::zeros({4}, DType::i32)}})};
}

void read(std::string_view input) {
  const auto file = SafeTensors::open(fuzz_folder().write("input.safetensors", input));
  for (const auto& name : file.names()) static_cast<void>(file.get(name));
}

}  // namespace

extern const FuzzTarget safetensors_target;
const FuzzTarget safetensors_target{"safetensors", "tensors of a safetensors file", seeds, read};

}  // namespace csreft
