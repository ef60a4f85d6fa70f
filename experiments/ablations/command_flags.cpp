#include "experiments/ablations/command_flags.h"

#include "experiments/cli/name_list.h"

namespace csreft {
namespace {

void apply_smoke(const Flags& flags, ComparisonCommand& o) {
  if (!o.smoke) return;
  if (!flags.given("--examples")) o.sizes.examples = "4";
  if (!flags.given("--tests")) o.evaluation.max_examples = 2;
  if (!flags.given("--steps")) o.train.max_steps = 1;
  if (!flags.given("--seeds")) o.seeds = 1;
  if (!flags.given("--batch")) o.train.batch = 4;
  if (!flags.given("--elsewhere")) o.elsewhere = "";
}

}  // namespace

void add_flags(Flags& flags, ComparisonCommand& o) {
  flags.group("Comparison");
  if (o.ablation == nullptr) {
    flags.add("ablation", o.name,
              "what is compared; none: CS-ReFT with what --vary varies" + summaries_of(ablations()));
  }
  flags.add("--variants", o.variants, "only these, separated by commas; empty: all");
  flags.add_list(
      "--vary", o.vary,
      "an option and its values, as rank=1,2,4: each variant with each value, and of several options with each "
      "combination",
      "OPTION=VALUES");
  flags.add("--rates", o.rates,
            "learning rates, separated by commas: each variant has the one with which its first seed does best on "
            "training examples that --examples leaves out (100 of each task) or, where these are few, on a tenth of "
            "the others, set apart for that; auto: those of the comparison, if it has some, without --smoke, --lr and "
            "a varied lr; empty: --lr for all but full fine-tuning, which has its preset's");
  flags.add("--seeds", o.seeds, "number of seeds: --seed and those that follow it");
  flags.add_path("--out", o.out,
                 "folder of the comparison; empty: runs/" + o.experiment + (o.ablation == nullptr ? "-NAME" : "") +
                     ", with --smoke and -smoke behind it. An unfinished one goes on; its table and report show all "
                     "that is there, made by this command or another",
                 "FOLDER");
  flags.add("--jobs", o.jobs,
            "processes side by side, which share the threads; the same command started by hand more than once shares "
            "the work, too, also from other machines that see the folder (a job of an array, srun)");
  flags.add_path(
      "--hosts", o.hosts,
      "machines to run the same command on, a line each as in GNU parallel's --sshloginfile; they must share "
      "this working folder");
  flags.add_switch("--smoke", o.smoke, "a minute's run of everything: few examples, few steps, one seed");
  flags.group("Data");
  flags.add_list("--train", o.train_files,
                 "training data, a file or NAME=FILE a task, in the forms that train reads; none: four word "
                 "skills of WordNet");
  flags.add_list("--test", o.test_files, "test data");
  o.data.add_to(flags);
  add_metric_flag(flags, o.evaluation);
  o.sizes.add_to(flags, o.evaluation);
  flags.add_path("--elsewhere", o.elsewhere,
                 "text that is none of the tasks: what training adds to its mean nll is the drift; auto: "
                 "instruct.test.json beside the first test file, if it is there and no task; empty: none");
  flags.add_switch("--bare", o.bare, "without the words with which all prompts of a task begin and end");
  o.method.describe(*configure({"csreft"}), "csreft");
  o.method.add_to(flags, "Method: CS-ReFT's options, from which each variant departs");
  o.train_flags.add_to(flags, o.train);
  o.saves.add_to(flags);
  o.model.add_to(flags);
}

std::vector<std::string> examples_of(std::string_view experiment, const Ablation* fixed) {
  const std::string files = " --train a.train.json --train b.train.json --test a.test.json --test b.test.json";
  if (fixed != nullptr) {
    return {fmt::format("./run {}", experiment), fmt::format("./run {} --smoke", experiment),
            fmt::format("./run {} --seeds 5 --jobs 7 --device cuda{} --out runs/mine", experiment, files)};
  }
  return {
      "./run ablate", "./run ablate router", "./run ablate gate --smoke",
      "./run ablate --vary rank=1,2,4,8 --vary lr=2e-3,4e-3 --jobs 2",
      fmt::format("./run ablate router --variants learned,manual --seeds 5 --examples 250{} --out runs/mine", files)};
}

void complete(const Flags& flags, ComparisonCommand& o) {
  o.model.check();
  check_metric(o.evaluation);
  o.train = o.train_flags.chosen(o.train, nlohmann::json::object());
  apply_smoke(flags, o);
  o.saves.apply(o.train);
  require(o.seeds >= 1, "--seeds {} is not possible: expected 1 or more", o.seeds);
  require(o.jobs >= 1, "--jobs {} is not possible: expected 1 or more", o.jobs);
  o.train.system = o.evaluation.system = o.model.system;
  o.train.quiet = o.evaluation.quiet = o.model.quiet;
}

}  // namespace csreft
