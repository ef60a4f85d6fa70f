// A conversation in the terminal, with the base model and an adapter side by side: each goes on from its own answers.
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>

#include <unistd.h>

#include "core/ops/checks.h"
#include "experiments/cli/progress.h"
#include "experiments/training/adapted_model.h"
#include "experiments/training/conversation.h"

namespace csreft {
namespace {

constexpr std::string_view commands = R"(  /reset         start anew
  /system TEXT   start anew with this system message; without TEXT, with none
  /help          this list
  /quit          end, as Ctrl-D does
Ctrl-C stops the answer that is being written.
)";

// The handler of SIGINT outside of answers: Ctrl-C only gives up the line that is being typed.
extern "C" void ignore_signal(int /*signal*/) {}

// While one lives, Ctrl-C does not end the process.
class WithoutInterrupts {
 public:
  // flags: SA_RESTART, or 0 where a read that waits is to end.
  explicit WithoutInterrupts(int flags) {
    struct sigaction action {};
    action.sa_handler = ignore_signal;
    action.sa_flags = flags;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGINT, &action, &former_);
  }
  ~WithoutInterrupts() { ::sigaction(SIGINT, &former_, nullptr); }
  WithoutInterrupts(const WithoutInterrupts&) = delete;
  WithoutInterrupts& operator=(const WithoutInterrupts&) = delete;

 private:
  struct sigaction former_ {};
};

// A line of stdin without its end; nothing where there are no more. Ctrl-C makes it an empty one.
std::optional<std::string> read_line() {
  const WithoutInterrupts reads_end(0);
  char* line = nullptr;
  std::size_t size = 0;
  const auto n = ::getline(&line, &size, stdin);
  const bool is_given_up = n < 0 && errno == EINTR;
  const std::unique_ptr<char, decltype(&std::free)> owner(line, std::free);
  if (is_given_up) {
    std::clearerr(stdin);
    fmt::print("\n");
    return "";
  }
  if (n < 0) return std::nullopt;
  std::string text(line, static_cast<std::size_t>(n));
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  text.erase(0, text.find_first_not_of(" \t"));
  return text;
}

struct Speaker {
  std::string label;     // empty: the only one
  const Method* method;  // null: the model as it is
  Conversation conversation;
};

struct Chat {
  const AdaptedModel& adapted;
  GenerationOptions generation;
  std::string task;  // for gates that are decided by it
  std::vector<Speaker> speakers;
  std::uint64_t turn = 0;

  std::size_t margin() const;
  void answer(Speaker& speaker, const std::string& text) const;
  void answer(const std::string& text);
};

// The columns in front of each line of an answer.
std::size_t Chat::margin() const {
  std::size_t width = 0;
  for (const auto& speaker : speakers) width = std::max(width, speaker.label.size());
  return width == 0 ? 0 : width + 2;
}

std::string gates_line(const PassesOfBatches& passes) {
  const Gates* gates = passes.empty() ? nullptr : passes.front()->gates();
  if (gates == nullptr || !gates->alpha.defined()) return "";
  const Tensor alpha = gates->alpha.value().to(DType::f64).to(Device{});
  std::string line = "(gates";
  for (const double gate : alpha.span<double>()) line += fmt::format(" {:.2f}", gate);
  return line + ")";
}

void Chat::answer(Speaker& speaker, const std::string& text) const {
  const LanguageModel& model = adapted.model;
  const std::int64_t context = context_length(model.llama.config());
  const auto prompt = speaker.conversation.ask(model, text, std::max(context - generation.max_new_tokens, context / 2));
  if (prompt.left_out > 0) {
    fmt::print("note: {}{} of the oldest turns {} forgotten: the context has {} tokens\n",
               speaker.label.empty() ? "" : speaker.label + ": ", prompt.left_out, prompt.left_out == 1 ? "is" : "are",
               context);
  }
  const std::string indent(margin(), ' ');
  print_text(fmt::format("{:<{}}", speaker.label, margin()));
  PassesOfBatches passes;
  const InterruptGuard guard;
  std::string answer = stream_answer(
      model, prompt.ids, generation, generation_attachments(speaker.method, task, &passes),
      [&indent](std::string_view part) {
        for (const char c : part) {
          fmt::print("{}", c);
          if (c == '\n') fmt::print("{}", indent);
        }
        std::fflush(stdout);
      },
      turn);
  print_text(interrupted() ? " ... (stopped)\n" : "\n");
  if (const auto line = gates_line(passes); !line.empty()) fmt::print("{}{}\n", indent, line);
  speaker.conversation.answer(std::move(answer));
}

void Chat::answer(const std::string& text) {
  for (auto& speaker : speakers) {
    answer(speaker, text);
    if (terminated()) return;
  }
  ++turn;
}

// False for /quit.
bool obey(Chat& chat, const std::string& line) {
  const std::string word = line.substr(0, line.find(' '));
  const std::string text = line.substr(std::min(line.size(), line.find_first_not_of(' ', word.size())));
  if (word == "/quit") return false;
  if (word == "/reset") {
    for (auto& speaker : chat.speakers) speaker.conversation.reset();
    fmt::print("the conversation starts anew\n");
  } else if (word == "/system") {
    for (auto& speaker : chat.speakers) speaker.conversation.reset(text);
    fmt::print("the conversation starts anew, {}\n", text.empty() ? "without a system message" : "with: " + text);
  } else {
    if (word != "/help") fmt::print("there is no command {}\n", word);
    fmt::print("{}", commands);
  }
  return true;
}

std::vector<Speaker> speakers_of(const AdaptedModel& adapted, bool with_base) {
  const Method* method = adapted.adapters.get();
  if (method == nullptr || !with_base) return {{"", method, Conversation(adapted.system)}};
  return {{"base", nullptr, Conversation(adapted.system)}, {adapted.label, method, Conversation(adapted.system)}};
}

// Questions and commands, a line each, until stdin ends. What is not typed is shown, so that the whole can be read.
int talk(Chat& chat) {
  const bool is_typed = ::isatty(STDIN_FILENO) != 0;
  tell_template(chat.adapted.model);
  const WithoutInterrupts between_answers(SA_RESTART);
  if (is_typed) {
    fmt::print("{}{}. /help lists commands; Ctrl-D ends.\n", chat.adapted.model.name,
               chat.adapted.label == "base" ? "" : ", with " + chat.adapted.label);
  }
  while (true) {
    if (is_typed) print_text("\n> ");
    const auto line = read_line();
    if (!line) break;
    if (line->empty()) continue;
    if (!is_typed) fmt::print("> {}\n", *line);
    if (line->starts_with('/')) {
      if (!obey(chat, *line)) return 0;
      continue;
    }
    try {
      chat.answer(*line);
    } catch (const Error& error) {
      fmt::print("{}\n", one_line(error.what()));
    }
    if (terminated()) return interrupted_exit;
    if (!is_typed) fmt::print("\n");
  }
  if (is_typed) fmt::print("\n");
  return 0;
}

}  // namespace

int chat(Arguments arguments) {
  ModelFlags model_flags;
  AdapterFlags adapter_flags;
  GenerationOptions generation;
  generation.max_new_tokens = 256;
  bool base = true;
  Flags flags(
      "chat",
      "A conversation in the terminal. With an adapter the base model answers first, then the adapter: each goes "
      "on from its own answers. In it, /help lists commands, Ctrl-C stops an answer and Ctrl-D ends.",
      {"./run chat", "./run chat --adapter last", "./run chat --adapter last --no-base --temperature 0.7",
       "./run chat --model path/to/Llama-2-7b-chat --system 'You answer in one sentence.'",
       "echo 'What is the opposite of hot?' | ./run chat --adapter last"});
  flags.group("Adapters");
  flags.add_switch("--base,!--no-base", base, "with an adapter, the base model answers, too");
  adapter_flags.add_to(flags);
  add_generation_flags(flags, generation);
  model_flags.add_to(flags);
  if (!flags.parse(arguments)) return 0;
  checks::sampling(generation.sampling);
  require(generation.max_new_tokens >= 1, "--max-new-tokens {} is not possible: expected 1 or more",
          generation.max_new_tokens);
  model_flags.check();
  adapter_flags.check();
  begin_work();
  const AdaptedModel adapted(model_flags, adapter_flags, flags);
  generation.stop_tokens = stop_tokens(adapted.model);
  Chat chat{
      .adapted = adapted, .generation = generation, .task = adapter_flags.task, .speakers = speakers_of(adapted, base)};
  return talk(chat);
}

}  // namespace csreft
