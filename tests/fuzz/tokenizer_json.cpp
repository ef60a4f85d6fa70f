#include <nlohmann/json.hpp>

#include "models/text/load_tokenizer.h"
#include "tests/fuzz/target.h"

namespace csreft {

namespace {

using nlohmann::json;

// The letters, a space as GPT-2's alphabet writes it, two merges and a mark.
json byte_level() {
  json vocab = json::object();
  for (char c = 'a'; c <= 'z'; ++c) vocab[std::string(1, c)] = vocab.size();
  for (const char* token : {"\u0120", "th", "the", "<s>"}) vocab[token] = vocab.size();
  const json mark{{"id", vocab["<s>"]}, {"content", "<s>"}, {"special", true}};
  return {{"added_tokens", {mark}},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", {"t h", "th e"}}}}};
}

std::vector<std::string> seeds() { return {byte_level().dump()}; }

void read(std::string_view input) {
  const auto tokenizer = load_tokenizer_json(fuzz_folder().write("tokenizer.json", input));
  const auto ids = tokenizer.encode("the <s> then 12  \xC3\xA9\n");
  static_cast<void>(tokenizer.decode(ids, false));
}

}  // namespace

extern const FuzzTarget tokenizer_json_target;
const FuzzTarget tokenizer_json_target{"tokenizer_json", "a tokenizer.json, and a text encoded with it", seeds, read};

}  // namespace csreft
