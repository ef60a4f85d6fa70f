#include "experiments/training/resumable_answers.h"

#include <sstream>

#include "core/base/atomic_file.h"
#include "core/base/json_file.h"
#include "core/base/temporary.h"
#include "core/base/whole_lines.h"

namespace csreft {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// The objects of the file's whole lines.
std::vector<json> read_lines(const fs::path& file) {
  std::vector<json> objects;
  if (!fs::exists(file)) return objects;
  std::istringstream lines(read_whole_lines(file));
  for (std::string line; std::getline(lines, line);) {
    objects.push_back(parse_json_object(line, fmt::format("{}, line {}", file.string(), objects.size() + 1)));
  }
  return objects;
}

std::string lines_of(std::span<const json> objects) {
  std::string lines;
  for (const json& object : objects) lines += object.dump() + "\n";
  return lines;
}

}  // namespace

ResumableAnswers::ResumableAnswers(fs::path out, const json& asked, std::size_t batch, std::size_t n)
    : out_(std::move(out)), part_(out_.string() + ".part"), n_(n) {
  remove_abandoned(out_);
  remove_abandoned(part_);
  auto lines = read_lines(part_);
  if (!lines.empty()) {
    const std::string difference = first_difference(lines.front(), asked);
    require(difference.empty(),
            "{} has answers to something else ({}): expected the command that began it, to go on, or another --out, or "
            "that file removed",
            part_.string(), difference);
    require(lines.size() - 1 <= n, "{} has {} answers to {} instructions: expected no more", part_.string(),
            lines.size() - 1, n);
    answers_.assign(lines.begin() + 1, lines.end());
    if (answers_.size() < n) answers_.resize(answers_.size() / batch * batch);
  }
  log_ = std::make_unique<LineLog>(part_, lines_of(std::vector<json>{asked}) + lines_of(answers_));
}

void ResumableAnswers::add(std::vector<json> batch) {
  log_->add(lines_of(batch));
  log_->sync();
  for (json& answer : batch) answers_.push_back(std::move(answer));
}

void ResumableAnswers::write() {
  write_file_atomically(out_, json(answers_).dump(2) + "\n");
  if (answers_.size() < n_) return;
  log_.reset();
  fs::remove(part_);
}

}  // namespace csreft
