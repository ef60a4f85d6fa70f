#include "reft/parameter.h"

#include <algorithm>

namespace csreft {

const Parameter& find_parameter(const std::vector<Parameter>& parameters, const std::string& name) {
  const auto found = std::ranges::find(parameters, name, &Parameter::name);
  require(found != parameters.end(), "no parameter is named {}", name);
  return *found;
}

}  // namespace csreft
