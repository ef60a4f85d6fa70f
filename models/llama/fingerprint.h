// A hash of some of a model's weights, by which an adapter knows its model.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "models/checkpoints/checkpoint.h"

namespace csreft {

// FNV-1a over the first row of every parameter, in the order of their names: a change of any matrix in full, such as an
// adapter that is merged into it, is another fingerprint.
class Fingerprint {
 public:
  // A parameter as the checkpoint has it, f32 on any device.
  void add(const std::string& name, const Tensor& value);
  std::uint64_t value() const;

 private:
  std::map<std::string, std::uint64_t> rows_;
};

// Of a checkpoint: what Llama::fingerprint() is after it is loaded. Reads every parameter.
std::uint64_t fingerprint(const Checkpoint& checkpoint);

}  // namespace csreft
