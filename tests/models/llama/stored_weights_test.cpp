// A model whose file has bf16 against the same model with copies in f32.
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "core/base/threads.h"
#include "core/cpu/allocator.h"
#include "core/tensor/safetensors.h"
#include "models/llama/memory_needs.h"
#include "tests/core/ops/numbers.h"
#include "tests/temporary_folder.h"
#include "tests/tiny_model.h"

using csreft::Checkpoint;
using csreft::DType;
using csreft::Llama;
using csreft::StoredMatrix;
using csreft::Tensor;
using csreft::Variable;
using csreft::test::distance;

namespace {

// The checkpoint with its matrices rounded to bf16: as they are stored, or as copies in f32.
Checkpoint in_bf16(const Checkpoint& checkpoint, bool stored) {
  Checkpoint rounded = checkpoint;
  rounded.read = [read = checkpoint.read](const std::string& name) {
    const Tensor value = read(name);
    return value.shape().rank() == 2 ? value.to(DType::bf16).to(DType::f32) : value;
  };
  if (!stored) return rounded;
  std::map<std::string, StoredMatrix> matrices;
  for (const auto& [name, shape] : checkpoint.shapes) {
    if (shape.rank() != 2) continue;
    matrices.emplace(name, StoredMatrix::bf16(checkpoint.read(name)));
    rounded.stored_bytes.emplace(name, 2 * shape.numel());
  }
  rounded.read_stored = [matrices](const std::string& name) { return matrices.at(name); };
  return rounded;
}

// Resident bytes of the mappings of a file.
std::size_t resident_bytes(const std::filesystem::path& path) {
  std::ifstream maps("/proc/self/smaps");
  std::size_t sum = 0;
  bool is_ours = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("-") != std::string::npos && line.find(" r") != std::string::npos) {
      is_ours = line.ends_with(path.string());
    } else if (is_ours && line.starts_with("Rss:")) {
      sum += 1024 * std::stoul(line.substr(4));
    }
  }
  return sum;
}

}  // namespace

TEST_CASE("a model in bf16 computes as its copy in f32 does, forward and backward") {
  for (const bool tied : {false, true}) {
    auto config = tiny_config();
    config.tie_word_embeddings = tied;
    const Checkpoint checkpoint = tiny_checkpoint(config, 1);
    const TinyTask task = random_task(std::vector<std::int64_t>{9, 14, 30}, std::vector<std::int64_t>{4, 5, 6});
    for (const int threads : {1, 2}) {
      const int before = csreft::threads();
      csreft::set_threads(threads);
      const auto outcome = [&](const Llama& model) {
        const Variable shift = Variable::parameter(Tensor::zeros({config.hidden_size}, model.options().dtype));
        csreft::Attachments points;
        points.block_output = [&](std::int64_t layer, const Variable& h) { return layer == 0 ? add_row(h, shift) : h; };
        const Variable loss = task_loss(model, task, points);
        backward(loss);
        return std::pair(loss.value().item(), shift.grad());
      };
      // In f64, of the very numbers that bf16 has.
      const auto [loss, gradient] = outcome(Llama(in_bf16(checkpoint, false), csreft::Weights::frozen, DType::f64));
      for (const auto weights : {csreft::Weights::frozen, csreft::Weights::frozen_bf16}) {
        if (weights == csreft::Weights::frozen_bf16 && csreft::copied_bytes(csreft::Packing::bf16, true) > 0) continue;
        const auto [own_loss, own_gradient] = outcome(Llama(in_bf16(checkpoint, true), weights, DType::f32));
        // Some hundred roundings of f32 in sums of order 1.
        CHECK(std::abs(own_loss - loss) < 1e-5);
        CHECK(distance(own_gradient, gradient) < 1e-5);
      }
      csreft::set_threads(before);
    }
  }
}

TEST_CASE("a model in bf16 has the fingerprint of its copy in f32") {
  const Checkpoint checkpoint = tiny_checkpoint(tiny_config(), 1);
  const Checkpoint stored = in_bf16(checkpoint, true), copied = in_bf16(checkpoint, false);
  CHECK(csreft::fingerprint(stored) == csreft::fingerprint(copied));
  CHECK(Llama(stored).fingerprint() == Llama(copied).fingerprint());
  CHECK(csreft::fingerprint(stored) != csreft::fingerprint(checkpoint));
}

TEST_CASE("a matrix of more than one piece has the hash of its numbers in f32") {
  const Tensor w = csreft::test::normal({700, 999}, 1, DType::f32).to(DType::bf16);
  csreft::FingerprintMaker stored, copied;
  stored.add("w", StoredMatrix::bf16(w));
  copied.add("w", w.to(DType::f32));
  CHECK(stored.made() == copied.made());
}

TEST_CASE("loading a model in bf16 copies no matrix") {
  const Checkpoint stored = in_bf16(tiny_checkpoint(tiny_config(), 1), true);
  const auto before = csreft::host_memory().used;
  const Llama model(stored, csreft::Weights::frozen_bf16, DType::f32);
  CHECK(csreft::host_memory().used - before < 8192);  // norms and the angles of rope
}

TEST_CASE("weights need what is copied: nothing of what stays in the file, all of what is trained") {
  const Checkpoint checkpoint = tiny_checkpoint(tiny_config(), 1), stored = in_bf16(checkpoint, true);
  const std::int64_t all = csreft::parameter_count(tiny_config());
  CHECK(csreft::weight_bytes(checkpoint, csreft::Weights::trainable) == 4 * all);
  CHECK(csreft::weight_bytes(stored, csreft::Weights::frozen) > 3 * all);  // small: its copies in f32 are kept
  // Too large for copies in f32: what stays in the file needs nothing, what is copied from it what it takes.
  for (Checkpoint large : {checkpoint, stored}) {
    large.config.vocab_size = large.config.hidden_size = large.config.intermediate_size = 1 << 15;
    CHECK(csreft::packing_of(csreft::Weights::frozen, large.config) == csreft::Packing::rows);
    CHECK(csreft::weight_bytes(large, csreft::Weights::frozen) == 0);
    large.copied_bytes = 1000;
    CHECK(csreft::weight_bytes(large, csreft::Weights::frozen) == 1000);
  }
  CHECK(csreft::packing_of(csreft::Weights::frozen, tiny_config()) == csreft::Packing::automatic);
}

TEST_CASE("the pages of a mapped matrix leave resident memory with its last handle") {
  const TemporaryFolder folder;
  const auto path = folder / "m.safetensors";
  csreft::save_safetensors(path, {{"w", Tensor::zeros({512, 4096}, DType::bf16)}});
  const auto file = csreft::SafeTensors::open(path);
  CHECK(file.stored_bytes("w") == 2 * 512 * 4096);
  {
    const StoredMatrix w = file.stored("w");
    static_cast<void>(csreft::PackedMatrix(w, csreft::Packing::rows).apply(Tensor::zeros({1, 4096})));
    CHECK(resident_bytes(path) > std::size_t{4} << 20U);
  }
  CHECK(resident_bytes(path) < std::size_t{64} << 10U);
}
