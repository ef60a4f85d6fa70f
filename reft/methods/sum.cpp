#include "reft/methods/sum.h"

#include <algorithm>
#include <iterator>

#include "core/base/split.h"

namespace csreft {
namespace {

// Parts draw from streams of their own: the first as it would alone.
std::uint64_t seed_of_part(std::uint64_t seed, std::size_t part) {
  constexpr std::uint64_t golden_ratio = 0x9E3779B97F4A7C15U;
  return seed + golden_ratio * static_cast<std::uint64_t>(part);
}

// Describes a part's options by their names in the sum.
class PartVisitor final : public OptionVisitor {
 public:
  PartVisitor(OptionVisitor& whole, const std::string& part) : whole_(whole), part_(part) {}
  void visit(Option& option) override {
    option.name = part_ + "." + option.name;
    whole_.visit(option);
  }
  bool visits_all_entries() const override { return whole_.visits_all_entries(); }
  void enter(std::string_view choice, std::string_view entry) override { whole_.enter(choice, entry); }
  void leave() override { whole_.leave(); }

 private:
  OptionVisitor& whole_;
  const std::string& part_;
};

class SumPass final : public MethodPass {
 public:
  explicit SumPass(std::vector<std::unique_ptr<MethodPass>> parts) : parts_(std::move(parts)) {}

  Attachments points() override {
    std::vector<Attachments> all;
    for (const auto& part : parts_) all.push_back(part->points());
    return chained(std::move(all));
  }
  Attachments generated(std::span<const std::int32_t> examples) override {
    std::vector<Attachments> all;
    for (const auto& part : parts_) all.push_back(part->generated(examples));
    return chained(std::move(all));
  }
  const Gates* gates() const override {
    for (const auto& part : parts_) {
      if (part->gates() != nullptr) return part->gates();
    }
    return nullptr;
  }

 private:
  std::vector<std::unique_ptr<MethodPass>> parts_;
};

class Sum final : public Method {
 public:
  Sum(const std::vector<std::string>& names, std::vector<std::unique_ptr<Method>> parts) : parts_(std::move(parts)) {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      for (Parameter p : parts_[i]->parameters()) {
        p.name = names[i] + "." + p.name;
        parameters_.push_back(std::move(p));
      }
      for (const auto& [name, buffer] : parts_[i]->buffers()) buffers_.emplace_back(names[i] + "." + name, buffer);
    }
  }

  std::span<const Parameter> parameters() const override { return parameters_; }
  std::span<const std::pair<std::string, Tensor>> buffers() const override { return buffers_; }
  std::vector<std::string> notices() const override {
    std::vector<std::string> all;
    for (const auto& part : parts_) std::ranges::move(part->notices(), std::back_inserter(all));
    return all;
  }
  std::string prepare(std::span<const std::vector<std::int32_t>> prompts, const OnRead& on_read) override {
    std::string found;
    for (const auto& part : parts_) {
      const std::string of_part = part->prepare(prompts, on_read);
      if (!of_part.empty()) found += (found.empty() ? "" : "; ") + of_part;
    }
    return found;
  }
  std::unique_ptr<MethodPass> attach(const PromptBatch& batch) const override {
    std::vector<std::unique_ptr<MethodPass>> passes;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      PromptBatch own = batch;
      own.alone = false;
      if (own.training) own.training->seed = seed_of_part(own.training->seed, i);
      if (parts_[i]->routing() == nullptr && routing() != nullptr) own.alpha = {};
      passes.push_back(parts_[i]->attach(own));
    }
    return std::make_unique<SumPass>(std::move(passes));
  }
  const Routing* routing() const override {
    for (const auto& part : parts_) {
      if (part->routing() != nullptr) return part->routing();
    }
    return nullptr;
  }
  std::span<const std::string> sequence() const override {
    for (const auto& part : parts_) {
      if (!part->sequence().empty()) return part->sequence();
    }
    return {};
  }
  void check_save(const LanguageModel& model) const override {
    for (const auto& part : parts_) part->check_save(model);
  }
  void begin_task(std::int64_t task, std::span<const std::vector<std::int32_t>> prompts,
                  const OnRead& on_read) override {
    for (const auto& part : parts_) part->begin_task(task, prompts, on_read);
  }
  Variable regulariser() const override {
    Variable total;
    for (const auto& part : parts_) {
      const Variable own = part->regulariser();
      if (own.defined()) total = total.defined() ? add(total, own) : own;
    }
    return total;
  }

 private:
  std::vector<std::unique_ptr<Method>> parts_;
  std::vector<Parameter> parameters_;
  std::vector<std::pair<std::string, Tensor>> buffers_;
};

class SumSettings final : public MethodSettings {
 public:
  explicit SumSettings(std::vector<std::string> names) : names_(std::move(names)) {
    for (const auto& name : names_) {
      parts_.push_back(find_named(methods(), "method", name).create());
      require(!parts_.back()->trains_model(),
              "method {} trains the model itself and leaves nothing to add to: expected it alone", name);
    }
  }

  void describe(Options& options) override {
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      PartVisitor visitor(options.visitor(), names_[i]);
      Options own(visitor);
      parts_[i]->describe(own);
    }
  }
  std::unique_ptr<Method> create(const Llama& model, std::uint64_t seed) override {
    std::vector<std::unique_ptr<Method>> made;
    for (const auto& part : parts_) made.push_back(part->create(model, seed_of_part(seed, made.size())));
    const auto routes = [](const auto& part) { return part->routing() != nullptr; };
    require(std::ranges::count_if(made, routes) <= 1, "two parts of a sum have gates: expected one at most");
    return std::make_unique<Sum>(names_, std::move(made));
  }

 private:
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<MethodSettings>> parts_;
};

}  // namespace

std::vector<std::string> parts_of_sum(const std::string& method) {
  const auto split_parts = split(method, "+");
  const std::vector<std::string> parts(split_parts.begin(), split_parts.end());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    require(std::ranges::count(parts, parts[i]) == 1, "method {} has {} twice: expected each once", method, parts[i]);
  }
  return parts;
}

std::unique_ptr<MethodSettings> sum_settings(const std::vector<std::string>& parts) {
  return std::make_unique<SumSettings>(parts);
}

}  // namespace csreft
