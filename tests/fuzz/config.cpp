#include <nlohmann/json.hpp>

#include "core/base/json_file.h"
#include "models/llama/llama_config.h"
#include "models/llama/rope.h"
#include "tests/fuzz/target.h"

namespace csreft {

namespace {

using nlohmann::json;

std::vector<std::string> seeds() {
  json config{{"model_type", "llama"},      {"vocab_size", 32},
              {"hidden_size", 16},          {"intermediate_size", 24},
              {"num_hidden_layers", 2},     {"num_attention_heads", 4},
              {"num_key_value_heads", 2},   {"max_position_embeddings", 64},
              {"rms_norm_eps", 1e-5},       {"rope_theta", 5e5},
              {"bos_token_id", 0},          {"eos_token_id", {1, 2}},
              {"tie_word_embeddings", true}};
  std::vector<std::string> texts{config.dump()};
  config["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", 8.0},
                            {"low_freq_factor", 1.0},
                            {"high_freq_factor", 4.0},
                            {"original_max_position_embeddings", 32}};
  texts.push_back(config.dump());
  config["rope_scaling"] = {{"type", "dynamic"}, {"factor", 4.0}};
  texts.push_back(config.dump());
  config.erase("rope_scaling");
  config["model_type"] = "mistral";
  config["sliding_window"] = 64;
  config["head_dim"] = 6;
  texts.push_back(config.dump());
  config["model_type"] = "qwen2";
  config["use_sliding_window"] = true;
  config["layer_types"] = {"full_attention", "sliding_attention"};
  config["rope_parameters"] = {{"rope_type", "yarn"},     {"rope_theta", 1e6},
                               {"factor", 4.0},           {"beta_fast", 32.0},
                               {"attention_factor", 1.2}, {"original_max_position_embeddings", 16}};
  texts.push_back(config.dump());
  return texts;
}

void read(std::string_view input) {
  const auto config = parse_llama_config(parse_json_object(input, "config.json"), "config.json");
  // What is made of it before any tensor is read: more of it than a file could hold is the reader's to refuse.
  static_cast<void>(parameter_count(config));
  if (config.head_dim <= 4096) static_cast<void>(rope_inverse_frequencies(config));
}

}  // namespace

extern const FuzzTarget config_target;
const FuzzTarget config_target{"config", "a config.json", seeds, read};

}  // namespace csreft
