// Layers in text.
#include <algorithm>

#include "core/base/split.h"
#include "core/base/whole_number.h"
#include "reft/methods/edit_sites.h"

namespace csreft {
namespace {

[[noreturn]] void refuse(const std::string& text) {
  fail("--layers '{}' is not understood: expected auto, all, numbers such as 6,12,18,24, or '3,9,18,24 of 32'", text);
}

std::vector<std::int64_t> spread_layers(std::int64_t n_layers) {
  std::vector<std::int64_t> layers;
  for (std::int64_t fifth = 1; fifth <= 4; ++fifth) {
    const std::int64_t layer = fifth * n_layers / 5;
    if (layers.empty() || layers.back() != layer) layers.push_back(layer);
  }
  return layers;
}

std::int64_t parse_number(std::string_view part, const std::string& text) {
  const auto number = parse_whole_number<std::int64_t>(part);
  if (!number) refuse(text);
  return *number;
}

std::vector<std::int64_t> parse_numbers(std::string_view list, const std::string& text) {
  std::vector<std::int64_t> layers;
  for (const auto part : split(list)) layers.push_back(parse_number(part, text));
  return layers;
}

// Layers of a model of `depth` at the same share of n_layers; those that fall together count once.
std::vector<std::int64_t> scaled(const std::vector<std::int64_t>& layers, std::int64_t depth, std::int64_t n_layers,
                                 const std::string& text) {
  std::vector<std::int64_t> out;
  for (const auto layer : layers) {
    if (depth < 1 || layer < 0 || layer >= depth) refuse(text);
    const std::int64_t here = layer * n_layers / depth;
    if (std::ranges::find(out, here) == out.end()) out.push_back(here);
  }
  return out;
}

}  // namespace

std::vector<std::int64_t> parse_layers(const std::string& text, std::int64_t n_layers) {
  constexpr std::string_view of = " of ";
  std::vector<std::int64_t> layers;
  if (text == "auto") {
    layers = spread_layers(n_layers);
  } else if (text == "all") {
    for (std::int64_t l = 0; l < n_layers; ++l) layers.push_back(l);
  } else if (const std::size_t at = text.find(of); at != std::string::npos) {
    const std::int64_t depth = parse_number(std::string_view(text).substr(at + of.size()), text);
    layers = scaled(parse_numbers(std::string_view(text).substr(0, at), text), depth, n_layers, text);
  } else {
    layers = parse_numbers(text, text);
  }
  std::ranges::sort(layers);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    require(0 <= layers[i] && layers[i] < n_layers,
            "layer {} does not exist: expected 0 to {}, the layers of the model", layers[i], n_layers - 1);
    require(i == 0 || layers[i] != layers[i - 1], "layer {} is named twice: expected each layer once", layers[i]);
  }
  return layers;
}

std::string layers_text(std::span<const std::int64_t> layers) { return fmt::format("{}", fmt::join(layers, ",")); }

}  // namespace csreft
