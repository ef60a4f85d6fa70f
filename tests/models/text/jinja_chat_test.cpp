// Conversations by a model's own template.
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "models/text/chat_template_files.h"
#include "models/text/load_tokenizer.h"
#include "tests/error_text.h"
#include "tests/models/text/byte_tokenizer.h"
#include "tests/source.h"

namespace {

using csreft::ChatTemplate;
using csreft::Message;
using csreft::Tokenizer;
using Ids = std::vector<std::int32_t>;

// One token a byte, at 3 + byte, and three special ones: 0 is BOS, 1 is EOS, 2 is a mark of turns.
Tokenizer marks_tokenizer() {
  csreft::TokenTable table;
  table.text = {"<s>", "</s>", "<|end|>"};
  table.special = {true, true, true};
  table.bos = 0;
  table.eos = 1;
  table.add_bos = true;
  return byte_tokenizer_of(std::move(table), std::vector<std::int32_t>{0, 1, 2});
}

std::shared_ptr<const ChatTemplate> chat(const std::string& jinja) {
  return csreft::make_chat_template("test", jinja, {{"bos_token", "<s>"}, {"eos_token", "</s>"}});
}

const std::string turns =
    "{{ bos_token }}{% for m in messages %}{{ m.role[0] ~ ':' ~ m.content | trim ~ '<|end|>\\n' }}{% endfor %}";
const std::string header = "{% if add_generation_prompt %}a:{% endif %}";

const std::vector<Message> several{
    {"system", "S"}, {"user", "q"}, {"assistant", " r "}, {"user", "t"}, {"assistant", "v"}};

// The responses' texts, in brackets where they lie.
std::string shown(const csreft::EncodedConversation& whole) {
  const auto tokenizer = marks_tokenizer();
  std::string out;
  std::size_t done = 0;
  const auto text = [&](std::size_t begin, std::size_t end) {
    return tokenizer.decode(std::span(whole.ids).subspan(begin, end - begin), false);
  };
  for (const auto& [begin, end] : whole.responses) {
    out += text(done, static_cast<std::size_t>(begin)) + "[" +
           text(static_cast<std::size_t>(begin), static_cast<std::size_t>(end)) + "]";
    done = static_cast<std::size_t>(end);
  }
  return out + text(done, whole.ids.size());
}

std::string conversation(const std::string& jinja, const std::vector<Message>& messages) {
  return shown(csreft::encode_conversation(*chat(jinja), marks_tokenizer(), messages));
}

}  // namespace

TEST_CASE("a prompt by a model's own template has the BOS that the template writes, and no other") {
  const auto tokenizer = marks_tokenizer();
  const auto prompt = [&](const std::string& jinja) {
    return tokenizer.decode(csreft::encode_prompt(*chat(jinja), tokenizer, "", "Add", "1"), false);
  };
  CHECK(prompt(turns + header) == "<s>u:Add\n1<|end|>\na:");
  CHECK(prompt("{{ messages[0].content }}") == "Add\n1");
}

TEST_CASE("a response is what the template writes behind the prompt, up to the token that ends the turn") {
  CHECK(conversation(turns + header, several) == "<s>s:S<|end|>\nu:q<|end|>\na:[r<|end|>]\nu:t<|end|>\na:[v<|end|>]");
  const auto tokenizer = marks_tokenizer();
  const auto whole = csreft::encode_conversation(*chat(turns + header), tokenizer, several);
  CHECK(Ids(whole.ids.begin(), whole.ids.begin() + whole.responses[1].first) ==
        csreft::encode_prompt(*chat(turns + header), tokenizer, std::span(several).first(4)));
  CHECK(csreft::encode_response(*chat(turns + header), tokenizer, "b") == Ids{3 + 'b', 2});
  CHECK(csreft::stop_tokens(*chat(turns + header), tokenizer) == Ids{2, 1});
}

TEST_CASE("a template that always asks for an answer, or never") {
  CHECK(conversation(turns + "a:", several) == "<s>s:S<|end|>\nu:q<|end|>\na:[r<|end|>]\nu:t<|end|>\na:[v<|end|>]");
  CHECK(conversation(turns, several) == "<s>s:S<|end|>\nu:q<|end|>\n[a:r<|end|>]\nu:t<|end|>\n[a:v<|end|>]");
}

TEST_CASE("where no token ends a turn, the last response ends with its content and EOS") {
  const std::string plain = "{% for m in messages %}{{ m.role[0] ~ ':' ~ m.content ~ '##\\n' }}{% endfor %}" + header;
  CHECK(conversation(plain, {{"user", "q"}, {"assistant", "r"}}) == "u:q##\na:[r</s>]");
  CHECK(conversation(plain, {{"user", "q"}, {"assistant", "r"}, {"user", "t"}, {"assistant", "v"}}) ==
        "u:q##\na:[r]##\nu:t##\na:[v</s>]");
  CHECK(csreft::stop_tokens(*chat(plain), marks_tokenizer()) == Ids{1});
}

TEST_CASE("an earlier turn that the template writes without its thinking has no response") {
  const std::string dropping =
      "{% for m in messages %}{{ m.role[0] ~ ':' ~ (m.content if loop.last else m.content.split('</think>')[-1]) ~ "
      "'<|end|>' }}{% endfor %}" +
      header;
  CHECK(conversation(dropping,
                     {{"user", "q"}, {"assistant", "x</think>r"}, {"user", "t"}, {"assistant", "y</think>v"}}) ==
        "u:q<|end|>a:r<|end|>u:t<|end|>a:[y</think>v<|end|>]");
}

TEST_CASE("a template whose answers do not follow its prompt, and one that refuses, are errors that name it") {
  const std::string thinking = "{{ messages[0].content }}{% if add_generation_prompt %}<think>{% else %}A{% endif %}";
  CHECK(contains(error_text([&] {
                   conversation(thinking, {{"user", "q"}, {"assistant", "r"}});
                 }),
                 "the chat template 'test' writes an answer in another way than behind the prompt"));
  CHECK(error_text([&] {
          conversation("{{ raise_exception('no system role') }}", {{"user", "q"}, {"assistant", "r"}});
        }) == "the chat template 'test', line 1: the template refuses this conversation: no system role");
  CHECK(contains(error_text([&] { conversation(turns, {{"user", "q"}}); }), "message of 'assistant'"));
}

// The ids are those of transformers' apply_chat_template on the folder.
TEST_CASE("the ids of a folder's tokenizer and template are transformers'") {
  const auto folder = source("tests/golden/tiny-gqa");
  const auto tokenizer = csreft::load_tokenizer(folder);
  const auto own =
      csreft::choose_chat_template(csreft::read_chat_template(folder), tokenizer, csreft::read_special_tokens(folder));
  const std::vector<Message> messages{{"system", "be brief"},
                                      {"user", "what is the opposite of hot"},
                                      {"assistant", "cold"},
                                      {"user", "and of  cold?"}};
  CHECK(csreft::encode_prompt(*own, tokenizer, messages) ==
        Ids{1,   85,  91,  299, 71,  79,  201, 68, 71,  278, 84,  75,  71,  72,  2,   201, 1,   319, 268,
            201, 89,  302, 223, 284, 264, 285, 82, 82,  81,  85,  274, 71,  290, 297, 318, 2,   201, 1,
            309, 85,  284, 86,  276, 86,  201, 69, 81,  78,  70,  2,   201, 1,   319, 268, 201, 276, 70,
            290, 223, 270, 81,  78,  70,  33,  2,  201, 1,   309, 85,  284, 86,  276, 86,  201});
  const auto whole = csreft::encode_conversation(*own, tokenizer, std::span(messages).subspan(1, 2));
  CHECK(whole.ids == Ids{1,   319, 268, 201, 89, 302, 223, 284, 264, 285, 82, 82,  81, 85, 274, 71, 290,
                         297, 318, 2,   201, 1,  309, 85,  284, 86,  276, 86, 201, 69, 81, 78,  70, 2});
  CHECK(whole.responses == std::vector<std::pair<std::int64_t, std::int64_t>>{{29, 34}});
  const auto chatml = csreft::find_chat_template("chatml");
  CHECK(csreft::encode_prompt(*chatml, tokenizer, "be brief", "what is it", "") ==
        csreft::encode_prompt(*own, tokenizer, "be brief", "what is it", ""));
}

TEST_CASE("a system message of the template's own is found, and only that") {
  const auto own = [](const std::string& jinja) { return csreft::own_system_message(*chat(jinja)); };
  CHECK(own(turns + header).empty());
  CHECK(own("{{ bos_token }}{% if messages[0].role != 'system' %}s:You help.<|end|>\n{% endif %}" +
            turns.substr(turns.find("{% for")) + header) == "s:You help.");
  CHECK(own("{{ bos_token }}{{ messages[0].content if messages[0].role == 'system' else 'I help.' }} USER: "
            "{{ messages[-1].content }}") == "I help.");
  CHECK(own("{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}").empty());
  CHECK(own("{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}{{ messages[0].content }}")
            .empty());
  CHECK(csreft::own_system_message(*csreft::find_chat_template("chatml")).empty());
}
