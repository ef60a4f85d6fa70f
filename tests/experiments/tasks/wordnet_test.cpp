#include "experiments/tasks/wordnet.h"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include <doctest/doctest.h>

#include "core/base/error.h"
#include "experiments/tasks/scoring.h"
#include "experiments/tasks/wordnet_lexicon.h"
#include "tests/error_text.h"
#include "tests/temporary_folder.h"

namespace {

using namespace std::string_literals;
using csreft::Error;
using csreft::Lexicon;
using csreft::Skill;
using csreft::Task;

constexpr std::size_t noun = 0;
constexpr std::size_t adjective = 2;

// A WordNet of five synsets in a folder that lives as long as the test.
struct SmallWordNet {
  TemporaryFolder dict;
  SmallWordNet() {
    for (const char* part : {"noun", "verb", "adj", "adv"}) {
      write("data."s + part, "  1 a licence\n");
      write("index."s + part, "  1 a licence\n");
      write(part + ".exc"s, "");
    }
    write("data.noun",
          "  1 a licence\n"
          "00000001 05 n 02 goose 0 barnyard_goose 0 001 @ 00000002 n 0000 | a bird; \"the goose flew\"\n"
          "00000002 18 n 01 goose 1 000 | a silly person\n"
          "00000003 15 n 01 France 0 000 | a republic\n");
    write("index.noun",
          "barnyard_goose n 1 0 1 0 00000001  \nfrance n 1 0 1 0 00000003  \n"
          "goose n 2 1 @ 2 1 00000001 00000002  \n");
    write("data.adj",
          "00000001 00 a 02 warm 0 hot(p) 0 001 ! 00000002 a 0201 | hot\n"
          "00000002 00 s 01 cold 0 001 ! 00000001 a 0102 | not hot\n");
    write("index.adj", "cold a 1 1 ! 1 1 00000002  \nhot a 1 1 ! 1 1 00000001  \nwarm a 1 0 1 0 00000001  \n");
    write("noun.exc", "geese goose\naxes axis ax\n");
    write("cntlist.rev", "cold%5:00:00:: 1 7\ngoose%1:05:00:: 1 4\ngoose%1:18:00:: 2 1\ngoose%1:18:01:: 9 1\n");
  }

  void write(const std::string& name, const std::string& text) const { dict.write(name, text); }
  std::string error() const {
    return error_text([&] { return csreft::read_lexicon(dict.path()); });
  }
};

const std::vector<Skill>& skills() {
  static const std::vector<Skill> drawn = csreft::wordnet_skills(csreft::wordnet_dict, 400, 100, 1);
  return drawn;
}

// The word that a question asks about: the one after "the word".
std::string asked_word(const std::string& instruction) {
  const std::size_t start = instruction.find("the word ") + 9;
  return instruction.substr(start, instruction.find_first_of(":?", start) - start);
}

std::set<std::string> words_of(const Task& task) {
  std::set<std::string> words;
  const bool open = task.name.starts_with("base_form") || task.name.starts_with("antonym");
  for (const auto& example : task.examples) {
    words.insert(asked_word(example.instruction));
    if (open) words.insert(*example.answer);
  }
  return words;
}

}  // namespace

TEST_CASE("the lexicon has senses in order, spellings, tags, antonyms and irregular forms") {
  const SmallWordNet wordnet;
  const Lexicon lexicon = csreft::read_lexicon(wordnet.dict.path());
  CHECK(lexicon.words.size() == 5);  // barnyard_goose is two words
  const auto& goose = lexicon.words.at("goose")[noun];
  REQUIRE(goose.size() == 2);
  CHECK(goose[0].lexicographer_file == 5);
  CHECK(goose[0].tags == 4);
  CHECK(goose[1].tags == 1);
  CHECK(lexicon.words.at("france")[noun][0].spelling == "France");
  CHECK(lexicon.words.at("hot")[adjective][0].antonyms == std::vector{"cold"s});
  CHECK(lexicon.words.at("cold")[adjective][0].antonyms == std::vector{"hot"s});
  CHECK(lexicon.words.at("warm")[adjective][0].antonyms.empty());
  CHECK(lexicon.base_forms.at("axes") == std::set{"ax"s, "axis"s});
  CHECK(lexicon.commonness("goose") == 6);  // five tags, once in an example
  CHECK(lexicon.commonness("hot") == 2);
  CHECK(lexicon.commonness("unheard") == 0);
}

TEST_CASE("a word is coarse by a mark of usage, by its definition, or where its commonest sense is about sex") {
  const SmallWordNet wordnet;
  wordnet.write("data.noun",
                "00000001 10 n 02 obscenity 0 filth 0 000 | an offensive word\n"
                "00000002 18 n 02 oaf 0 lout 0 001 ;u 00000001 n 0201 | a person\n"
                "00000003 18 n 01 lump 0 000 | a derogatory term for a person\n"
                "00000004 03 n 01 lump 1 000 | a piece\n"
                "00000005 05 n 01 cock 0 001 ;u 00000006 n 0000 | a bird; \"an offensive name\"\n"
                "00000006 10 n 01 archaism 0 000 | an old word\n"
                "00000007 26 n 01 heat 0 000 | warmth\n"
                "00000008 26 n 01 heat 1 000 | sexual readiness\n"
                "00000009 26 n 01 rut 0 000 | sexual readiness\n");
  wordnet.write("index.noun",
                "archaism n 1 0 1 0 00000006\ncock n 1 0 1 0 00000005\nfilth n 1 0 1 0 00000001\n"
                "heat n 2 0 2 0 00000007 00000008\nlout n 1 0 1 0 00000002\nlump n 2 0 2 0 00000004 00000003\n"
                "oaf n 1 0 1 0 00000002\nrut n 1 0 1 0 00000009\n");
  wordnet.write("cntlist.rev", "");
  const Lexicon lexicon = csreft::read_lexicon(wordnet.dict.path());
  for (const char* word : {"filth", "oaf", "lout", "lump", "rut"}) CHECK(lexicon.is_coarse(word));
  for (const char* word : {"cock", "heat", "archaism", "unheard"}) CHECK_FALSE(lexicon.is_coarse(word));
}

TEST_CASE("missing and malformed WordNet files are errors that name the package and the place") {
  const SmallWordNet wordnet;
  CHECK_THROWS_WITH_AS(csreft::wordnet_skills("/no/such/folder", 4, 2, 1), doctest::Contains("wordnet-base"), Error);
  wordnet.write("index.adj", "cold a 1 1 ! 1 1 00000002\nhot a 1 1 ! 1 1 00000009\n");
  CHECK(contains(wordnet.error(), "line 2"));
  wordnet.write("index.adj", "");
  wordnet.write("data.adj", "00000001 00 a zz hot 0 000 | hot\n");
  CHECK(contains(wordnet.error(), "data.adj"));
  wordnet.write("data.adj", "00000001 00 a 01 hot\n");
  CHECK(contains(wordnet.error(), "data.adj"));
  wordnet.write("data.adj", "");
  wordnet.write("cntlist.rev", "goose%1:05:00:: 1 many\n");
  CHECK(contains(wordnet.error(), "cntlist.rev"));
}

TEST_SUITE_BEGIN("needs WordNet");

TEST_CASE("four skills are drawn, each example with its answer as the last word") {
  REQUIRE(skills().size() == 4);
  const std::vector names{"category"s, "part_of_speech"s, "base_form"s, "antonym"s};
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(skills()[i].train.name == names[i] + ".train");
    CHECK(skills()[i].test.name == names[i] + ".test");
    CHECK(skills()[i].train.examples.size() == 400);
    CHECK(skills()[i].test.examples.size() == 100);
    for (const auto& example : skills()[i].train.examples) {
      REQUIRE(example.answer.has_value());
      CHECK(csreft::is_correct(example.output, *example.answer));
    }
  }
}

TEST_CASE("classes are balanced") {
  for (const std::size_t skill : {0U, 1U}) {
    std::map<std::string, int> counts;
    for (const auto& example : skills()[skill].train.examples) ++counts[*example.answer];
    CHECK(counts.size() == (skill == 0 ? 5 : 4));
    for (const auto& [answer, n] : counts) CHECK(n == (skill == 0 ? 80 : 100));
  }
}

TEST_CASE("training and test share no word, in one skill or across skills") {
  std::set<std::string> train;
  std::set<std::string> test;
  for (const Skill& skill : skills()) {
    train.merge(words_of(skill.train));
    test.merge(words_of(skill.test));
  }
  std::vector<std::string> shared;
  std::ranges::set_intersection(train, test, std::back_inserter(shared));
  CHECK(shared.empty());
}

TEST_CASE("well-known words have the right answers") {
  std::map<std::string, std::string> answers;  // by question
  for (const Skill& skill : csreft::wordnet_skills(csreft::wordnet_dict, 1000, 100, 2)) {
    for (const Task* task : {&skill.train, &skill.test}) {
      for (const auto& example : task->examples) answers[example.instruction] = *example.answer;
    }
  }
  const auto kind = [&](const std::string& word) {
    return answers["Which kind of thing is the word " + word + ": animal, plant, food, person or place?"];
  };
  CHECK(kind("elephant") == "animal");
  CHECK(kind("maple") == "plant");
  CHECK(kind("chocolate") == "food");
  CHECK(kind("soldier") == "person");
  CHECK(kind("France") == "place");
  const auto part = [&](const std::string& word) {
    return answers["Which part of speech is the word " + word + ": noun, verb, adjective or adverb?"];
  };
  CHECK(part("language") == "noun");
  CHECK(part("provide") == "verb");
  CHECK(part("important") == "adjective");
  CHECK(part("quickly") == "adverb");
  CHECK(answers["What is the base form of the word took?"] == "take");
  CHECK(answers["What is the base form of the word children?"] == "child");
  CHECK(answers["What is the opposite of the word hot?"] == "cold");
  CHECK(answers["What is the opposite of the word cold?"] == "hot");
}

TEST_CASE("no word that is drawn is coarse, whatever the seed") {
  const Lexicon lexicon = csreft::read_lexicon(csreft::wordnet_dict);
  for (const char* word : {"shit", "fuck", "bastard", "faggot"}) CHECK(lexicon.is_coarse(word));
  for (const char* word : {"bird", "hot", "cold", "happy", "girl", "love"}) CHECK_FALSE(lexicon.is_coarse(word));
  for (const std::uint64_t seed : {0U, 1U, 2U}) {
    for (const Skill& skill : csreft::wordnet_skills(csreft::wordnet_dict, 1000, 200, seed)) {
      for (const Task* task : {&skill.train, &skill.test}) {
        for (const auto& word : words_of(*task)) {
          CAPTURE(word);
          CHECK_FALSE(lexicon.is_coarse(word));
        }
      }
    }
  }
}

TEST_CASE("no insult and no word of sex or violence is drawn, however many words are") {
  // Chosen by hand, whatever WordNet marks.
  const std::set<std::string> never{
      "arse",  "ass",   "bastard", "bitch", "boob",   "bugger",  "clitoris", "cretin", "cunt", "faggot",
      "fuck",  "gook",  "harlot",  "kike",  "moron",  "negress", "nigger",   "penis",  "pimp", "piss",
      "porn",  "prick", "pussy",   "rape",  "rapist", "redskin", "retard",   "shit",   "slut", "spastic",
      "squaw", "tit",   "turd",    "twat",  "vagina", "wanker",  "wench",    "whore"};
  for (const std::uint64_t seed : {0U, 1U}) {
    for (const Skill& skill : csreft::wordnet_skills(csreft::wordnet_dict, 1000, 200, seed)) {
      for (const Task* task : {&skill.train, &skill.test}) {
        for (const auto& word : words_of(*task)) {
          CAPTURE(word);
          CHECK_FALSE(never.contains(word));
        }
      }
    }
  }
  const Lexicon lexicon = csreft::read_lexicon(csreft::wordnet_dict);
  for (const auto& word : never) {
    CAPTURE(word);
    if (lexicon.words.contains(word)) CHECK(lexicon.is_coarse(word));
  }
}

TEST_CASE("a seed draws the same examples again, another seed draws others") {
  const auto instructions = [](std::uint64_t seed) {
    std::ostringstream text;
    for (const Skill& skill : csreft::wordnet_skills(csreft::wordnet_dict, 20, 10, seed)) {
      for (const auto& example : skill.test.examples) text << example.instruction << '\n';
    }
    return text.str();
  };
  CHECK(instructions(5) == instructions(5));
  CHECK(instructions(5) != instructions(6));
}

TEST_CASE("asking for no examples, or for more than there are words, is an error") {
  CHECK_THROWS_AS(csreft::wordnet_skills(csreft::wordnet_dict, 0, 10, 1), Error);
  CHECK_THROWS_WITH_AS(csreft::wordnet_skills(csreft::wordnet_dict, 100000, 10, 1), doctest::Contains("too few words"),
                       Error);
}

TEST_SUITE_END();
