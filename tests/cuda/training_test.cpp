// Training and generation on a CUDA device, real or emulated, against the CPU.
#include <algorithm>
#include <cmath>
#include <vector>

#include <doctest/doctest.h>

#include "experiments/harness/trainer.h"
#include "models/generate.h"
#include "tests/tiny_chat.h"

namespace {

using csreft::Device;

struct Run {
  std::vector<double> losses;
  std::vector<std::vector<std::int32_t>> generated;
};

// Trains a method from the same start on the device, and lets the model go on from a prompt before it.
Run run_on(const Device& device, const std::string& method_name) {
  static const TinyChat chat;
  const auto model = chat.load(device);
  csreft::MethodOptions method_options;
  method_options.method = method_name;
  method_options.layers = {0, 1};
  method_options.rank = 2;
  method_options.subspaces = 2;
  method_options.router_hidden = 4;
  const auto method = csreft::create_method(method_options, model.llama.config(), /*seed=*/5, model.llama.options());
  csreft::TrainOptions options;
  options.batch = 4;
  options.epochs = 3;
  options.lr = 1e-2;
  options.seed = 3;
  options.quiet = true;
  Run run;
  run.generated = csreft::generate(model.llama, std::vector<std::vector<std::int32_t>>{{5, 60, 7}, {9, 33}},
                                   {.max_new_tokens = 8, .stop_tokens = {}, .sampling = {}});
  run.losses = csreft::Trainer(model, *method, std::vector<csreft::Task>{letter_task(12)}, options).run().losses();
  return run;
}

}  // namespace

TEST_CASE("cuda: losses of training are the CPU's to 1e-4, and greedy tokens are the same") {
  for (const char* method : {"csreft", "loreft", "lora"}) {
    CAPTURE(method);
    const Run cpu = run_on({}, method), cuda = run_on(csreft::parse_device("cuda"), method);
    REQUIRE(cpu.losses.size() == 9);
    REQUIRE(cuda.losses.size() == 9);
    CHECK(cpu.losses.back() < cpu.losses.front());  // it learns, so the losses depend on the gradients
    for (std::size_t i = 0; i < 9; ++i) CHECK(std::abs(cuda.losses[i] - cpu.losses[i]) < 1e-4);
    CHECK(cuda.generated == cpu.generated);
  }
}
