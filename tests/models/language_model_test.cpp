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

TEST_CASE("a model's named templates without a default are an error until one is chosen") {
  const TinyChat chat;
  std::filesystem::create_directory(chat.path() / "additional_chat_templates");
  chat.write("additional_chat_templates/tool_use.jinja", "{{ messages[0].content }}");
  const std::string named = (chat.path() / "additional_chat_templates" / "tool_use.jinja").string();
  const auto loaded = [&](const std::string& chat_template) {
    return csreft::load_language_model(chat.path(), chat_template).chat->name;
  };
  const std::string refusal = error_text([&] { return loaded(""); });
  CHECK(refusal.ends_with("has no default.jinja: expected one, or the file to use by --chat-template " + named));
  CHECK(loaded(named) == named);
  CHECK(loaded("chatml") == "chatml");
  std::filesystem::remove_all(chat.path() / "additional_chat_templates");
  chat.write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "r"}]})");
  CHECK(contains(error_text([&] { return loaded(""); }), "`chat_template` has no 'default'"));
  CHECK(loaded("chatml") == "chatml");
}

TEST_CASE("generation stops at the turn's end and at every id that the config names, each once") {
  const TinyChat chat;
  CHECK(csreft::stop_tokens(chat.load()) == std::vector<std::int32_t>{1});
  auto config = chat.config;
  config["eos_token_id"] = {7, 1, 5, 7};
  chat.write_config(config);
  CHECK(csreft::stop_tokens(chat.load()) == std::vector<std::int32_t>{1, 7, 5});
}

TEST_CASE(
    "a token beyond the model's vocabulary is an error once it reaches the model, an id without a token is none") {
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
  {
    const auto model = chat.load();
    CHECK(model.tokenizer.vocab_size() == 258);
    const auto forward = [&](const std::vector<std::int32_t>& ids) {
      return model.llama.forward(csreft::pack_tokens(std::vector<std::vector<std::int32_t>>{ids})).value().shape()[0];
    };
    CHECK(forward({2, 256}) == 2);
    CHECK(contains(error_text([&] { return forward({2, 257}); }), "id 257 lies outside the model's vocabulary of 257"));
  }
  resize(320);
  const auto model = chat.load();
  CHECK(model.tokenizer.vocab_size() == 320);
  CHECK(model.tokenizer.decode(std::vector<std::int32_t>{300, 319}, false).empty());
  CHECK(contains(error_text([&] { return model.tokenizer.piece(320); }), "expected 0 to 319"));
}
