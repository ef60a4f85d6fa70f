#include "models/text/tokenizer_json.h"

#include <algorithm>
#include <memory>

#include "core/base/error.h"
#include "core/base/json_file.h"
#include "models/text/bpe.h"
#include "models/text/byte_alphabet.h"
#include "models/text/tokenizer_json_steps.h"
#include "models/text/unigram.h"

namespace csreft {
namespace {

using Json = nlohmann::json;

// Files before 2021 do not name their model's type.
std::string model_type(const Json& tokenizer) {
  const auto model = tokenizer.find("model");
  if (model == tokenizer.end()) return "";
  const auto type = json_type(*model);
  return type.empty() && model->is_object() && model->contains("merges") ? "BPE" : type;
}

const Json& part(const Json& tokenizer, const char* key) {
  static const Json none;
  const auto found = tokenizer.find(key);
  return found == tokenizer.end() ? none : *found;
}

struct Vocabulary {
  TokenIds of_model, added;
  std::vector<std::string> tokens;  // by id; ids that no token has stand for nothing
  std::vector<bool> taken;

  std::optional<std::int32_t> find(std::string_view content) const {
    for (const auto* ids : {&of_model, &added}) {
      if (const auto found = ids->find(content); found != ids->end()) return found->second;
    }
    return std::nullopt;
  }
};

void take_id(std::string_view token, std::int32_t id, const std::string& file, Vocabulary& vocabulary) {
  const auto index = static_cast<std::size_t>(id);
  if (index >= vocabulary.tokens.size()) {
    vocabulary.tokens.resize(index + 1);
    vocabulary.taken.resize(index + 1);
  }
  if (vocabulary.taken[index]) {
    fail("{}: tokens '{}' and '{}' both have id {}: expected one token an id", file,
         printable(vocabulary.tokens[index]), printable(token), id);
  }
  vocabulary.taken[index] = true;
  vocabulary.tokens[index] = token;
}

Vocabulary read_bpe_vocabulary(const Json& model, const std::string& file) {
  const auto& vocab = json_member(model, "vocab", file);
  require(vocab.is_object(), "{}: model.vocab is no object: expected {{token: id}}", file);
  Vocabulary vocabulary;
  vocabulary.of_model.reserve(vocab.size());
  vocabulary.tokens.reserve(vocab.size());
  for (const auto& [token, value] : vocab.items()) {
    const auto id = read_token_id(value, token, file);
    take_id(token, id, file, vocabulary);
    vocabulary.of_model.emplace(token, id);
  }
  return vocabulary;
}

// Merges are strings "a b" or, in newer files, pairs ["a", "b"].
std::pair<std::string_view, std::string_view> read_merge(const Json& merge, std::size_t rank, const std::string& file) {
  if (merge.is_array() && merge.size() == 2) {
    return {merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>()};
  }
  const auto text = merge.is_string() ? std::string_view(merge.get_ref<const std::string&>()) : std::string_view();
  const auto space = text.find(' ');
  if (space == text.npos || text.find(' ', space + 1) != text.npos) {
    fail("{}: merge {} '{}' is no pair: expected \"a b\" or [\"a\", \"b\"]", file, rank,
         printable(merge.is_string() ? std::string(text) : merge.dump()));
  }
  return {text.substr(0, space), text.substr(space + 1)};
}

void require_unset(const Json& model, std::initializer_list<const char*> keys, const std::string& file) {
  for (const char* key : keys) {
    const auto& value = part(model, key);
    const bool unset = value.is_null() || value == Json(false) || value == Json("") || value == Json(0);
    require(unset, "{}: {} {} is not supported: expected none", file, key, printable(value.dump()));
  }
}

BpeModel read_bpe(const Json& model, const std::string& file) {
  require_unset(model, {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}, file);
  BpeModel bpe;
  bpe.source = file;
  bpe.byte_fallback = find_json<bool>(model, "byte_fallback", file).value_or(false);
  bpe.fuse_unknown = find_json<bool>(model, "fuse_unk", file).value_or(false);
  bpe.ignore_merges = find_json<bool>(model, "ignore_merges", file).value_or(false);
  const auto& merges = json_member(model, "merges", file);
  require(merges.is_array(), "{}: model.merges is {}: expected 'merges' to be a list", file, merges.type_name());
  bpe.merges.reserve(merges.size());
  for (const auto& merge : merges) bpe.merges.push_back(read_merge(merge, bpe.merges.size(), file));
  return bpe;
}

UnigramModel read_unigram(const Json& model, const std::string& file) {
  UnigramModel unigram;
  unigram.source = file;
  unigram.byte_fallback = find_json<bool>(model, "byte_fallback", file).value_or(false);
  const auto& vocab = json_member(model, "vocab", file);
  require(vocab.is_array() && vocab.size() <= static_cast<std::size_t>(max_token_id) + 1,
          "{}: model.vocab is no list of at most {} tokens: expected [[token, score]]", file, max_token_id + 1);
  for (const auto& entry : vocab) {
    require(entry.is_array() && entry.size() == 2, "{}: token {} of model.vocab is {}: expected [token, score]", file,
            unigram.tokens.size(), printable(entry.dump()));
    unigram.tokens.emplace_back(entry[0].get<std::string>(), entry[1].get<double>());
  }
  if (const auto& unknown = part(model, "unk_id"); !unknown.is_null()) {
    unigram.unknown = read_token_id(unknown, "unk_id", file);
  }
  return unigram;
}

// A tokenizer.json on its way to a Tokenizer.
struct Reading {
  const Json& json;
  const std::string& file;
  Vocabulary vocabulary;
  std::vector<AddedToken> added;
  TokenTable table;
};

void read_added_tokens(Reading& reading) {
  const auto& list = part(reading.json, "added_tokens");
  require(list.is_null() || list.is_array(), "{}: added_tokens is {}: expected a list", reading.file, list.type_name());
  for (const auto& entry : list) {
    const auto content = get_json<std::string>(entry, "content", reading.file);
    auto token = read_added_token(entry, read_token_id(json_member(entry, "id", reading.file), content, reading.file),
                                  reading.file);
    const auto known = reading.vocabulary.find(content);
    if (known && *known != token.id) reading.table.notes.push_back(note_of_other_id(reading.file, token, *known));
    if (known) token.id = *known;
    if (!known) take_id(content, token.id, reading.file, reading.vocabulary);
    reading.vocabulary.added.emplace(content, token.id);
    reading.added.push_back(token);
  }
}

// The decoder's text of every token; without a decoder, the inverse of what encoding does.
void fill_table(Reading& reading, bool byte_level) {
  static const Json of_bytes = Json::parse(R"({"type": "ByteLevel"})");
  static const Json of_pieces = Json::parse(
      R"({"type": "Sequence", "decoders": [{"type": "Metaspace", "replacement": "▁"}, {"type": "ByteFallback"}]})");
  const auto& given = part(reading.json, "decoder");
  const auto decoder = read_decoder(!given.is_null() ? given : byte_level ? of_bytes : of_pieces, reading.file);
  auto& table = reading.table;
  table.leading_space = decoder.leading_space;
  table.special.resize(reading.vocabulary.tokens.size());
  table.text.reserve(reading.vocabulary.tokens.size());
  for (auto& token : reading.vocabulary.tokens) {
    for (const auto& step : decoder.steps) token = step(std::move(token));
    table.text.push_back(std::move(token));
  }
  for (const auto& token : reading.added) put_added_token(token, table);
}

// Whether BOS goes in front of a text, and which it is.
void read_bos(Reading& reading) {
  const auto& post_processor = part(reading.json, "post_processor");
  const auto name = read_text_start(post_processor, reading.file);
  if (!name) return;
  reading.table.bos = reading.vocabulary.find(*name);
  require(reading.table.bos.has_value(),
          "{}: post_processor names '{}', which is not in the vocabulary: expected a token", reading.file,
          printable(*name));
  reading.table.add_bos = true;
}

// Takes the model's ids out of `reading`.
EncodePiece make_model(Reading& reading, bool byte_level) {
  const auto& model = json_member(reading.json, "model", reading.file);
  if (model_type(reading.json) == "Unigram") return make_unigram_model(read_unigram(model, reading.file));
  auto bpe = read_bpe(model, reading.file);
  bpe.byte_level = byte_level;
  if (const auto unknown = find_json<std::string>(model, "unk_token", reading.file)) {
    bpe.unknown = unknown->empty() ? std::nullopt : reading.vocabulary.find(*unknown);
    require(unknown->empty() || bpe.unknown,
            "{}: unk_token '{}' is not in the vocabulary: expected one of its {} tokens", reading.file,
            printable(*unknown), reading.vocabulary.of_model.size());
  }
  bpe.ids = std::move(reading.vocabulary.of_model);
  return make_bpe_model(std::move(bpe));
}

Vocabulary read_vocabulary(const Json& tokenizer, const std::string& file) {
  const auto& model = json_member(tokenizer, "model", file);
  const auto type = model_type(tokenizer);
  require(type == "BPE" || type == "Unigram", "{}: model type '{}' is not supported: expected BPE or Unigram", file,
          printable(type));
  if (type == "BPE") return read_bpe_vocabulary(model, file);
  Vocabulary vocabulary;
  for (const auto& [token, score] : read_unigram(model, file).tokens) {
    const auto id = static_cast<std::int32_t>(vocabulary.tokens.size());
    take_id(token, id, file, vocabulary);
    vocabulary.of_model.emplace(token, id);
  }
  return vocabulary;
}

}  // namespace

Tokenizer read_tokenizer_json(const Json& tokenizer, const std::string& file, const TokenizerSettings& settings) {
  Reading reading{tokenizer, file, read_vocabulary(tokenizer, file), {}, {}};
  // A model of characters that falls back to bytes reads the alphabet's characters, as tokenizers does.
  const auto& pre_tokenizer = part(tokenizer, "pre_tokenizer");
  const auto& model = json_member(tokenizer, "model", file);
  const bool in_bytes = ends_in_bytes(pre_tokenizer, file);
  const bool byte_level =
      in_bytes && model_type(tokenizer) == "BPE" && !find_json<bool>(model, "byte_fallback", file).value_or(false);

  const auto pipeline = std::make_shared<TokenizerPipeline>();
  pipeline->normalizer = read_normalizer(part(tokenizer, "normalizer"), file);
  pipeline->pre_tokenizer = read_pre_tokenizer(pre_tokenizer, file);
  if (in_bytes && !byte_level) pipeline->pre_tokenizer.emplace_back(SpellBytes{});
  pipeline->repairs_utf8 = !byte_level || !pipeline->normalizer.empty();

  read_added_tokens(reading);
  read_bos(reading);
  fill_table(reading, in_bytes);
  apply_settings(
      settings, [&](std::string_view content) { return reading.vocabulary.find(content); }, reading.added,
      reading.table);
  set_added_tokens(reading.added, *pipeline);
  pipeline->model = make_model(reading, byte_level);
  return Tokenizer(std::move(reading.table), [pipeline](std::string_view text) { return encode(*pipeline, text); });
}

bool is_read_tokenizer_json(const Json& tokenizer) {
  const auto type = model_type(tokenizer);
  return (type == "BPE" || type == "Unigram") && !find_unread_type(tokenizer);
}

}  // namespace csreft
