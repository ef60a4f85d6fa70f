// What a comparison with golden values reports.
#pragma once

#include <string>

struct GoldenResult {
  std::string name;  // "stiefel 4x64.retract_qr"
  bool passed = false;
  std::string detail;  // the largest difference and what was allowed
};
