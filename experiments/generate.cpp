// Continues one prompt on the screen, or answers a file of instructions in AlpacaEval's form.
#include "core/base/atomic_file.h"
#include "core/base/hash.h"
#include "core/ops/checks.h"
#include "experiments/cli/progress.h"
#include "experiments/training/adapted_model.h"
#include "experiments/training/conversation.h"
#include "experiments/training/resumable_answers.h"

namespace csreft {
namespace {

// The adapters of each example, by index: those that it names, or else those in use.
std::vector<std::vector<std::size_t>> adapters_of(const AdaptedModel& adapted, const Task& task) {
  std::vector<std::vector<std::size_t>> uses;
  for (std::size_t e = 0; e < task.examples.size(); ++e) {
    const auto& names = task.examples[e].adapters;
    std::vector<std::size_t> own = adapted.adapters ? adapted.adapters->in_use() : std::vector<std::size_t>{};
    if (names) {
      require(adapted.adapters != nullptr || names->empty(),
              "{}: example {} names an adapter, and none is given: expected --adapter NAME=FOLDER", task.name, e);
      own.clear();
      for (const auto& name : *names) own.push_back(adapted.adapters->find(name));
    }
    uses.push_back(std::move(own));
  }
  return uses;
}

// How the adapters take part in a batch whose example e has uses[e].
GenerationAttachments attachments_of(const AdaptedModel& adapted, std::int32_t task,
                                     std::span<const std::vector<std::size_t>> uses) {
  if (!adapted.adapters) return {};
  return generation_attachments(
      [&adapted, uses](const PromptBatch& prompts) { return adapted.adapters->attach(prompts, uses); }, task);
}

// The model and the methods that an answer comes from: "SmolLM2-135M+csreft".
std::string generator_of(const AdaptedModel& adapted, std::span<const std::size_t> uses) {
  const std::string label = adapted.adapters ? adapted.adapters->label(uses) : adapted.label;
  return label.empty() || label == "base" ? adapted.model.name : adapted.model.name + "+" + label;
}

// Of the files in which an adapter keeps its values.
std::string hash_of_adapter(const std::filesystem::path& folder) {
  std::uint64_t hash = fnv1a_start;
  for (const char* name : {"adapter.json", "adapter.safetensors", "adapter_config.json", "adapter_model.safetensors"}) {
    if (std::filesystem::exists(folder / name)) hash = fnv1a(read_text_file(folder / name), hash);
  }
  return fmt::format("{:016x}", hash);
}

struct GenerateOptions {
  ModelFlags model;
  AdapterFlags adapters;
  GenerationOptions generation;
  std::string prompt, input, data, out;
  DataFlags columns;
  std::int64_t batch = 16;
};

// All that decides the answers, but for last bits, which depend on what computes.
nlohmann::json asked_for(const GenerateOptions& options, const AdaptedModel& adapted, const Task& task) {
  std::uint64_t prompts = content_hash(task);
  for (const auto& e : task.examples) {
    prompts = fnv1a(e.dataset + '\n' + (e.adapters ? nlohmann::json(*e.adapters).dump() : "") + '\n', prompts);
  }
  std::vector<std::string> adapter_hashes;
  for (const auto& folder : adapted.folders) adapter_hashes.push_back(hash_of_adapter(folder));
  const SamplingOptions& sampling = options.generation.sampling;
  return {{"data", fmt::format("{} instructions, {:016x}", task.examples.size(), prompts)},
          {"model", adapted.model.llama.fingerprint().text()},
          {"weights", options.model.weights},
          {"chat_template", adapted.model.chat->source},
          {"system", adapted.system},
          {"adapter", options.adapters.adapters},
          {"adapter_hashes", adapter_hashes},
          {"use", options.adapters.use},
          {"alpha", options.adapters.alpha},
          {"scale", options.adapters.scale},
          {"task", options.adapters.task},
          {"max_new_tokens", options.generation.max_new_tokens},
          {"temperature", sampling.temperature},
          {"top_k", sampling.top_k},
          {"top_p", sampling.top_p},
          {"seed", sampling.seed},
          {"batch", options.batch}};
}

// Turns before the instruction, as Alpaca's format has them: [[user, assistant], ...].
nlohmann::json history_json(std::span<const Message> history) {
  auto turns = nlohmann::json::array();
  for (std::size_t i = 0; i + 1 < history.size(); i += 2) {
    turns.push_back({history[i].content, history[i + 1].content});
  }
  return turns;
}

// {dataset, instruction, output, generator}, what AlpacaEval reads; with `adapter` where the example names its own, and
// what else its prompt is made of: `input`, `history`, `system`.
nlohmann::json answer_to(const Example& e, const std::string& system, std::string output, std::string generator) {
  nlohmann::json answer{
      {"instruction", e.instruction}, {"output", std::move(output)}, {"generator", std::move(generator)}};
  if (e.adapters) answer["adapter"] = *e.adapters;
  if (!e.dataset.empty()) answer["dataset"] = e.dataset;
  if (!e.input.empty()) answer["input"] = e.input;
  if (!e.history.empty()) answer["history"] = history_json(e.history);
  if (const auto& own = e.system.empty() ? system : e.system; !own.empty()) answer["system"] = own;
  return answer;
}

// The adapters of each example, and the task by which their gates may be decided.
struct Uses {
  std::vector<std::vector<std::size_t>> adapters;
  std::int32_t task = -1;
};

// Answers what is not answered yet, a batch at a time, until a signal comes.
void answer_file(const AdaptedModel& adapted, const Task& task, const GenerateOptions& options, const Uses& uses,
                 ResumableAnswers& answers) {
  const LanguageModel& model = adapted.model;
  const std::size_t n = task.examples.size(), before = answers.answers().size();
  Progress progress("generate", static_cast<std::int64_t>(n), "tok", options.model.quiet, stderr,
                    static_cast<std::int64_t>(before));
  double tokens = 0;
  for (std::size_t begin = before; begin < n && !interrupted(); begin = answers.answers().size()) {
    const std::size_t size = std::min(static_cast<std::size_t>(options.batch), n - begin);
    const auto examples = std::span(task.examples).subspan(begin, size);
    const auto own = std::span(uses.adapters).subspan(begin, size);
    const auto outputs = generate(
        model.llama, encode_prompts(model, examples, adapted.system), options.generation,
        attachments_of(adapted, uses.task, own), [](std::size_t, std::int32_t) { return !interrupted(); }, begin);
    if (interrupted()) break;
    std::vector<nlohmann::json> batch;
    for (std::size_t i = 0; i < size; ++i) {
      batch.push_back(
          answer_to(examples[i], adapted.system, model.tokenizer.decode(outputs[i]), generator_of(adapted, own[i])));
      tokens += static_cast<double>(outputs[i].size());
    }
    answers.add(std::move(batch));
    progress.update(static_cast<std::int64_t>(answers.answers().size()), tokens);
  }
}

void answer_data(const AdaptedModel& adapted, const Task& task, const GenerateOptions& options) {
  const std::size_t n = task.examples.size();
  Uses uses{.adapters = adapters_of(adapted, task)};
  if (adapted.adapters) uses.task = adapted.adapters->task_index(options.adapters.task, uses.adapters);
  ResumableAnswers answers(options.out, asked_for(options, adapted, task), static_cast<std::size_t>(options.batch), n);
  if (!answers.answers().empty()) fmt::print("goes on after {} of {} answers\n", answers.answers().size(), n);
  std::fflush(stdout);
  answer_file(adapted, task, options, uses, answers);
  answers.write();
  fmt::print("{} answers in {}\n", answers.answers().size(), options.out);
  if (answers.answers().size() < n) fmt::print("interrupted; the same command goes on\n");
}

void add_flags(Flags& flags, GenerateOptions& o) {
  flags.group("Data");
  flags.add("--prompt", o.prompt, "an instruction, answered on the screen");
  flags.add("--input", o.input, "what the instruction of --prompt is about");
  flags.add_path(
      "--data", o.data,
      "a file of instructions, in the forms that train reads: without outputs, or the last response is answered anew; "
      "an element's `adapter` names those of --adapter");
  flags.add_path("--out", o.out,
                 "where the answers to --data go: [{dataset, instruction, output, generator}], and where a prompt has "
                 "more: input, history (the turns before), system. A command that was stopped goes on from what "
                 "FILE.part keeps");
  o.columns.add_to(flags, /*with_task_column=*/false);
  flags.group("Adapters");
  o.adapters.add_to(flags);
  add_generation_flags(flags, o.generation);
  flags.add("--batch", o.batch, "instructions of --data that are answered together");
  o.model.add_to(flags);
}

void check(const GenerateOptions& o) {
  require(o.prompt.empty() || o.data.empty(), "there are --prompt and --data: expected one of them");
  require(!o.prompt.empty() || !o.data.empty(),
          "there is nothing to answer: expected --prompt TEXT, which is not empty, or --data FILE with --out FILE");
  require(o.data.empty() == o.out.empty(), "--data and --out go together: expected both or none");
  require(o.batch >= 1, "--batch {} is not possible: expected 1 or more", o.batch);
  checks::sampling(o.generation.sampling);
  o.model.check();
  o.adapters.check();
}

}  // namespace

int generate_text(Arguments arguments) {
  GenerateOptions o;
  o.generation.max_new_tokens = 256;
  Flags flags(
      "generate", "Continues one prompt, or answers a file of instructions.",
      {"./run generate --prompt 'What is the capital of France?'",
       "./run generate --adapter last --prompt 'What is the opposite of hot?'",
       "./run generate --adapter runs/a/adapter --alpha 1,0,0.5,0 --prompt 'What is the opposite of hot?'",
       "./run generate --adapter a=runs/a/adapter --adapter b=runs/b/adapter --use b --scale 0.8 --prompt 'Hello'",
       "./run generate --data alpaca_eval.json --out outputs.json --max-new-tokens 512 --temperature 0.7 --top-p 0.9"});
  add_flags(flags, o);
  if (!flags.parse(arguments)) return 0;
  check(o);
  std::vector<Task> tasks;
  std::vector<std::string> notes;
  if (!o.data.empty()) tasks = load_tasks(std::span(&o.data, 1), o.columns.reading(Outputs::optional), &notes);
  begin_work();
  print_notes(notes);
  if (!o.out.empty()) const AtomicFile can_be_written(o.out);  // or else it is said before any work
  const AdaptedModel adapted(o.model, o.adapters, flags);
  const LanguageModel& model = adapted.model;
  const Method* method = adapted.adapters.get();
  o.generation.stop_tokens = stop_tokens(model);

  const InterruptGuard guard;
  if (o.data.empty()) {
    stream_answer(model, encode_prompt(*model.chat, model.tokenizer, adapted.system, o.prompt, o.input), o.generation,
                  generation_attachments(method, o.adapters.task), print_text);
    print_text("\n");
  } else {
    const EvaluationOptions options{
        .batch = o.batch, .max_examples = 0, .system = adapted.system, .task = o.adapters.task, .quiet = true};
    skip_unusable(model, tasks, options);
    check_task(model, method, tasks.front(), options);
    answer_data(adapted, tasks.front(), o);
  }
  tell_template(model);
  return interrupted() ? interrupted_exit : 0;
}

}  // namespace csreft
