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

// SentencePiece's kind: spaces as U+2581, bytes for characters without a token, an added token of each flag.
json of_characters() {
  json vocab{{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  for (const char* token : {"\u2581", "t", "h", "e", "th", "the", "\u2581the", "<0xC3>", "<0xA9>", "<0x0A>"}) {
    vocab[token] = vocab.size();
  }
  const json mark{{"id", 1}, {"content", "<s>"}, {"special", true}, {"rstrip", true}};
  const json mask{{"id", 20}, {"content", "<mask>"}, {"lstrip", true}, {"single_word", true}, {"normalized", true}};
  const json replace{{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\u2581"}};
  const json back{{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}};
  return {
      {"added_tokens", {mark, mask}},
      {"normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Prepend"}, {"prepend", "\u2581"}}, replace}}}},
      {"pre_tokenizer", nullptr},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}}}}}}}},
      {"decoder",
       {{"type", "Sequence"},
        {"decoders",
         {back,
          {{"type", "ByteFallback"}},
          {{"type", "Fuse"}},
          {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
      {"model",
       {{"type", "BPE"},
        {"unk_token", "<unk>"},
        {"fuse_unk", true},
        {"byte_fallback", true},
        {"vocab", vocab},
        {"merges", json::array({{"t", "h"}, {"th", "e"}, {"\u2581", "the"}})}}}};
}

json unigram() {
  auto tokenizer = of_characters();
  tokenizer["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers", {{{"type", "NFKC"}}, {{"type", "Lowercase"}}, {{"type", "Strip"}, {"strip_left", true}}}}};
  tokenizer["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "first"}, {"split", true}};
  tokenizer["decoder"] = tokenizer["pre_tokenizer"];
  tokenizer["post_processor"] = {{"type", "RobertaProcessing"}, {"cls", {"<s>", 1}}, {"sep", {"</s>", 2}}};
  json vocab = json::array();
  for (const char* token : {"<unk>", "<s>", "</s>", "\u2581", "t", "h", "e", "the", "n", "<0xC3>"}) {
    vocab.push_back({token, -0.5 * static_cast<double>(vocab.size())});
  }
  tokenizer["model"] = {{"type", "Unigram"}, {"unk_id", 0}, {"byte_fallback", true}, {"vocab", vocab}};
  return tokenizer;
}

// The other steps before a model of bytes.
json split_in_steps() {
  auto tokenizer = byte_level();
  const auto split = [](const json& pattern, const char* behavior) {
    return json{{"type", "Split"}, {"pattern", pattern}, {"behavior", behavior}, {"invert", false}};
  };
  tokenizer["normalizer"] = {{"type", "NFC"}};
  tokenizer["pre_tokenizer"] = {{"type", "Sequence"},
                                {"pretokenizers",
                                 {split({{"Regex", "\\p{N}{1,3}|[^\\s\\p{L}]+"}}, "Isolated"),
                                  split({{"String", "-"}}, "MergedWithNext"),
                                  {{"type", "Digits"}, {"individual_digits", false}},
                                  {{"type", "Punctuation"}, {"behavior", "Contiguous"}},
                                  {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"use_regex", false}}}}};
  tokenizer["decoder"] = {{"type", "ByteLevel"}};
  tokenizer["model"]["ignore_merges"] = true;
  return tokenizer;
}

std::vector<std::string> seeds() {
  return {byte_level().dump(), of_characters().dump(), unigram().dump(), split_in_steps().dump()};
}

void read(std::string_view input) {
  const auto tokenizer = load_tokenizer_json(fuzz_folder().write("tokenizer.json", input));
  const auto ids = tokenizer.encode("the <s> then 12  \xC3\xA9\n");
  static_cast<void>(tokenizer.decode(ids, false));
}

}  // namespace

extern const FuzzTarget tokenizer_json_target;
const FuzzTarget tokenizer_json_target{"tokenizer_json", "a tokenizer.json, and a text encoded with it", seeds, read};

}  // namespace csreft
