#include "models/text/chat_template_files.h"

#include <filesystem>

#include <doctest/doctest.h>

#include "tests/error_text.h"
#include "tests/temporary_folder.h"

using csreft::SpecialTokens;

TEST_CASE("a folder's chat template is read from chat_template.jinja, tokenizer_config.json or a folder of them") {
  const TemporaryFolder folder;
  const auto read = [&] { return csreft::read_chat_template(folder.path()); };
  CHECK(read().empty());
  folder.write("tokenizer_config.json", "{}");
  CHECK(read().empty());
  std::filesystem::create_directory(folder / "additional_chat_templates");
  CHECK(read().empty());
  folder.write("additional_chat_templates/rag.jinja", "rag");
  CHECK(contains(error_text(read), "has no default.jinja"));
  folder.write("additional_chat_templates/default.jinja", "additional");
  CHECK(read() == "additional");
  folder.write("tokenizer_config.json", R"({"chat_template": "text"})");
  CHECK(read() == "text");
  folder.write("tokenizer_config.json",
               R"({"chat_template": [{"name": "rag", "template": "r"}, {"name": "default", "template": "listed"}]})");
  CHECK(read() == "listed");
  folder.write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "r"}]})");
  CHECK(contains(error_text(read), "has no 'default'"));
  folder.write("tokenizer_config.json", R"({"chat_template": )");
  CHECK(contains(error_text(read), "not valid JSON"));
  folder.write("chat_template.jinja", "own file");
  CHECK(read() == "own file");
}

TEST_CASE("special tokens are texts or descriptions, in either of two files") {
  const TemporaryFolder folder;
  const auto read = [&] { return csreft::read_special_tokens(folder.path()); };
  CHECK(read().empty());
  folder.write("special_tokens_map.json", R"({"bos_token": "<other>", "unk_token": "<unk>", "other": "x"})");
  folder.write("tokenizer_config.json", R"({"bos_token": {"content": "<s>", "lstrip": false}, "pad_token": null})");
  CHECK(read() == SpecialTokens{{"bos_token", "<s>"}, {"unk_token", "<unk>"}});
  folder.write("tokenizer_config.json", R"({"bos_token": 3})");
  CHECK(contains(error_text(read), "`bos_token` is number: expected a token's text"));
}
