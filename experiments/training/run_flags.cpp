#include "experiments/training/run_flags.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>

#include "core/tensor/random.h"
#include "reft/random_streams.h"

namespace csreft {
namespace {

// The number with which `text` begins, and what follows it.
std::optional<std::pair<double, std::string_view>> leading_number(std::string_view text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  return std::pair(value, text.substr(static_cast<std::size_t>(end - text.data())));
}

// Nothing for what is the name of a file.
std::optional<double> parse_share(const std::string& text) {
  const auto number = leading_number(text);
  if (!number || !number->second.empty()) return std::nullopt;
  require(number->first > 0.0 && number->first < 1.0,
          "--validation {} is not possible: expected a share between 0 and 1, or files", text);
  return number->first;
}

// Takes a share of the examples out of `train`, in their order.
Task split_off(Task& train, double share, std::uint64_t seed, std::uint64_t stream) {
  const std::size_t n = train.examples.size();
  require(n >= 2, "--validation {} leaves nothing of {}, which has one example: expected two or more", share,
          train.name);
  const auto wanted = static_cast<std::size_t>(std::llround(share * static_cast<double>(n)));
  const std::size_t n_taken = std::clamp<std::size_t>(wanted, 1, n - 1);
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  Random random(seed, stream);
  shuffle(order, random);
  std::vector<bool> is_taken(n);
  for (std::size_t i = 0; i < n_taken; ++i) is_taken[order[i]] = true;
  Task taken{.name = train.name, .examples = {}, .answers = train.answers}, rest = taken;
  rest.skipped = train.skipped;
  for (std::size_t i = 0; i < n; ++i) (is_taken[i] ? taken : rest).examples.push_back(std::move(train.examples[i]));
  train = std::move(rest);
  return taken;
}

}  // namespace

double parse_duration(const std::string& text, const std::string& flag) {
  const auto number = leading_number(text);
  const std::string_view unit = number ? number->second : "?";
  const double scale = unit.empty() || unit == "s" ? 1.0 : unit == "m" ? 60.0 : unit == "h" ? 3600.0 : 0.0;
  require(scale > 0.0 && number->first >= 0.0,
          "{} {} is not understood: expected a time of 0 or more such as 90, 90s, 5m or 1h", flag, text);
  return scale * number->first;
}

void SaveFlags::add_to(Flags& flags) {
  flags.add("--save-every", every,
            "time from one save of the run to the next: 90, 90s, 5m, 1h; 0: only at the end. A signal saves as well: "
            "SIGHUP and goes on, Ctrl-C and SIGTERM and stops");
}

void ValidationFlags::add_to(Flags& flags) {
  flags.add_list("--validation", sources,
                 "data to measure the training on: files, or a share such as 0.1 of each training task, which is then "
                 "not trained on");
}

std::vector<std::string> ValidationFlags::files() const {
  return sources.size() == 1 && parse_share(sources.front()) ? std::vector<std::string>() : sources;
}

std::vector<Task> ValidationFlags::take(std::vector<Task>& train, std::uint64_t seed, const DataReading& reading,
                                        std::vector<std::string>* notes) const {
  if (const auto named = files(); !named.empty()) return load_tasks(named, reading, notes);
  std::vector<Task> taken;
  if (sources.empty()) return taken;
  const double share = *parse_share(sources.front());
  for (std::size_t t = 0; t < train.size(); ++t) {
    taken.push_back(split_off(train[t], share, seed, validation_stream + t));
  }
  return taken;
}

void ValidationFlags::check(const TrainOptions& options) const {
  require(options.keep == "last" || !sources.empty(),
          "--keep best needs data to tell what is best: expected --validation FILE or SHARE beside it");
}

}  // namespace csreft
