#include "models/llama/rope.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <set>

#include "core/base/json_file.h"

namespace csreft {
namespace {

using nlohmann::json;

// What a member function for each kind would be: an overload for each.
template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

// ---- reading and writing ------------------------------------------------------------------------------------------

// The object of the scaling, and its name; both of nothing where the file has none.
struct Source {
  json object = json::object();
  std::string where;
};

Source find_source(const json& config, std::string_view where) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const auto found = config.find(key);
    if (found == config.end() || found->is_null()) continue;
    require(found->is_object(), "{}: `{}` is {}: expected an object or null", where, key, found->type_name());
    if (!found->empty()) return {*found, fmt::format("{}: {}", where, key)};
  }
  return {json::object(), std::string(where)};
}

// Of the object that does not count where a file has both.
std::optional<double> theta_elsewhere(const json& config, std::string_view where) {
  const auto other = config.find("rope_parameters");
  if (other == config.end() || !other->is_object()) return std::nullopt;
  return find_json<double>(*other, "rope_theta", fmt::format("{}: rope_parameters", where));
}

// "default" where the object says at most theta.
std::string read_type(const Source& source) {
  for (const char* key : {"rope_type", "type"}) {
    if (const auto type = find_json<std::string>(source.object, key, source.where)) return *type;
  }
  for (const auto& [key, value] : source.object.items()) {
    require(key == "rope_theta" || key == "partial_rotary_factor" || value.is_null(),
            "{} has a key {}, but its `type` is missing: expected `rope_type`", source.where, key);
  }
  return "default";
}

// Newer files have the original context in the object, some at the top of the config; where it is missing the model's
// own context stands for it.
std::int64_t original_context(const json& config, const Source& source, std::int64_t context) {
  const char* key = "original_max_position_embeddings";
  const auto top = find_json<std::int64_t>(config, key, source.where);
  return top ? *top : find_json<std::int64_t>(source.object, key, source.where).value_or(context);
}

double attention_factor(const Source& source, double factor) {
  const auto number = [&](const char* key) { return find_json<double>(source.object, key, source.where); };
  if (const auto stated = number("attention_factor")) return *stated;
  const double mscale = number("mscale").value_or(0), all = number("mscale_all_dim").value_or(0);
  if (mscale == 0 || all == 0) return yarn_attention_factor(factor);
  const auto scaled = [&](double m) { return factor <= 1 ? 1 : 0.1 * m * std::log(factor) + 1; };
  return scaled(mscale) / scaled(all);
}

RopeScaling read_yarn(const json& config, const Source& source, std::int64_t context) {
  const auto number = [&](const char* key) { return find_json<double>(source.object, key, source.where); };
  YarnRope yarn;
  yarn.original_max_position_embeddings = original_context(config, source, context);
  const auto original = static_cast<double>(yarn.original_max_position_embeddings);
  yarn.factor = number("factor").value_or(static_cast<double>(context) / original);
  yarn.attention_factor = attention_factor(source, yarn.factor);
  yarn.beta_fast = number("beta_fast").value_or(yarn.beta_fast);
  yarn.beta_slow = number("beta_slow").value_or(yarn.beta_slow);
  yarn.truncate = find_json<bool>(source.object, "truncate", source.where).value_or(true);
  return yarn;
}

RopeScaling read_scaling(const json& config, const Source& source, std::int64_t context) {
  const auto type = read_type(source);
  const auto number = [&](const char* key) { return get_json<double>(source.object, key, source.where); };
  if (type == "default") return PlainRope{};
  if (type == "linear") return LinearRope{number("factor")};
  if (type == "dynamic") return DynamicRope{number("factor")};
  if (type == "yarn") return read_yarn(config, source, context);
  require(type == "llama3", "{} is of type {}: expected default, linear, dynamic, yarn or llama3", source.where, type);
  return Llama3Rope{.factor = number("factor"),
                    .low_freq_factor = number("low_freq_factor"),
                    .high_freq_factor = number("high_freq_factor"),
                    .original_max_position_embeddings = original_context(config, source, context)};
}

// ---- frequencies --------------------------------------------------------------------------------------------------

using Frequencies = std::vector<double>;

Frequencies plain_frequencies(double theta, std::int64_t head_dim) {
  Frequencies frequencies(static_cast<std::size_t>(head_dim / 2));
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    frequencies[i] = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
  }
  return frequencies;
}

double dynamic_theta(const DynamicRope& dynamic, const LlamaConfig& config, std::int64_t length) {
  const auto d = static_cast<double>(config.head_dim), original = static_cast<double>(config.max_position_embeddings);
  const double longest = std::max(static_cast<double>(length), original);
  return config.rope_theta * std::pow(dynamic.factor * longest / original - (dynamic.factor - 1), d / (d - 2));
}

// The share of each pair that is divided by the factor: 0 up to the pair that turns beta_fast times, 1 from the one
// that turns beta_slow times.
Frequencies yarn_ramp(const YarnRope& yarn, double theta, std::int64_t head_dim) {
  const auto d = static_cast<double>(head_dim);
  const auto pair_of = [&](double turns) {
    const auto original = static_cast<double>(yarn.original_max_position_embeddings);
    return d * std::log(original / (turns * 2 * std::numbers::pi)) / (2 * std::log(theta));
  };
  double low = pair_of(yarn.beta_fast), high = pair_of(yarn.beta_slow);
  if (yarn.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, d - 1);
  if (low == high) high += 0.001;
  Frequencies ramp(static_cast<std::size_t>(head_dim / 2));
  for (std::size_t i = 0; i < ramp.size(); ++i) {
    ramp[i] = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
  }
  return ramp;
}

double llama3_frequency(const Llama3Rope& rule, double frequency) {
  const double wavelength = 2 * std::numbers::pi / frequency;
  const double turns = static_cast<double>(rule.original_max_position_embeddings) / wavelength;
  if (turns > rule.high_freq_factor) return frequency;
  if (turns < rule.low_freq_factor) return frequency / rule.factor;
  const double kept = (turns - rule.low_freq_factor) / (rule.high_freq_factor - rule.low_freq_factor);
  return (1 - kept) * frequency / rule.factor + kept * frequency;
}

Frequencies scaled_frequencies(const LlamaConfig& config, std::int64_t length) {
  Frequencies plain = plain_frequencies(config.rope_theta, config.head_dim);
  return std::visit(Overloaded{[&](const PlainRope&) { return plain; },
                               [&](const LinearRope& linear) {
                                 for (double& f : plain) f /= linear.factor;
                                 return plain;
                               },
                               [&](const DynamicRope& dynamic) {
                                 return plain_frequencies(dynamic_theta(dynamic, config, length), config.head_dim);
                               },
                               [&](const YarnRope& yarn) {
                                 const Frequencies ramp = yarn_ramp(yarn, config.rope_theta, config.head_dim);
                                 for (std::size_t i = 0; i < plain.size(); ++i) {
                                   plain[i] = plain[i] / yarn.factor * ramp[i] + plain[i] * (1 - ramp[i]);
                                 }
                                 return plain;
                               },
                               [&](const Llama3Rope& rule) {
                                 for (double& f : plain) f = llama3_frequency(rule, f);
                                 return plain;
                               }},
                    config.rope_scaling);
}

// ---- checks -------------------------------------------------------------------------------------------------------

void check_constant(std::string_view what, double value, std::string_view where) {
  require(std::isfinite(value) && value > 0, "{}: {} is {}: expected a positive number", where, what, value);
}

void check_original(std::int64_t value, std::string_view where) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  require(0 < value && value <= most, "{}: rope scaling's original_max_position_embeddings is {}: expected 1 to {}",
          where, value, most);
}

void check_scaling(const LlamaConfig& config, std::string_view where) {
  const auto check_factor = [&](double factor) { check_constant("rope scaling's factor", factor, where); };
  std::visit(Overloaded{[](const PlainRope&) {}, [&](const LinearRope& linear) { check_factor(linear.factor); },
                        [&](const DynamicRope& dynamic) {
                          check_factor(dynamic.factor);
                          require(config.head_dim > 2, "{}: dynamic rope of heads of {}: expected 4 or more", where,
                                  config.head_dim);
                        },
                        [&](const YarnRope& yarn) {
                          check_original(yarn.original_max_position_embeddings, where);
                          check_factor(yarn.factor);
                          check_constant("rope scaling's attention_factor", yarn.attention_factor, where);
                          check_constant("rope scaling's beta_fast", yarn.beta_fast, where);
                          check_constant("rope scaling's beta_slow", yarn.beta_slow, where);
                          require(config.rope_theta > 1, "{}: rope_theta is {}: expected more than 1 with yarn", where,
                                  config.rope_theta);
                        },
                        [&](const Llama3Rope& rule) {
                          check_factor(rule.factor);
                          check_constant("rope scaling's low_freq_factor", rule.low_freq_factor, where);
                          check_constant("rope scaling's high_freq_factor - low_freq_factor",
                                         rule.high_freq_factor - rule.low_freq_factor, where);
                          check_original(rule.original_max_position_embeddings, where);
                        }},
             config.rope_scaling);
}

}  // namespace

void read_rope(const json& config, std::string_view where, LlamaConfig& result) {
  const Source source = find_source(config, where);
  const auto in_both = [&](const char* key) {
    const auto inner = find_json<double>(source.object, key, source.where);
    return inner ? inner : find_json<double>(config, key, where);
  };
  for (const auto& [key, value] : source.object.items()) {
    require(!value.is_object(), "{} gives {} a rotation of its own: expected one for all layers", source.where, key);
  }
  const double part = in_both("partial_rotary_factor").value_or(1);
  require(part == 1, "{}: partial_rotary_factor is {}: expected 1, a rotation of the whole head", where, part);
  const auto theta = in_both("rope_theta");
  result.rope_theta = theta ? *theta : theta_elsewhere(config, where).value_or(result.rope_theta);
  result.rope_scaling = read_scaling(config, source, result.max_position_embeddings);
}

json rope_scaling_json(const RopeScaling& scaling) {
  return std::visit(
      Overloaded{[](const PlainRope&) { return json(nullptr); },
                 [](const LinearRope& linear) {
                   return json{{"rope_type", "linear"}, {"factor", linear.factor}};
                 },
                 [](const DynamicRope& dynamic) {
                   return json{{"rope_type", "dynamic"}, {"factor", dynamic.factor}};
                 },
                 [](const YarnRope& yarn) {
                   return json{{"rope_type", "yarn"},
                               {"factor", yarn.factor},
                               {"attention_factor", yarn.attention_factor},
                               {"beta_fast", yarn.beta_fast},
                               {"beta_slow", yarn.beta_slow},
                               {"truncate", yarn.truncate},
                               {"original_max_position_embeddings", yarn.original_max_position_embeddings}};
                 },
                 [](const Llama3Rope& rule) {
                   return json{{"rope_type", "llama3"},
                               {"factor", rule.factor},
                               {"low_freq_factor", rule.low_freq_factor},
                               {"high_freq_factor", rule.high_freq_factor},
                               {"original_max_position_embeddings", rule.original_max_position_embeddings}};
                 }},
      scaling);
}

double yarn_attention_factor(double factor) { return factor <= 1 ? 1 : 0.1 * std::log(factor) + 1; }

void check_rope(const LlamaConfig& config, std::string_view where) {
  check_constant("rope_theta", config.rope_theta, where);
  check_scaling(config, where);
  const auto n_factors = static_cast<std::int64_t>(config.rope_factors.size());
  require(n_factors == 0 || n_factors == config.head_dim / 2, "{}: {} rope factors for a head dimension of {}", where,
          n_factors, config.head_dim);
  for (const double factor : config.rope_factors) check_constant("a rope factor", factor, where);
  for (const double frequency : rope_inverse_frequencies(config)) {
    require(std::isfinite(frequency), "{}: the rotation's constants give a frequency of {}: expected a finite number",
            where, frequency);
  }
}

std::vector<double> rope_inverse_frequencies(const LlamaConfig& config, std::int64_t length) {
  Frequencies frequencies = scaled_frequencies(config, length);
  for (std::size_t i = 0; i < config.rope_factors.size(); ++i) frequencies[i] /= config.rope_factors[i];
  return frequencies;
}

double rope_attention_factor(const LlamaConfig& config) {
  const auto* yarn = std::get_if<YarnRope>(&config.rope_scaling);
  return yarn != nullptr ? yarn->attention_factor : 1;
}

std::optional<double> rope_context(const LlamaConfig& config) {
  const auto own = static_cast<double>(config.max_position_embeddings);
  using Context = std::optional<double>;
  return std::visit(
      Overloaded{[](const PlainRope&) { return Context(); },
                 [&](const LinearRope& linear) { return Context(own * linear.factor); },
                 [&](const DynamicRope& dynamic) { return Context(own * dynamic.factor); },
                 [](const YarnRope& yarn) {
                   return Context(static_cast<double>(yarn.original_max_position_embeddings) * yarn.factor);
                 },
                 [](const Llama3Rope&) { return Context(); }},
      config.rope_scaling);
}

}  // namespace csreft
