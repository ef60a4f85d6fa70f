// A small vocabulary with scores, as the files that hold such a one, for tests of SentencePiece's and llama2.c's
// readers.
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "models/text/sentencepiece_tokenizer.h"

// A Llama-like model of a few pieces: <unk>, BOS, EOS, the 256 bytes, then `pieces`, the earlier the better.
inline csreft::ScoredVocabulary scored_vocabulary(const std::vector<std::string>& pieces) {
  csreft::ScoredVocabulary vocabulary;
  vocabulary.source = "scored";
  const auto add = [&](const std::string& token, float score, csreft::TokenType type) {
    vocabulary.tokens.push_back(token);
    vocabulary.scores.push_back(score);
    vocabulary.types.push_back(type);
  };
  add("<unk>", 0, csreft::TokenType::unknown);
  add("<s>", 0, csreft::TokenType::control);
  add("</s>", 0, csreft::TokenType::control);
  for (int byte = 0; byte < 256; ++byte) add(fmt::format("<0x{:02X}>", byte), 0, csreft::TokenType::byte);
  for (std::size_t i = 0; i < pieces.size(); ++i) add(pieces[i], -static_cast<float>(i), csreft::TokenType::normal);
  return vocabulary;
}

inline csreft::ScoredVocabulary small_scored_vocabulary() {
  return scored_vocabulary({"ab", "▁ab", "bc", "abc", "▁", "a", "b", "c", "é", "▁é"});
}

// A field of the protobuf wire format: a length-delimited one, or a varint.
inline std::string field(int number, std::string_view bytes) {
  if (bytes.size() >= 128) throw std::invalid_argument("a field of more than 127 bytes");
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())}.append(bytes);
}
inline std::string field(int number, int value) {
  std::string key(1, static_cast<char>((number << 3 & 0x7F) | (number > 15 ? 0x80 : 0)));
  if (number > 15) key += static_cast<char>(number >> 4);
  return key + static_cast<char>(value);
}

// The vocabulary as SentencePiece's ModelProto: pieces, a trainer_spec (BPE, byte_fallback) and a normalizer_spec
// (add_dummy_prefix, no remove_extra_whitespaces).
inline std::string sentencepiece_model(const csreft::ScoredVocabulary& vocabulary) {
  std::string model;
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    std::string score(sizeof(float), '\0');
    std::memcpy(score.data(), &vocabulary.scores[i], sizeof(float));
    const auto type = static_cast<int>(vocabulary.types[i]);
    model += field(1, field(1, vocabulary.tokens[i]) + "\x15" + score + field(3, type));
  }
  return model + field(2, field(3, 2) + field(35, 1)) + field(3, field(3, 1) + field(4, 0));
}

inline std::string llama2c_file(const csreft::ScoredVocabulary& vocabulary) {
  const auto raw = [](auto value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
  };
  std::string file = raw(std::int32_t{6});
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    auto token = vocabulary.tokens[i];
    if (token.starts_with("▁")) token.replace(0, std::string_view("▁").size(), " ");
    file += raw(vocabulary.scores[i]) + raw(static_cast<std::int32_t>(token.size())) + token;
  }
  return file;
}

inline std::string decode_one_by_one(const csreft::Tokenizer& tokenizer, const std::vector<std::int32_t>& ids) {
  csreft::IncrementalDecoder decoder(tokenizer, false);
  std::string text;
  for (const auto id : ids) text += decoder.push(id);
  return text + decoder.finish();
}
