// Conversations by a model's own template.
#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "core/base/atomic_file.h"
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

// A conversation that ends with an answer: its prompt's text and, in brackets, the answer's.
std::string conversation(const std::string& jinja, const std::vector<Message>& messages) {
  const auto tokenizer = marks_tokenizer();
  const auto prompt = csreft::encode_prompt(*chat(jinja), tokenizer, std::span(messages).first(messages.size() - 1));
  const auto response = csreft::encode_response(*chat(jinja), tokenizer, messages.back().content);
  return tokenizer.decode(prompt, false) + "[" + tokenizer.decode(response, false) + "]";
}

std::string response(const std::string& jinja, const std::string& output) {
  const auto tokenizer = marks_tokenizer();
  return tokenizer.decode(csreft::encode_response(*chat(jinja), tokenizer, output), false);
}

// A token a byte, with the mark that ends a family's turns: 0 is BOS, 2 is EOS.
Tokenizer family_tokenizer(const std::string& end) {
  csreft::TokenTable table;
  table.text = {"<s>", end.empty() || end == "</s>" ? "<unk>" : end, "</s>"};
  table.special = {true, true, true};
  table.bos = 0;
  table.eos = 2;
  return byte_tokenizer_of(std::move(table), std::vector<std::int32_t>{0, 1, 2});
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
  CHECK(conversation(turns + header, several) == "<s>s:S<|end|>\nu:q<|end|>\na:r<|end|>\nu:t<|end|>\na:[v<|end|>]");
  const auto tokenizer = marks_tokenizer();
  CHECK(csreft::encode_response(*chat(turns + header), tokenizer, "b") == Ids{3 + 'b', 2});
  CHECK(csreft::stop_tokens(*chat(turns + header), tokenizer) == Ids{2, 1});
}

TEST_CASE("a template that always asks for an answer, or never") {
  CHECK(conversation(turns + "a:", several) == "<s>s:S<|end|>\nu:q<|end|>\na:r<|end|>\nu:t<|end|>\na:[v<|end|>]");
  CHECK(conversation(turns, several) == "<s>s:S<|end|>\nu:q<|end|>\na:r<|end|>\nu:t<|end|>\n[a:v<|end|>]");
}

TEST_CASE("where no token ends a turn, the last response ends with its content and EOS") {
  const std::string plain = "{% for m in messages %}{{ m.role[0] ~ ':' ~ m.content ~ '##\\n' }}{% endfor %}" + header;
  CHECK(conversation(plain, {{"user", "q"}, {"assistant", "r"}}) == "u:q##\na:[r</s>]");
  CHECK(conversation(plain, {{"user", "q"}, {"assistant", "r"}, {"user", "t"}, {"assistant", "v"}}) ==
        "u:q##\na:r##\nu:t##\na:[v</s>]");
  CHECK(csreft::stop_tokens(*chat(plain), marks_tokenizer()) == Ids{1});
}

TEST_CASE("an answer of any letters is found, whatever the template writes around it") {
  for (const std::string output : {"a", ":", "r", "q", "u:", "question", "one", "two", "<|end|", "\n", "", "a:a:"}) {
    CAPTURE(output);
    CHECK(response(turns.substr(0, turns.find(" | trim")) + turns.substr(turns.find(" | trim") + 7) + header, output) ==
          output + "<|end|>");
  }
  CHECK(response(turns, "a") == "a:a<|end|>");
  CHECK(response(turns, " a:\n") == "a:a:<|end|>");
}

// The texts are those of transformers' apply_chat_template behind the prompt, the same behind a prompt of one turn and
// of several; of the two templates that write an answer in another way than behind their prompt, the answer and the
// end.
TEST_CASE("the responses of many families are transformers'") {
  const auto golden =
      nlohmann::json::parse(csreft::read_text_file(source("tests/golden_texts/chat_templates/responses.json")));
  CHECK(golden["responses"].size() >= 22);
  for (const auto& [family, responses] : golden["responses"].items()) {
    const std::string end = golden["ends"][family];
    const auto tokenizer = family_tokenizer(end);
    const auto own = chat(csreft::read_text_file(source("tests/golden_texts/chat_templates/" + family + ".jinja")));
    REQUIRE(responses.size() == golden["answers"].size());
    for (std::size_t i = 0; i < responses.size(); ++i) {
      const std::string answer = golden["answers"][i];
      CAPTURE(family);
      CAPTURE(answer);
      const auto ids = csreft::encode_response(*own, tokenizer, answer);
      CHECK(tokenizer.decode(ids, false) == responses[i].get<std::string>());
      CHECK(ids.back() == (end.empty() || end == "</s>" ? 2 : 1));
    }
    CHECK(csreft::stop_tokens(*own, tokenizer).front() == (end.empty() || end == "</s>" ? 2 : 1));
  }
}

TEST_CASE("an earlier turn is in a prompt as the template writes it there, and learnt as the last one") {
  const std::string dropping =
      "{% for m in messages %}{{ m.role[0] ~ ':' ~ (m.content if loop.last else m.content.split('</think>')[-1]) ~ "
      "'<|end|>' }}{% endfor %}" +
      header;
  CHECK(conversation(dropping,
                     {{"user", "q"}, {"assistant", "x</think>r"}, {"user", "t"}, {"assistant", "y</think>v"}}) ==
        "u:q<|end|>a:r<|end|>u:t<|end|>a:[y</think>v<|end|>]");
}

TEST_CASE("an answer that the template writes elsewhere than behind its prompt is learnt behind that prompt") {
  const std::string turn = "{% for m in messages %}{{ m.role[0] ~ ':' ~ m.content.split('</think>')[-1] ~ '<|end|>' }}";
  const std::string thinking = turn + "{% endfor %}{% if add_generation_prompt %}a:<think>\n{% endif %}";
  CHECK(conversation(thinking, {{"user", "q"}, {"assistant", "r"}}) == "u:q<|end|>a:<think>\n[r<|end|>]");
  CHECK(response(thinking, "<think>\nx\n</think>\nr") == "x\n</think>\nr<|end|>");
  CHECK(response(thinking, "<think>x</think>r") == "x</think>r<|end|>");
  CHECK(response(thinking, "<") == "<<|end|>");
  const std::string other = "{% for m in messages %}{{ m.content | trim }}|{% endfor %}";
  CHECK(response(other + "{% if add_generation_prompt %}A{% else %}B{% endif %}", " r ") == "r</s>");
  CHECK(response("{{ messages[0].content }}{% if add_generation_prompt %}A{% endif %}", "r") == "r</s>");
}

TEST_CASE("a conversation that the template refuses is an error that names it") {
  CHECK(error_text([&] {
          conversation("{{ raise_exception('no system role') }}", {{"user", "q"}, {"assistant", "r"}});
        }) == "the chat template 'test', line 1: the template refuses this conversation: no system role");
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
  Ids whole = csreft::encode_prompt(*own, tokenizer, std::span(messages).subspan(1, 1));
  CHECK(whole.size() == 29);
  for (const auto id : csreft::encode_response(*own, tokenizer, messages[2].content)) whole.push_back(id);
  CHECK(whole == Ids{1,   319, 268, 201, 89, 302, 223, 284, 264, 285, 82, 82,  81, 85, 274, 71, 290,
                     297, 318, 2,   201, 1,  309, 85,  284, 86,  276, 86, 201, 69, 81, 78,  70, 2});
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
