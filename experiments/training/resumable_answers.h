// Answers to a file of instructions, kept while they are made, so that a command that was stopped or killed goes on.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/training/metrics.h"

namespace csreft {

// Until all are there they stand in OUT.part: a line with what was asked for, then a line an answer.
class ResumableAnswers {
 public:
  // Goes on from OUT.part where there is one, after as many whole batches of answers as it has. `asked` is all that
  // decides the answers. Throws Error for an OUT.part of something else, which stays as it is, and for an unsound one.
  ResumableAnswers(std::filesystem::path out, const nlohmann::json& asked, std::size_t batch, std::size_t n);

  // In the order of the instructions; those of an earlier start first.
  const std::vector<nlohmann::json>& answers() const { return answers_; }
  // Those of the next batch: on the disk when this returns.
  void add(std::vector<nlohmann::json> batch);
  // Writes OUT with what is there, and removes OUT.part if that is all.
  void write();

 private:
  std::filesystem::path out_, part_;
  std::size_t n_;
  std::vector<nlohmann::json> answers_;
  std::unique_ptr<LineLog> log_;
};

}  // namespace csreft
