// Golden tensors, and comparisons that end in one line.
#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/safetensors.h"
#include "tests/golden_result.h"

// Where results go as soon as they are known.
using GoldenSink = std::function<void(GoldenResult)>;

// Runs `check`; an exception becomes the failure of `name`. True if there was none.
bool guard(const std::string& name, const GoldenSink& sink, const std::function<void()>& check);

// The tensors of a file, and which of them a check has looked at.
class GoldenTensors {
 public:
  explicit GoldenTensors(const std::filesystem::path& file) : file_(csreft::SafeTensors::open(file)) {}

  bool contains(const std::string& name) const { return file_.contains(name); }
  // In f32. Throws csreft::Error for a tensor that the file lacks.
  csreft::Tensor take(const std::string& name);
  // Counts every tensor whose name starts so as looked at.
  void give_up(std::string_view prefix);
  std::vector<std::string> unused() const;

 private:
  csreft::SafeTensors file_;
  std::set<std::string> used_;
};

// What a difference is measured by: nothing, or the largest expected element of its tensor.
enum class Measure { absolute, relative };

struct Tolerance {
  double value;
  Measure measure;
};

// The worst of several comparisons.
class GoldenComparison {
 public:
  GoldenComparison(std::string name, Tolerance tolerance) : name_(std::move(name)), tolerance_(tolerance) {}

  // `got` may lie on any device. A shape that differs counts as an infinite difference.
  void add(const std::string& what, const csreft::Tensor& got, const csreft::Tensor& expected);
  void add(const std::string& what, double got, double expected);
  // Comparing nothing is a failure.
  GoldenResult result() const;

 private:
  void keep(const std::string& what, double difference, double scale);

  std::string name_;
  Tolerance tolerance_;
  int compared_ = 0;
  double worst_ = -1.0;
  std::string where_;
};
