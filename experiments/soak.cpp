// Trains a small model for very many steps with each optimizer of orthonormal matrices, and says what changed
// meanwhile.
#include "experiments/measure/soak.h"

#include "core/base/atomic_file.h"
#include "core/base/folder.h"
#include "core/base/threads.h"
#include "experiments/cli/progress.h"
#include "experiments/measure/random_llama.h"
#include "experiments/training/flag_groups.h"
#include "experiments/training/metrics.h"
#include "experiments/training/run_folder.h"
#include "reft/stiefel/optimizers/optimizer_rule.h"

namespace csreft {
namespace {

struct SoakOptions {
  double minutes = 10.0;
  SoakSetting setting;
  std::string optimizer = "all", subspaces = "both", out;
  int threads = 1;
  bool quiet = false;
};

bool keeps_orthonormal(const std::string& optimizer) { return choose_optimizer(optimizer)->keeps_orthonormal(); }

std::vector<SoakSetting> settings_of(const SoakOptions& o) {
  std::vector<SoakSetting> settings;
  for (const auto* rule : optimizer_rules()) {
    const std::string name(rule->name);
    if (o.optimizer == "all" ? !keeps_orthonormal(name) : o.optimizer != name) continue;
    for (const bool joint : {false, true}) {
      if (o.subspaces == (joint ? "independent" : "joint")) continue;
      settings.push_back(o.setting);
      settings.back().optimizer = name;
      settings.back().joint = joint;
    }
  }
  for (auto& setting : settings) setting.seconds = 60.0 * o.minutes / static_cast<double>(settings.size());
  return settings;
}

void check(const SoakOptions& o) {
  require(o.minutes > 0.0, "--minutes {} is not possible: expected more than 0", o.minutes);
  require(o.setting.steps >= 10, "--steps {} is not possible: expected 10 or more", o.setting.steps);
  require(o.threads >= 1, "--threads {} is not possible: expected 1 or more", o.threads);
  require(o.subspaces == "both" || o.subspaces == "joint" || o.subspaces == "independent",
          "--subspaces {} is unknown: expected both, joint or independent", o.subspaces);
  if (o.optimizer != "all") static_cast<void>(choose_optimizer(o.optimizer));
}

std::string line_of(const SoakSetting& setting, const SoakSample& s) {
  return fmt::format("{}\t{}\t{}\t{:.1f}\t{:.1f}\t{:.1f}\t{}\t{:.2e}\t{:.6f}\n", setting.optimizer,
                     setting.joint ? "joint" : "independent", s.step, s.seconds, s.steps_per_second,
                     s.steps_per_cpu_second, s.resident_bytes, s.orthonormality_error, s.loss);
}

constexpr std::string_view header =
    "optimizer\tsubspaces\tstep\tseconds\tsteps_per_second\tsteps_per_cpu_second\tresident_bytes\torthonormality_error"
    "\tloss\n";

// Trains with one setting, and prints its line of the table.
bool run_setting(const LanguageModel& model, const SoakSetting& setting, bool quiet, LineLog& table) {
  std::vector<SoakSample> samples;
  {
    Progress progress(describe(setting), setting.steps, "steps", quiet);
    samples = soak(model, setting, [&](const SoakSample& s) {
      table.add(line_of(setting, s));
      progress.update(s.step, static_cast<double>(s.step),
                      fmt::format("{:.1f} MB, |RR^T-I| {:.1e}, loss {:.4f}",
                                  static_cast<double>(s.resident_bytes) / 1e6, s.orthonormality_error, s.loss));
    });
  }
  if (interrupted()) return true;
  const SoakVerdict v = judge(samples, keeps_orthonormal(setting.optimizer));
  const auto& last = samples.back();
  const auto verdict = [](bool holds) { return holds ? "yes" : "NO"; };
  fmt::print("{:<29}{:>8}{:>9.1f}{:>9.1f}{:>9.1f}{:>+9.2f} % {:<4}{:>+7.1f} % {:<4}{:>10.1e} {:<4}{:>9.4f}\n",
             describe(setting), last.step, static_cast<double>(last.step) / last.seconds, last.steps_per_cpu_second,
             static_cast<double>(last.resident_bytes) / 1e6, 100.0 * v.memory_growth, verdict(v.is_memory_level),
             -100.0 * v.slowdown, verdict(v.is_speed_level), v.orthonormality_error, verdict(v.is_orthonormal),
             last.loss);
  std::fflush(stdout);
  return v.holds();
}

void add_flags(Flags& flags, SoakOptions& o) {
  flags.add("--minutes", o.minutes, "how long in all: each training has its share");
  flags.add("--steps", o.setting.steps, "the most steps of each training");
  flags.add("--optimizer", o.optimizer, "one of --optimizer's of train, or all: those that keep R orthonormal");
  flags.add("--subspaces", o.subspaces, "independent, joint, or both");
  flags.add("--seed", o.setting.seed, "which adapter the training begins with");
  flags.add("--threads", o.threads, "of the processor");
  flags.add_path("--out", o.out, "where soak.tsv goes; empty: runs/soak-TIME", "FOLDER");
  flags.add_switch("--quiet", o.quiet, "no progress on stderr");
}

}  // namespace

int soak_training(Arguments arguments) {
  SoakOptions o;
  Flags flags("soak",
              "Trains CS-ReFT on a small model in memory for very many steps, with each optimizer of orthonormal "
              "matrices in turn, and says whether memory stays level to 1 %, |R R^T - I| below 1e-5 and the steps a "
              "second of processor time level to 25 %; exit code 1 where one does not.",
              {"./run soak", "./run soak --minutes 60 --optimizer riemannian_adam --subspaces joint"});
  add_flags(flags, o);
  if (!flags.parse(arguments)) return 0;
  check(o);
  begin_work();
  start_threads(o.threads);
  const std::filesystem::path folder = o.out.empty() ? make_dated_folder("soak") : std::filesystem::path(o.out);
  make_folder(folder);
  LineLog table(folder / "soak.tsv", header);
  LlamaConfig shape = smoke_test_shape();
  shape.n_layers = 2;  // what is asked for is many steps
  const LanguageModel model = random_language_model("tiny", shape, Weights::frozen, {});
  const InterruptGuard guard;
  fmt::print("{:<29}{:>8}{:>9}{:>9}{:>9}{:>9}   {:<4}{:>7}   {:<4}{:>10} {:<4}{:>9}\n", "training", "steps", "steps/s",
             "/CPU s", "MB", "memory", "ok", "speed", "ok", "|RR^T-I|", "ok", "loss");
  std::fflush(stdout);
  bool holds = true;
  for (const auto& setting : settings_of(o)) {
    if (!interrupted()) holds = run_setting(model, setting, o.quiet, table) && holds;
  }
  fmt::print("\ntable: {}\n", (folder / "soak.tsv").string());
  if (interrupted()) return interrupted_exit;
  return holds ? 0 : 1;
}

}  // namespace csreft
