// Runs the tests on a CUDA device, measures what the card can do, and the project against that.
#include "core/base/folder.h"
#include "core/base/threads.h"
#include "core/device/device_info.h"
#include "experiments/cli/progress.h"
#include "experiments/measure/bench_machine.h"
#include "experiments/measure/check_model.h"
#include "experiments/measure/check_programs.h"
#include "experiments/measure/random_llama.h"
#include "experiments/training/flag_groups.h"
#include "experiments/training/run_folder.h"
#include "reft/methods/edit_sites.h"

namespace csreft {
namespace {

constexpr double most_seconds = 570.0;  // so that all of it ends within ten minutes

CheckRecord start_record(const Flags& flags, const Device& device, bool smoke) {
  CheckRecord record;
  record.title = smoke ? "gpu-check, tiny shapes: figures mean nothing" : "gpu-check";
  record.command = flags.command();
  record.device = fmt::format("{} ({}), {:.1f} GiB", device_name(device), to_string(device),
                              static_cast<double>(device_memory(device).total) * 0x1p-30);
  record.facts = {{"processor", machine_name()}, {"smoke", smoke ? "yes" : "no"}};
  return record;
}

}  // namespace

int gpu_check(Arguments arguments) {
  std::string out, device_text = "cuda";
  bool smoke = false;
  Flags flags("gpu-check", "Runs the tests on a CUDA device, and measures the project against what the card can do.",
              {"./run gpu-check", "./run gpu-check --device cuda:1 --out check"});
  flags.group("Check");
  flags.add_path("--out", out, "the folder of gpu-check.json and gpu-check.html; empty: runs/gpu-check-TIME", "FOLDER");
  flags.add("--device", device_text, "cuda, or cuda:N");
  flags.add_switch("--smoke", smoke, "tiny shapes, on any device: tries every part, and its figures mean nothing");
  if (!flags.parse(arguments)) return 0;
  begin_work();
  set_threads(0);
  const Device device = parse_device(device_text);
  require(smoke || (device.type == DeviceType::cuda && !is_emulated(device)),
          "gpu-check measures a real device, not {}: expected --device cuda, or --smoke", device_name(device));
  const std::filesystem::path folder = out.empty() ? make_dated_folder("gpu-check") : std::filesystem::path(out);
  make_folder(folder);

  const InterruptGuard guard;
  CheckRun run(start_record(flags, device, smoke), device, folder, most_seconds, smoke);
  fmt::print("{}\n", run.record().device);
  check_tests(run);
  check_sanitizer(run);
  const DeviceLimits limits = check_limits(run);
  check_attention(run, limits);
  check_model(run,
              {.name = "SmolLM2-135M",
               .config = smoke ? smoke_test_shape() : smollm2_shape(),
               .edited_layers = parse_layers("auto", smoke ? smoke_test_shape().n_layers : smollm2_shape().n_layers)},
              limits);
  check_model(run,
              {.name = "Llama-2-7B",
               .config = smoke ? smoke_test_shape() : llama2_7b_shape(),
               .edited_layers =
                   smoke ? parse_layers("auto", smoke_test_shape().n_layers) : std::vector<std::int64_t>{3, 9, 18, 24},
               .has_training_goal = true},
              limits);

  fmt::print("{}\n", (folder / "gpu-check.html").string());
  if (run.record().interrupted) return interrupted_exit;
  return run.record().failed() ? 1 : 0;
}

}  // namespace csreft
