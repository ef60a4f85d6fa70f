#include "experiments/training/step_memory.h"

#include <doctest/doctest.h>

#include "core/cpu/allocator.h"
#include "models/llama/memory_needs.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"
#include "tests/tiny_model.h"

using csreft::Variable;

namespace {

csreft::Llama medium_llama(std::int64_t hidden_size) {
  auto config = tiny_config();
  config.hidden_size = hidden_size;
  return csreft::Llama(tiny_checkpoint(config, 1), csreft::Weights::frozen, csreft::DType::f32);
}

}  // namespace

TEST_CASE("the longest pass has the longest examples of a batch, split where they are too many tokens") {
  const std::vector<std::vector<std::int64_t>> examples{{5}, {30}, {7}, {20}};
  CHECK(csreft::longest_pass(examples, 1, 1000) == 30);
  CHECK(csreft::longest_pass(examples, 2, 1000) == 50);
  CHECK(csreft::longest_pass(examples, 9, 1000) == 62);
  CHECK(csreft::longest_pass(examples, 9, 40) == 40);
  CHECK(csreft::longest_pass(examples, 9, 10) == 30);
  // Of two ranks, each has half of the tokens, give or take an example.
  CHECK(csreft::longest_pass(examples, 9, 1000, 2) == 61);
  CHECK(csreft::longest_pass(examples, 1, 1000, 4) == 30);
}

TEST_CASE("a conversation is as long as all of its turns, between which a pass is split") {
  const std::vector<std::vector<std::int64_t>> examples{{400, 500, 600}, {700}, {10, 20}};
  CHECK(csreft::longest_pass(examples, 1, 4096) == 1500);
  CHECK(csreft::longest_pass(examples, 2, 4096) == 2200);
  CHECK(csreft::longest_pass(examples, 2, 1000) == 1000);
  CHECK(csreft::longest_pass(examples, 2, 100) == 700);
}

TEST_CASE("activations take what is estimated, or up to half as much again") {
  for (const bool checkpointing : {false, true}) {
    CAPTURE(checkpointing);
    const auto model = medium_llama(48);
    const TinyTask task = random_task(std::vector<std::int64_t>(8, 40), std::vector<std::int64_t>(8, 10));
    const Variable shift = Variable::parameter(csreft::Tensor::zeros({48}));
    csreft::Attachments points;
    points.block_output = [&](std::int64_t layer, const Variable& h) { return layer == 0 ? add_row(h, shift) : h; };
    points.block_output_layers = {0};
    points.checkpointing = checkpointing;
    static_cast<void>(model.forward(task.batch));  // the first pass may lay out weights for its products
    const auto before = csreft::host_memory().used;
    const Variable hidden = model.forward(task.batch, points);
    const auto kept = static_cast<double>(csreft::host_memory().used - before);
    // Of the two blocks above the edit; with checkpointing one block's own are there only while it is computed.
    const std::int64_t whole = csreft::activation_bytes(model.config(), 320, 2, checkpointing);
    const std::int64_t block = csreft::activation_bytes(model.config(), 320, 1, false);
    const auto expected = static_cast<double>(checkpointing ? whole - block : whole);
    CHECK(kept > 0.66 * expected);
    CHECK(kept < (checkpointing ? 3.0 : 1.5) * expected);  // a few tensors of the last norm count beside so little
  }
}

TEST_CASE("a step that does not fit is refused with what makes it smaller") {
  const auto model = tiny_llama(csreft::Weights::frozen);
  const auto method = csreft::create_method({.method = "loreft", .values = {{"layers", "1"}}}, model, 0);
  const TemporaryFolder root;
  std::filesystem::create_directories(root / "proc");
  root.write("proc/meminfo", "MemAvailable: 1024 kB\n");
  CHECK_NOTHROW(csreft::check_step_memory(model, *method, 100, root.path()));
  const auto text = error_text([&] {
    csreft::check_step_memory(model, *method, 1'000'000, root.path());
    return 0;
  });
  CHECK(text.find("a training step of 1000000 tokens with method loreft needs") != std::string::npos);
  CHECK(text.find("0.0 GiB are free") != std::string::npos);
  CHECK(text.find("--max-length") != std::string::npos);
}

TEST_CASE("edits in higher layers and checkpointing take less") {
  const auto model = tiny_llama(csreft::Weights::frozen);
  const auto bytes = [&](const char* layers) {
    const auto method = csreft::create_method({.method = "loreft", .values = {{"layers", layers}}}, model, 0);
    return csreft::step_bytes(model.config(), *method, 1000);
  };
  CHECK(bytes("2") < bytes("1"));
  CHECK(bytes("1") < bytes("0"));
  CHECK(csreft::activation_bytes(tiny_config(), 1000, 3, true) <
        csreft::activation_bytes(tiny_config(), 1000, 3, false));
}
