// What `./run gpu-check` finds: kept, printed as it comes, and written as JSON and as a page.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace csreft {

struct Figure {
  std::string what;
  double value{};
  std::string unit;
  // The figure to reach: at least this, or at most this.
  std::optional<double> goal{};
  bool at_most = false;
  std::string remark{};  // what it was measured with, or what it is a share of

  bool reached() const { return !goal || (at_most ? value <= *goal : value >= *goal); }
};

struct CheckPart {
  std::string name;
  double seconds{};
  std::vector<Figure> figures{};
  std::vector<std::string> left_out{};  // what, and why
  std::vector<std::string> failures{};
};

struct CheckRecord {
  std::string title, command, device;
  std::vector<std::pair<std::string, std::string>> facts{};
  std::vector<CheckPart> parts{};
  bool interrupted{};

  bool failed() const;
};

// Name, value and unit, whether its goal is reached, and the remark, without the end of the line:
// "  training, loreft, 1 x 2048 tokens   14210 tokens/s   at least 14000: reached   51 % of the product".
std::string figure_line(const Figure& figure);

nlohmann::json check_json(const CheckRecord& record);
std::string check_page(const CheckRecord& record);

}  // namespace csreft
