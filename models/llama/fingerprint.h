// A hash of a model's weights, by which an adapter and a run know their model.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "models/checkpoints/checkpoint.h"

namespace csreft {

// Of every parameter in f32, whatever type and order of rows its file has, and wherever the model computes.
struct Fingerprint {
  std::uint64_t whole = 0;       // over every byte
  std::uint64_t first_rows = 0;  // over the first row of each matrix alone: what files of earlier versions have

  // "xxh64:0123456789abcdef": `whole`, as files have it.
  std::string text() const;
  // Whether a file's fingerprint is this one: text(), or 16 hexadecimal digits, which are `first_rows`.
  bool is(std::string_view saved) const;
  bool operator==(const Fingerprint&) const = default;
};

// Whether a file's fingerprint is one of the first rows alone.
bool is_of_first_rows(std::string_view saved);

// Makes a Fingerprint of parameters that come one by one, in any order.
class FingerprintMaker {
 public:
  // A parameter as the checkpoint has it, f32 on any device: from there it is copied to the host.
  void add(const std::string& name, const Tensor& value);
  // The same of what a matrix decodes to, a piece at a time.
  void add(const std::string& name, const StoredMatrix& value);
  Fingerprint made() const;

 private:
  std::map<std::string, Fingerprint> parameters_;
};

// Of a checkpoint: what Llama::fingerprint() is. Reads every parameter, in f32 one at a time, or in pieces where it is
// stored otherwise.
Fingerprint fingerprint(const Checkpoint& checkpoint);

}  // namespace csreft
