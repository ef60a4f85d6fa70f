#include "models/language_model.h"

#include <doctest/doctest.h>

#include "tests/error_text.h"
#include "tests/tiny_chat.h"

TEST_CASE("a folder gives a network, its tokenizer and its chat template") {
  const TinyChat chat;
  const auto model = chat.load();
  CHECK(model.name == "model");
  CHECK(model.path == chat.path());
  CHECK(model.llama.config().hidden_size == 16);
  CHECK(model.tokenizer.vocab_size() == 258);
  CHECK(model.chat->name == "chatml");
  const auto ids = model.tokenizer.encode("Grüße\n");
  CHECK(ids.size() == 8);
  CHECK(model.tokenizer.decode(ids) == "Grüße\n");
  CHECK(csreft::load_language_model(chat.path(), "none").chat->name == "none");
  CHECK(contains(error_text([&] { return csreft::load_language_model(chat.path(), "chatlm").name; }), "chatml"));
}

TEST_CASE("generation stops at the turn's end and at every id that the config names, each once") {
  const TinyChat chat;
  CHECK(csreft::stop_tokens(chat.load()) == std::vector<std::int32_t>{1});
  auto config = chat.config;
  config["eos_token_id"] = {7, 1, 5, 7};
  chat.write_config(config);
  CHECK(csreft::stop_tokens(chat.load()) == std::vector<std::int32_t>{1, 7, 5});
}

TEST_CASE("a tokenizer with more tokens than the model's vocabulary is refused, one with fewer is not") {
  const TinyChat chat;
  const auto resize = [&](std::int64_t vocabulary) {
    auto config = chat.config;
    config["vocab_size"] = vocabulary;
    chat.write_config(config);
    auto weights = chat.weights;
    for (auto& [name, tensor] : weights) {
      if (name == "model.embed_tokens.weight" || name == "lm_head.weight")
        tensor = csreft::Tensor::zeros({vocabulary, 16});
    }
    chat.write_weights(weights);
  };
  resize(257);
  CHECK(contains(error_text([&] { return chat.load().name; }), "258 tokens, more than the model's vocabulary of 257"));
  resize(320);
  CHECK(chat.load().tokenizer.vocab_size() == 258);
}
