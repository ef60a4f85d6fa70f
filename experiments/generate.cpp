// Continues one prompt on the screen, or answers a file of instructions in AlpacaEval's form.
#include "core/ops/checks.h"
#include "experiments/cli/progress.h"
#include "experiments/training/adapted_model.h"

namespace csreft {
namespace {

// Prints each whole character as it comes.
void answer_prompt(const LanguageModel& model, const std::vector<std::int32_t>& prompt,
                   const GenerationOptions& options, const GenerationAttachments& attachments) {
  IncrementalDecoder decoder(model.tokenizer);
  const auto print = [](const std::string& text) {
    fmt::print("{}", text);
    std::fflush(stdout);
  };
  const std::vector<std::vector<std::int32_t>> prompts{prompt};
  generate(model.llama, prompts, options, attachments, [&](std::size_t, std::int32_t token) {
    print(decoder.push(token));
    return !interrupted();
  });
  print(decoder.finish() + "\n");
}

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

// [{dataset, instruction, output, generator}]: what AlpacaEval reads; with `adapter` where the example names its own.
nlohmann::json answer_file(const AdaptedModel& adapted, const Task& task, const std::string& task_name,
                           std::int64_t batch, const GenerationOptions& options, bool quiet) {
  const LanguageModel& model = adapted.model;
  const auto uses = adapters_of(adapted, task);
  const std::int32_t index = adapted.adapters ? adapted.adapters->task_index(task_name, uses) : -1;
  nlohmann::json answers = nlohmann::json::array();
  const auto n = static_cast<std::int64_t>(task.examples.size());
  Progress progress("generate", n, "tok", quiet);
  double tokens = 0;
  for (std::int64_t begin = 0; begin < n && !interrupted(); begin += batch) {
    const auto examples =
        std::span(task.examples)
            .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(std::min(batch, n - begin)));
    const auto prompts = encode_prompts(model, examples, adapted.system);
    const auto own = std::span(uses).subspan(static_cast<std::size_t>(begin), examples.size());
    const auto outputs = generate(
        model.llama, prompts, options, attachments_of(adapted, index, own),
        [](std::size_t, std::int32_t) { return !interrupted(); }, static_cast<std::uint64_t>(begin));
    if (interrupted()) break;
    for (const auto& ids : outputs) {
      const Example& e = task.examples[answers.size()];
      nlohmann::json answer{{"instruction", e.instruction},
                            {"output", model.tokenizer.decode(ids)},
                            {"generator", generator_of(adapted, uses[answers.size()])}};
      if (e.adapters) answer["adapter"] = *e.adapters;
      if (!e.dataset.empty()) answer["dataset"] = e.dataset;
      if (!e.input.empty()) answer["input"] = e.input;
      answers.push_back(std::move(answer));
      tokens += static_cast<double>(ids.size());
    }
    progress.update(static_cast<std::int64_t>(answers.size()), tokens);
  }
  return answers;
}

}  // namespace

int generate_text(Arguments arguments) {
  ModelFlags model_flags;
  GenerationOptions options;
  AdapterFlags adapter_flags;
  std::string prompt, input, data, out;
  std::int64_t batch = 16;
  options.max_new_tokens = 256;
  Flags flags(
      "generate", "Continues one prompt, or answers a file of instructions.",
      {"./run generate --prompt 'What is the capital of France?'",
       "./run generate --adapter runs/quickstart-20260101-120000/adapter --prompt 'What is the opposite of hot?'",
       "./run generate --adapter runs/a/adapter --alpha 1,0,0.5,0 --prompt 'What is the opposite of hot?'",
       "./run generate --adapter a=runs/a/adapter --adapter b=runs/b/adapter --use b --scale 0.8 --prompt 'Hello'",
       "./run generate --data alpaca_eval.json --out outputs.json --max-new-tokens 512 --temperature 0.7 --top-p 0.9"});
  flags.group("Data");
  flags.add("--prompt", prompt, "an instruction, answered on the screen");
  flags.add("--input", input, "what the instruction of --prompt is about");
  flags.add_path(
      "--data", data,
      "a file of instructions, JSON of {instruction[, input, dataset, adapter]}; adapter names those of --adapter");
  flags.add_path("--out", out, "where the answers to --data go: [{dataset, instruction, output, generator}]");
  flags.group("Adapters");
  adapter_flags.add_to(flags);
  flags.group("Generation");
  flags.add("--max-new-tokens", options.max_new_tokens, "tokens of the longest answer");
  flags.add("--temperature", options.sampling.temperature,
            "of the softmax that tokens are drawn from; 0: always the most probable token");
  flags.add("--top-k", options.sampling.top_k, "draw from the k most probable tokens; 0: all");
  flags.add("--top-p", options.sampling.top_p, "draw from the most probable tokens of this total probability");
  flags.add("--seed", options.sampling.seed, "seed of the draws");
  flags.add("--batch", batch, "instructions of --data that are answered together");
  model_flags.add_to(flags);
  if (!flags.parse(arguments)) return 0;
  require(prompt.empty() || data.empty(), "there are --prompt and --data: expected one of them");
  require(!prompt.empty() || !data.empty(),
          "there is nothing to answer: expected --prompt TEXT, which is not empty, or --data FILE with --out FILE");
  require(data.empty() == out.empty(), "--data and --out go together: expected both or none");
  require(batch >= 1, "--batch {} is not possible: expected 1 or more", batch);
  checks::sampling(options.sampling);

  model_flags.check();
  adapter_flags.check();
  const Task task = data.empty() ? Task{} : load_task(data, Outputs::optional);
  const auto output = open_output(out);
  const AdaptedModel adapted(model_flags, adapter_flags, flags);
  const LanguageModel& model = adapted.model;
  const Method* method = adapted.adapters.get();
  options.stop_tokens = stop_tokens(model);

  const InterruptGuard guard;
  if (data.empty()) {
    answer_prompt(model, encode_prompt(*model.chat, model.tokenizer, adapted.system, prompt, input), options,
                  generation_attachments(method, adapter_flags.task));
  } else {
    check_task(
        model, method, task,
        {.batch = batch, .max_examples = 0, .system = adapted.system, .task = adapter_flags.task, .quiet = true});
    const auto answers = answer_file(adapted, task, adapter_flags.task, batch, options, model_flags.quiet);
    write_output(output, answers.dump(2) + "\n");
    fmt::print("{} answers in {}\n", answers.size(), out);
  }
  return interrupted() ? interrupted_exit : 0;
}

}  // namespace csreft
