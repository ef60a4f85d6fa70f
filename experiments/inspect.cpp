// Follows one prompt through a model with an adapter: the gates, what each edit does to each hidden state, and how the
// next token's probabilities move.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "experiments/cli/text_table.h"
#include "experiments/training/adapted_model.h"
#include "reft/positions.h"

namespace csreft {
namespace {

using nlohmann::json;

// One edited hidden state.
struct Edit {
  std::int64_t layer;
  std::int32_t position;
  std::vector<float> before, after;
  std::vector<double> shares{};  // of each subspace in the sum of their sizes; empty: it has none of its own
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

// What each subspace of a method by itself does to a hidden state: its edit with the gates of all others shut.
class Subspaces {
 public:
  // Of the adapter in use; none where there are several, or where it has one subspace, or gates by token.
  Subspaces(const AdaptedModel& adapted, const TokenBatch& batch) {
    if (adapted.adapters->in_use().size() != 1) return;
    const Method& method = *adapted.adapters->adapters()[adapted.adapters->in_use().front()].method;
    const Routing* routing = method.routing();
    if (routing == nullptr || routing->subspaces() < 2 || routing->by_token()) return;
    const PromptSpans spans = whole_prompts(batch);
    for (std::int64_t i = 0; i < routing->subspaces(); ++i) {
      std::vector<double> alone(static_cast<std::size_t>(routing->subspaces()), 0.0);
      alone[static_cast<std::size_t>(i)] = 1.0;
      passes_.push_back(method.attach({.tokens = batch, .prompts = spans, .alpha = alone}));
      points_.push_back(passes_.back()->points());
    }
  }

  // [subspaces][rows]: the sizes of their edits of `hidden` at block `layer`, each with its gate of `alpha`.
  std::vector<std::vector<double>> sizes(std::int64_t layer, const Variable& hidden,
                                         std::span<const double> alpha) const {
    std::vector<std::vector<double>> out;
    for (std::size_t i = 0; i < points_.size(); ++i) {
      const Variable edited = points_[i].block_output(layer, hidden);
      const Tensor change = ops::sub(edited.value(), hidden.value()).to(Device{});
      auto& sizes = out.emplace_back();
      for (std::int64_t row = 0; row < change.rows(); ++row) {
        sizes.push_back(std::abs(alpha[i]) * norm(change.slice(row, row + 1).span<float>()));
      }
    }
    return out;
  }

 private:
  std::vector<std::unique_ptr<MethodPass>> passes_;
  std::vector<Attachments> points_;
};

// The gates of the one prompt of a pass; none if it has none.
std::vector<double> gates_of(const MethodPass& pass) {
  if (pass.gates() == nullptr || !pass.gates()->alpha.defined()) return {};
  const Tensor alpha = pass.gates()->alpha.value().to(DType::f64).to(Device{});
  return {alpha.span<double>().begin(), alpha.span<double>().end()};
}

// The share of each of the sizes at `row` in their sum; none where that is 0.
std::vector<double> shares_of(const std::vector<std::vector<double>>& sizes, std::size_t row) {
  std::vector<double> shares;
  double sum = 0.0;
  for (const auto& size : sizes) sum += size[row];
  for (const auto& size : sizes) {
    if (sum > 0.0) shares.push_back(size[row] / sum);
  }
  return shares;
}

// Wraps a pass so that every row which an edit changes is recorded.
Attachments record_edits(MethodPass& pass, const Subspaces& subspaces, std::vector<Edit>& edits) {
  Attachments recording = pass.points();
  if (!recording.block_output) return recording;
  recording.block_output = [&pass, &subspaces, &edits, apply = recording.block_output](std::int64_t layer,
                                                                                       const Variable& hidden) {
    const Variable edited = apply(layer, hidden);
    const std::int64_t d = hidden.value().cols();
    const Tensor all_before = hidden.value().to(Device{}), all_after = edited.value().to(Device{});
    const std::size_t first = edits.size();
    for (std::int64_t row = 0; row < all_before.rows(); ++row) {
      const auto before = all_before.slice(row, row + 1).span<float>();
      const auto after = all_after.slice(row, row + 1).span<float>();
      if (std::equal(before.begin(), before.begin() + d, after.begin())) continue;
      edits.push_back(
          {layer, static_cast<std::int32_t>(row), {before.begin(), before.end()}, {after.begin(), after.end()}});
    }
    if (edits.size() == first) return edited;
    const auto sizes = subspaces.sizes(layer, hidden, gates_of(pass));
    for (auto& edit : std::span(edits).subspan(first)) {
      edit.shares = shares_of(sizes, static_cast<std::size_t>(edit.position));
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

// The means of one layer's edits.
struct LayerSummary {
  std::int64_t layer;
  std::int64_t n = 0;
  double before = 0.0, size = 0.0, relative = 0.0, cosine = 0.0;  // |h|, |dh|, |dh| / |h|
  std::vector<double> shares{};

  void add(const Edit& edit) {
    const double h = norm(edit.before), dh = norm(difference(edit));
    before += h;
    size += dh;
    relative += dh / std::max(h, 1e-30);
    cosine += csreft::cosine(edit.before, edit.after);
    shares.resize(std::max(shares.size(), edit.shares.size()), 0.0);
    for (std::size_t i = 0; i < edit.shares.size(); ++i) shares[i] += edit.shares[i];
    ++n;
  }
  std::vector<std::string> row(std::size_t subspaces) const {
    const auto count = static_cast<double>(n);
    std::vector<std::string> out{std::to_string(layer),
                                 std::to_string(n),
                                 fmt::format("{:.2f}", before / count),
                                 fmt::format("{:.3f}", size / count),
                                 fmt::format("{:.1f} %", 100.0 * relative / count),
                                 fmt::format("{:.4f}", cosine / count)};
    for (std::size_t i = 0; i < subspaces; ++i) {
      out.push_back(i < shares.size() ? fmt::format("{:.0f} %", 100.0 * shares[i] / count) : "");
    }
    return out;
  }
};

// A line a layer.
void print_summary(const std::vector<Edit>& edits) {
  if (edits.empty()) {
    fmt::print("no hidden state is edited after a block\n");
    return;
  }
  std::vector<LayerSummary> layers;
  for (const auto& edit : edits) {
    if (layers.empty() || layers.back().layer != edit.layer) layers.push_back({.layer = edit.layer});
    layers.back().add(edit);
  }
  std::size_t subspaces = 0;
  for (const auto& layer : layers) subspaces = std::max(subspaces, layer.shares.size());
  std::vector<std::vector<std::string>> rows{{"layer", "edited", "|h|", "|dh|", "|dh| / |h|", "cos"}};
  for (std::size_t i = 1; i <= subspaces; ++i) rows.front().push_back(fmt::format("subspace {}", i));
  for (const auto& layer : layers) rows.push_back(layer.row(subspaces));
  fmt::print(
      "\nedits of each layer, means over the positions edited: |h| before, |dh| of the edit, each position's\n"
      "|dh| / |h|, cos between before and after{}\n{}",
      subspaces > 0 ? "; each subspace's share in the sum of the sizes of their edits" : "", text_table(rows));
}

// A line for each edit of one of the positions.
void print_rows(const LanguageModel& model, const std::vector<Edit>& edits, std::span<const std::int32_t> ids,
                std::span<const std::int32_t> positions, std::size_t values) {
  fmt::print(
      "\nedits (|h|: norm before; |dh|: of the edit; cos: between before and after; then h before, h after, and the\n"
      "tokens that dh points at)\n");
  fmt::print("{:>5} {:>4} {:<14} {:>8} {:>8} {:>7}\n", "layer", "pos", "token", "|h|", "|dh|", "cos");
  for (const auto& edit : edits) {
    if (std::ranges::find(positions, edit.position) == positions.end()) continue;
    const auto delta = difference(edit);
    fmt::print("{:>5} {:>4} {:<14} {:>8.2f} {:>8.3f} {:>7.4f}  {} -> {}  {}\n", edit.layer, edit.position,
               model.tokenizer.piece(ids[static_cast<std::size_t>(edit.position)]), norm(edit.before), norm(delta),
               cosine(edit.before, edit.after), first_values(edit.before, values), first_values(edit.after, values),
               direction_in_words(model, delta));
  }
}

// The positions, of a prompt of this length, whose rows are asked for.
std::vector<std::int32_t> asked_positions(const std::string& rows, std::size_t length) {
  std::vector<std::int32_t> positions;
  if (rows.empty()) return positions;
  for (const auto& group : parse_positions(rows, /*tied=*/false)) {
    const auto some = group.positions(static_cast<std::int64_t>(length));
    positions.insert(positions.end(), some.begin(), some.end());
  }
  return positions;
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
  std::string prompt, input, out, rows;
  std::size_t values = 3;
  Flags flags("inspect",
              "Shows what an adapter does to one prompt: the gates, the edits of each layer, and how the next token's "
              "probabilities move.",
              {"./run inspect --adapter last --prompt 'What is the opposite of hot?'",
               "./run inspect --adapter last --rows -3: --prompt 'What is the opposite of hot?'",
               "./run inspect --adapter last --alpha 1,0,0,0 --json all.json --prompt 'What is the opposite of hot?'"});
  flags.group("Data");
  flags.add_required("--prompt", prompt, "an instruction", "--prompt TEXT, an instruction to follow through the model");
  flags.add("--input", input, "what the instruction is about");
  flags.add("--rows", rows,
            "a line for each edit at these positions of the prompt, too, as all, 0,3,-1, 2:6 or l5; empty: none");
  flags.add("--values", values, "components of each hidden state that --rows shows");
  flags.add_path("--json", out,
                 "write the gates, the edits (whole hidden states included) and the next token's probabilities here");
  flags.group("Adapters");
  adapter_flags.add_to(flags);
  model_flags.add_to(flags);
  if (!flags.parse(arguments)) return 0;
  require(!prompt.empty(), "there is nothing to inspect: expected --prompt TEXT, which is not empty");

  if (!rows.empty()) static_cast<void>(parse_positions(rows, /*tied=*/false));  // or else it is said before any work
  model_flags.check();
  adapter_flags.check();
  begin_work();

  const auto output = open_output(out);
  const AdaptedModel adapted(model_flags, adapter_flags, flags);
  const LanguageModel& model = adapted.model;
  const Method* method = adapted.adapters.get();

  const NoGrad no_grad;
  const auto ids = encode_prompt(*model.chat, model.tokenizer, adapted.system, prompt, input);
  const auto positions = asked_positions(rows, ids.size());
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
    const Subspaces subspaces(adapted, batch);
    after = next_token(model, batch, record_edits(*pass, subspaces, edits));
    fmt::print("method {}, {} parameters\n", adapted.label, count_parameters(*method).total);
    const std::string source =
        adapter_flags.alpha.empty()
            ? fmt::format("gate {}", method->routing() != nullptr ? method->routing()->gate() : "")
            : "gates of --alpha, in place of the router's";
    if (pass->gates() != nullptr) print_gates(source, *pass->gates(), result);
    print_summary(edits);
    if (!positions.empty()) print_rows(model, edits, ids, positions, values);
  }
  print_shift(model, before, after);
  tell_template(model);
  result["edits"] = edits_json(edits);
  result["next_token_before"] = before;
  result["next_token_after"] = after;
  write_output(output, result.dump() + "\n");
  return 0;
}

}  // namespace csreft
