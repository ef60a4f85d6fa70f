// Follows one prompt through a model with an adapter: the gates, what each edit does to each hidden state, and how the
// next token's probabilities move.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "experiments/training/adapted_model.h"

namespace csreft {
namespace {

using nlohmann::json;

// One edited hidden state.
struct Edit {
  std::int64_t layer;
  std::int32_t position;
  std::vector<float> before, after;
};

double norm(std::span<const float> x) { return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0)); }

double cosine(std::span<const float> x, std::span<const float> y) {
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0) / std::max(norm(x) * norm(y), 1e-30);
}

std::vector<float> difference(const Edit& edit) {
  std::vector<float> out(edit.before.size());
  std::ranges::transform(edit.after, edit.before, out.begin(), std::minus{});
  return out;
}

// Wraps a pass so that every row which an edit changes is recorded.
Attachments record_edits(const Attachments& points, std::vector<Edit>& edits) {
  Attachments recording = points;
  if (!points.block_output) return recording;
  recording.block_output = [&edits, apply = points.block_output](std::int64_t layer, const Variable& hidden) {
    const Variable edited = apply(layer, hidden);
    const std::int64_t d = hidden.value().cols();
    const Tensor all_before = hidden.value().to(Device{}), all_after = edited.value().to(Device{});
    for (std::int64_t row = 0; row < all_before.rows(); ++row) {
      const auto before = all_before.slice(row, row + 1).span<float>();
      const auto after = all_after.slice(row, row + 1).span<float>();
      if (std::equal(before.begin(), before.begin() + d, after.begin())) continue;
      edits.push_back(
          {layer, static_cast<std::int32_t>(row), {before.begin(), before.end()}, {after.begin(), after.end()}});
    }
    return edited;
  };
  return recording;
}

std::vector<double> softmax_of(std::span<const float> logits) {
  const double highest = *std::ranges::max_element(logits);
  std::vector<double> p(logits.begin(), logits.end());
  double total = 0.0;
  for (double& x : p) total += (x = std::exp(x - highest));
  for (double& x : p) x /= total;
  return p;
}

std::vector<std::int32_t> largest(std::span<const double> values, std::size_t n) {
  std::vector<std::int32_t> ids(values.size());
  std::iota(ids.begin(), ids.end(), 0);
  n = std::min(n, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n), ids.end(), [&](auto a, auto b) {
    return values[static_cast<std::size_t>(a)] > values[static_cast<std::size_t>(b)];
  });
  ids.resize(n);
  return ids;
}

// Next-token probabilities after the prompt.
std::vector<double> next_token(const LanguageModel& model, const TokenBatch& prompt, const Attachments& points) {
  const Variable hidden = model.llama.forward(prompt, points);
  const std::int64_t n = hidden.value().rows();
  const Tensor logits = model.llama.logits(Variable(hidden.value().slice(n - 1, n))).value().to(Device{});
  return softmax_of(logits.span<float>());
}

// The tokens whose output vectors a direction of the residual stream points at most: what the edit "says" (the logit
// lens, without the last norm).
std::string direction_in_words(const LanguageModel& model, const std::vector<float>& direction) {
  const Tensor row = Tensor::from(std::span<const float>(direction), {1, static_cast<std::int64_t>(direction.size())});
  const Tensor logits = model.llama.logits(Variable(row.to(model.llama.options()))).value().to(Device{});
  const auto scores = logits.span<float>();
  std::string words;
  for (const auto id : largest(std::vector<double>(scores.begin(), scores.end()), 3)) {
    words += (words.empty() ? "" : " ") + fmt::format("'{}'", model.tokenizer.piece(id));
  }
  return words;
}

std::string first_values(std::span<const float> x, std::size_t n) {
  std::string out;
  for (const float v : x.first(std::min(n, x.size()))) out += fmt::format("{:>8.3f}", v);
  return out;
}

// alpha, of `source`, and what the router thought of each subspace where that is another thing.
void print_gates(std::string_view source, const Gates& gates, json& result) {
  if (!gates.alpha.defined()) return;
  const Tensor gate = gates.alpha.value().to(Device{});
  const auto alpha = gate.span<float>();
  fmt::print("{}: alpha{}", source, first_values(alpha, alpha.size()));
  result["alpha"] = std::vector<float>(alpha.begin(), alpha.end());
  if (gates.probabilities.defined() && !gates.probabilities.value().shares_storage_with(gates.alpha.value())) {
    const Tensor probabilities = gates.probabilities.value().to(Device{});
    const auto p = probabilities.span<float>();
    fmt::print("   (probabilities{})", first_values(p, p.size()));
    result["probabilities"] = std::vector<float>(p.begin(), p.end());
  }
  fmt::print("\n");
}

void print_edits(const LanguageModel& model, const std::vector<Edit>& edits, std::span<const std::int32_t> ids,
                 std::size_t values) {
  if (edits.empty()) {
    fmt::print("no hidden state is edited after a block\n");
    return;
  }
  fmt::print(
      "\nedits (|h|: norm before; |dh|: of the edit; cos: between before and after; then h before, h after, and the\n"
      "tokens that dh points at)\n");
  fmt::print("{:>5} {:>4} {:<14} {:>8} {:>8} {:>7}\n", "layer", "pos", "token", "|h|", "|dh|", "cos");
  for (const auto& edit : edits) {
    const auto delta = difference(edit);
    fmt::print("{:>5} {:>4} {:<14} {:>8.2f} {:>8.3f} {:>7.4f}  {} -> {}  {}\n", edit.layer, edit.position,
               model.tokenizer.piece(ids[static_cast<std::size_t>(edit.position)]), norm(edit.before), norm(delta),
               cosine(edit.before, edit.after), first_values(edit.before, values), first_values(edit.after, values),
               direction_in_words(model, delta));
  }
}

double divergence(const std::vector<double>& p, const std::vector<double>& q) {
  double sum = 0.0;
  for (std::size_t i = 0; i < p.size(); ++i) sum += p[i] > 0.0 ? p[i] * std::log(p[i] / std::max(q[i], 1e-300)) : 0.0;
  return sum;
}

void print_shift(const LanguageModel& model, const std::vector<double>& before, const std::vector<double>& after) {
  constexpr std::size_t shown = 5;
  fmt::print("\nnext token, before and after (KL(after || before) = {:.4f} nats)\n", divergence(after, before));
  const auto first = largest(before, shown), second = largest(after, shown);
  for (std::size_t i = 0; i < shown; ++i) {
    fmt::print("  {:>7.4f} {:<20} {:>7.4f} {}\n", before[static_cast<std::size_t>(first[i])],
               model.tokenizer.piece(first[i]), after[static_cast<std::size_t>(second[i])],
               model.tokenizer.piece(second[i]));
  }
}

json edits_json(const std::vector<Edit>& edits) {
  json out = json::array();
  for (const auto& e : edits) {
    const auto delta = difference(e);
    out.push_back({{"layer", e.layer},
                   {"position", e.position},
                   {"norm_before", norm(e.before)},
                   {"norm_edit", norm(delta)},
                   {"cosine", cosine(e.before, e.after)},
                   {"before", e.before},
                   {"after", e.after}});
  }
  return out;
}

}  // namespace

int inspect(Arguments arguments) {
  ModelFlags model_flags;
  AdapterFlags adapter_flags;
  std::string prompt, input, out;
  std::size_t values = 3;
  Flags flags(
      "inspect", "Shows what an adapter does to one prompt.",
      {"./run inspect --adapter runs/quickstart-20260101-120000/adapter --prompt 'What is the opposite of hot?'"});
  flags.group("Data");
  flags.add_required("--prompt", prompt, "an instruction", "--prompt TEXT, an instruction to follow through the model");
  flags.add("--input", input, "what the instruction is about");
  flags.add("--values", values, "components shown of each hidden state");
  flags.add_path("--json", out, "write everything, whole hidden states included, here");
  flags.group("Adapters");
  adapter_flags.add_to(flags);
  model_flags.add_to(flags);
  if (!flags.parse(arguments)) return 0;
  require(!prompt.empty(), "there is nothing to inspect: expected --prompt TEXT, which is not empty");

  const auto output = open_output(out);
  const AdaptedModel adapted(model_flags, adapter_flags, flags);
  const LanguageModel& model = adapted.model;
  const Method* method = adapted.adapters.get();

  const NoGrad no_grad;
  const auto ids = encode_prompt(*model.chat, model.tokenizer, adapted.system, prompt, input);
  const TokenBatch batch = pack_tokens(std::vector<std::vector<std::int32_t>>{ids});
  fmt::print("{}: {} tokens, template {}\n", model.name, ids.size(), model.chat->name);
  const auto before = next_token(model, batch, {});
  json result{{"model", model.name}, {"prompt_ids", ids}};
  std::vector<Edit> edits;
  std::vector<double> after = before;
  if (method != nullptr) {
    const PromptSpans spans = whole_prompts(batch);
    const std::vector<std::int32_t> tasks{method->task_index(adapter_flags.task)};
    const auto pass = method->attach({batch, spans, tasks});
    after = next_token(model, batch, record_edits(pass->points(), edits));
    fmt::print("method {}, {} parameters\n", adapted.label, count_parameters(*method).total);
    const std::string source =
        adapter_flags.alpha.empty()
            ? fmt::format("gate {}", method->routing() != nullptr ? method->routing()->gate() : "")
            : "gates of --alpha, in place of the router's";
    if (pass->gates() != nullptr) print_gates(source, *pass->gates(), result);
    print_edits(model, edits, ids, values);
  }
  print_shift(model, before, after);
  result["edits"] = edits_json(edits);
  result["next_token_before"] = before;
  result["next_token_after"] = after;
  write_output(output, result.dump() + "\n");
  return 0;
}

}  // namespace csreft
