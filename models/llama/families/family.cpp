#include "models/llama/families/family.h"

#include <fmt/ranges.h>

#include "core/base/error.h"

namespace csreft {
namespace {

const ModelFamily& find(std::string_view ModelFamily::*key, std::string_view value, std::string_view what) {
  std::vector<std::string_view> known;
  for (const ModelFamily* family : model_families()) {
    if ((*family).*key == value && !value.empty()) return *family;
    if (!((*family).*key).empty()) known.push_back((*family).*key);
  }
  fail("{} is {}: expected a model of the families {}", what, value, fmt::join(known, ", "));
}

}  // namespace

const ModelFamily& find_family(std::string_view name) { return find(&ModelFamily::name, name, "the model's family"); }

const ModelFamily& family_of_model_type(std::string_view model_type, std::string_view where) {
  return find(&ModelFamily::name, model_type, fmt::format("{}: model_type", where));
}

const ModelFamily& family_of_gguf(std::string_view architecture, std::string_view where) {
  return find(&ModelFamily::gguf_architecture, architecture, fmt::format("{}: general.architecture", where));
}

}  // namespace csreft
