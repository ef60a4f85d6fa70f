// A small random chat model as a Hugging Face folder, and tasks for it: what the command line and the training loop
// need.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/tensor/tensor.h"
#include "experiments/tasks/task.h"
#include "models/language_model.h"
#include "tests/temporary_folder.h"

// A folder "model" with config.json, tokenizer.json (a token for each byte, and ChatML's two) and model.safetensors:
// 2 layers, hidden size 16, vocabulary 258, context 160.
struct TinyChat {
  TinyChat();

  const TemporaryFolder folder{};
  std::filesystem::path path() const { return folder / "model"; }
  csreft::LanguageModel load(const csreft::Device& device = {}) const {
    return csreft::load_language_model(path(), {}, csreft::Weights::frozen, device);
  }

  nlohmann::json config{};
  std::vector<std::pair<std::string, csreft::Tensor>> weights{};
  // Each replaces a file of the model.
  void write_config(const nlohmann::json& changed) const;
  void write_weights(const std::vector<std::pair<std::string, csreft::Tensor>>& changed) const;
  void write(const std::string& name, std::string_view bytes) const;
};

// Examples with answers of one letter, which depends on the instruction: easily learnt by heart.
csreft::Task letter_task(std::size_t n);
// The same as the text of a file.
std::string letter_json(std::size_t n);
