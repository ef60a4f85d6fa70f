// What the exchange with Python asks of this side: see exchange.py. Prints JSON on stdout.
#include <cstdio>
#include <iostream>

#include <nlohmann/json.hpp>

#include "core/base/atomic_file.h"
#include "models/checkpoints/hugging_face_writer.h"
#include "models/checkpoints/open_checkpoint.h"
#include "models/language_model.h"
#include "models/text/hugging_face_tokenizer.h"
#include "reft/adapters/peft.h"
#include "tests/reft/adapters/lora_tools.h"

namespace {

using csreft::LoraAdapter;
using nlohmann::json;
using Words = std::vector<std::string>;

// Mean cross-entropy of each next token of some sequences of ids.
double mean_nll(const csreft::Llama& model, const std::vector<std::vector<std::int32_t>>& sequences,
                const csreft::Attachments& attachments) {
  const csreft::NoGrad no_grad;
  std::vector<std::int32_t> rows, targets;
  std::int32_t start = 0;
  for (const auto& ids : sequences) {
    const auto length = static_cast<std::int32_t>(ids.size());
    for (std::int32_t i = 1; i < length; ++i) rows.push_back(start + i - 1);
    targets.insert(targets.end(), ids.begin() + 1, ids.end());
    start += length;
  }
  const auto hidden = model.forward(csreft::pack_tokens(sequences), attachments);
  return head_cross_entropy(gather_rows(hidden, csreft::index_tensor(rows)), model.head(),
                            csreft::index_tensor(targets), 1.0 / static_cast<double>(rows.size()))
      .value()
      .item();
}

// nll MODEL IDS.json [ADAPTER]
json nll(const Words& words) {
  const csreft::Llama model(csreft::open_checkpoint(words.at(0)));
  const auto ids = json::parse(csreft::read_text_file(words.at(1))).get<std::vector<std::vector<std::int32_t>>>();
  if (words.size() < 3) return mean_nll(model, ids, {});
  const LoraAdapter adapter = csreft::read_peft(words[2], model.config());
  return mean_nll(model, ids, lora_attachments(adapter));
}

json encode_all(const csreft::Checkpoint& checkpoint, const std::string& texts) {
  const auto tokenizer = csreft::load_tokenizer(checkpoint);
  json lists = json::array();
  for (const auto& text : json::parse(csreft::read_text_file(texts))) {
    lists.push_back(tokenizer.encode(text.get<std::string>()));
  }
  return lists;
}

// ids MODEL TEXTS.json
json ids(const Words& words) { return encode_all(csreft::open_checkpoint(words.at(0)), words.at(1)); }

// tokenizer GGUF TEXTS.json FOLDER PRE: the GGUF's vocabulary with another pre-tokenizer, written, and its ids
json tokenizer(const Words& words) {
  auto checkpoint = csreft::open_checkpoint(words.at(0));
  auto& vocabulary = std::get<csreft::TokenizerVocabulary>(checkpoint.tokenizer);
  vocabulary.pre = words.at(3);
  vocabulary.add_bos.reset();  // as the pre-tokenizer's models have it
  csreft::write_tokenizer_files(words.at(2), vocabulary, checkpoint.chat_template, words.at(0));
  return encode_all(checkpoint, words.at(1));
}

// convert MODEL FOLDER DTYPE LARGEST_SHARD
json convert(const Words& words) {
  const auto checkpoint = csreft::open_checkpoint(words.at(0));
  const auto dtype = csreft::parse_weight_type(words.at(2));
  csreft::write_hugging_face(words.at(1), checkpoint, [&](const std::string& name) { return checkpoint.tensor(name); },
                             {.dtype = dtype, .max_shard_bytes = std::stoll(words.at(3))});
  return nullptr;
}

// write MODEL FOLDER grid|rslora|mixed
json write(const Words& words) {
  using enum csreft::LinearSite;
  const auto config = csreft::open_checkpoint(words.at(0)).config;
  std::vector<LoraPlace> places;
  if (words.at(2) == "mixed") {
    places = {{0, q_proj, 2, 16}, {1, down_proj, 4, 16}, {1, v_proj, 4, 3.5}, {3, o_proj, 6, 8}};
  } else {
    for (std::int64_t layer = 0; layer < config.n_layers; ++layer) {
      for (const auto site : {q_proj, v_proj, gate_proj}) places.push_back({layer, site, 4, 16});
    }
  }
  auto adapter = random_lora(config, places, 4, 16);
  adapter.use_rslora = words.at(2) == "rslora";
  csreft::write_peft(words.at(1), adapter, config);
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Words words(argv + 1, argv + argc);
    const Words arguments(words.begin() + 1, words.end());
    const auto run = [&]() -> json {
      if (words.at(0) == "nll") return nll(arguments);
      if (words.at(0) == "ids") return ids(arguments);
      if (words.at(0) == "tokenizer") return tokenizer(arguments);
      if (words.at(0) == "convert") return convert(arguments);
      csreft::require(words.at(0) == "write", "unknown command {}: expected nll, ids, tokenizer, convert or write",
                      words.at(0));
      return write(arguments);
    };
    std::cout << run().dump() << '\n';
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
}
