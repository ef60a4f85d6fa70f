#include "experiments/tasks/wordnet_lexicon.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

#include "core/base/atomic_file.h"
#include "core/base/error.h"
#include "core/base/whole_number.h"

namespace csreft {
namespace {

using Columns = std::vector<std::string_view>;

constexpr std::array<std::string_view, n_parts_of_speech> suffixes{"noun", "verb", "adj", "adv"};

struct LexicalPointer {
  std::size_t source{};  // number of the word in its synset, from 1
  std::size_t part{};
  std::string_view synset;
  std::size_t target{};
};

struct Synset {
  int lexicographer_file{};
  Columns spellings;
  std::vector<LexicalPointer> antonyms;
  Columns usages;  // the noun synsets that name how its words are used: slang, archaism, ...
  bool is_called_coarse = false, is_about_sex = false;
};

// By part of speech, then by the offset that names the synset in the index.
using Synsets = std::array<std::unordered_map<std::string_view, Synset>, n_parts_of_speech>;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_plain(std::string_view word) { return std::ranges::all_of(word, is_letter); }

Columns split_line(std::string_view line) {
  Columns fields;
  while (true) {
    const std::size_t start = line.find_first_not_of(' ');
    if (start == line.npos) return fields;
    const std::size_t end = std::min(line.find(' ', start), line.size());
    fields.push_back(line.substr(start, end - start));
    line.remove_prefix(end);
  }
}

struct BadLine {};

// A field that must exist; for_each_line turns the exception into an Error with the place.
std::string_view at(const Columns& fields, std::size_t i) {
  if (i >= fields.size()) throw BadLine{};
  return fields[i];
}

std::int64_t number(std::string_view text, int base = 10) {
  const auto value = parse_whole_number<std::int64_t>(text, base);
  if (!value || *value < 0) throw BadLine{};
  return *value;
}

std::size_t count(std::string_view text, int base = 10) { return static_cast<std::size_t>(number(text, base)); }

std::size_t part_of(std::string_view letter) {
  constexpr std::string_view letters = "nvar";
  const std::size_t part = letter == "s" ? 2 : letters.find(letter);  // s: an adjective satellite
  if (letter.size() != 1 || part == letters.npos) throw BadLine{};
  return part;
}

std::string read_database_file(const std::filesystem::path& path) {
  require(std::filesystem::is_regular_file(path),
          "no WordNet file {}: expected the files of Debian's package wordnet-base", path.string());
  return read_text_file(path);
}

// Calls visit(line) for every line but the licence, whose lines start with a space.
template <typename Visit>
void for_each_line(std::string_view text, const std::filesystem::path& path, Visit&& visit) {
  for (std::int64_t line_number = 1; !text.empty(); ++line_number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == ' ') continue;
    try {
      visit(line);
    } catch (const BadLine&) {
      fail("line {} of {} cannot be read: expected the format of WordNet 3 (package wordnet-base)", line_number,
           path.string());
    }
  }
}

std::vector<std::string> letter_runs(std::string_view text) {
  std::vector<std::string> words;
  while (true) {
    const auto start = std::ranges::find_if(text, is_letter);
    if (start == text.end()) return words;
    const auto end = std::find_if_not(start, text.end(), is_letter);
    words.push_back(lower_ascii(std::string_view(start, end)));
    text = std::string_view(end, text.end());
  }
}

// Words that WordNet defines without a mark: insults, and what is said of sex.
bool is_unmarked_coarse(std::string_view word) {
  static constexpr std::array words{
      "anus",     "arse",     "ass",       "bastard",  "bitch",    "boob",       "bugger", "buggery",
      "clitoris", "coon",     "cretin",    "dildo",    "fart",     "halfbreed",  "harlot", "imbecile",
      "lecher",   "molester", "mongoloid", "moron",    "mulatto",  "negress",    "negro",  "nipple",
      "octoroon", "orgasm",   "pedophile", "penis",    "pervert",  "pickaninny", "pimp",   "piss",
      "poof",     "porn",     "prick",     "pussy",    "quadroon", "rape",       "rapist", "redskin",
      "retard",   "sambo",    "scrotum",   "semen",    "slattern", "slut",       "sod",    "sodomite",
      "sodomy",   "spastic",  "squaw",     "strumpet", "testicle", "tit",        "tits",   "towelhead",
      "trollop",  "turd",     "vagina",    "vulva",    "wank",     "wanker",     "wench",  "whore"};
  return std::ranges::find(words, word) != words.end();
}

bool has_any(const std::vector<std::string>& words, std::span<const std::string_view> wanted) {
  return std::ranges::find_first_of(words, wanted) != words.end();
}

// Whether a definition says that the word is coarse: "vulgar slang for", "an offensive name".
bool calls_coarse(const std::vector<std::string>& definition) {
  static constexpr std::array<std::string_view, 8> qualities{"coarse",     "obscene",     "vulgar",    "offensive",
                                                             "derogatory", "disparaging", "insulting", "contemptuous"};
  static constexpr std::array<std::string_view, 9> kinds{"term",  "terms", "name", "names",     "word",
                                                         "words", "slang", "slur", "expression"};
  return has_any(definition, qualities) && has_any(definition, kinds);
}

bool is_about_sex(const std::vector<std::string>& definition) {
  static constexpr std::array<std::string_view, 6> subjects{"sexual",     "sexually", "sexuality",
                                                            "prostitute", "genitals", "obscenity"};
  return has_any(definition, subjects);
}

// data.POS: offset lex_filenum ss_type w_cnt(hex) {word lex_id}... p_cnt {symbol offset pos source/target(hex)}... |
// gloss
Synset parse_synset(const Columns& fields) {
  Synset synset;
  synset.lexicographer_file = static_cast<int>(number(at(fields, 1)));
  const std::size_t n_words = count(at(fields, 3), 16);
  for (std::size_t i = 0; i < n_words; ++i) {
    const std::string_view spelling = at(fields, 4 + 2 * i);
    synset.spellings.push_back(spelling.substr(0, spelling.find('(')));  // adjectives carry a marker: alive(p)
  }
  const std::size_t pointers = 4 + 2 * n_words;
  const std::size_t n_pointers = count(at(fields, pointers));
  for (std::size_t i = 0; i < n_pointers; ++i) {
    const std::size_t pointer = pointers + 1 + 4 * i;
    const std::string_view ends = at(fields, pointer + 3);
    if (fields[pointer] == ";u") synset.usages.push_back(fields[pointer + 1]);
    if (fields[pointer] != "!") continue;
    if (ends.size() != 4) throw BadLine{};
    synset.antonyms.push_back({.source = count(ends.substr(0, 2), 16),
                               .part = part_of(fields[pointer + 2]),
                               .synset = fields[pointer + 1],
                               .target = count(ends.substr(2), 16)});
  }
  return synset;
}

// Whether a synset's words are coarse, or name what is.
bool is_coarse(const Synset& synset, const Synsets& synsets) {
  static constexpr std::array<std::string_view, 4> marks{"obscenity", "vulgarism", "ethnic_slur", "disparagement"};
  const auto is_mark = [](const Synset& s) {
    return std::ranges::find_first_of(s.spellings, marks) != s.spellings.end();
  };
  const auto& nouns = synsets[static_cast<std::size_t>(PartOfSpeech::noun)];
  return synset.is_called_coarse || is_mark(synset) || std::ranges::any_of(synset.usages, [&](std::string_view offset) {
           const auto usage = nouns.find(offset);
           return usage != nouns.end() && is_mark(usage->second);
         });
}

WordSense make_sense(const std::string& word, const Synset& synset, const Synsets& synsets) {
  WordSense sense{.spelling = word,
                  .lexicographer_file = synset.lexicographer_file,
                  .tags = 0,
                  .antonyms = {},
                  .is_coarse = is_coarse(synset, synsets)};
  const auto spelling = std::ranges::find_if(synset.spellings, [&](auto s) { return lower_ascii(s) == word; });
  if (spelling == synset.spellings.end()) throw BadLine{};
  sense.spelling = *spelling;
  const auto word_number = static_cast<std::size_t>(spelling - synset.spellings.begin()) + 1;
  for (const LexicalPointer& pointer : synset.antonyms) {
    if (pointer.source != word_number) continue;
    const auto target = synsets[pointer.part].find(pointer.synset);
    if (target == synsets[pointer.part].end() || pointer.target == 0) throw BadLine{};
    sense.antonyms.push_back(lower_ascii(at(target->second.spellings, pointer.target - 1)));
  }
  return sense;
}

// index.POS: lemma pos synset_cnt p_cnt {symbol}... sense_cnt tagsense_cnt {offset}..., the commonest sense first
void read_index_line(std::string_view line, std::size_t part, const Synsets& synsets, Lexicon& lexicon) {
  const std::string word(line.substr(0, line.find(' ')));
  if (!is_plain(word)) return;
  const Columns fields = split_line(line);
  const std::size_t n_senses = count(at(fields, 2));
  if (n_senses == 0 || fields.size() < n_senses + 6) throw BadLine{};
  auto& senses = lexicon.words[word][part];
  for (std::size_t i = fields.size() - n_senses; i < fields.size(); ++i) {
    const auto synset = synsets[part].find(fields[i]);
    if (synset == synsets[part].end()) throw BadLine{};
    senses.push_back(make_sense(word, synset->second, synsets));
    if (senses.size() == 1 && synset->second.is_about_sex) senses.front().is_coarse = true;
  }
}

// cntlist.rev: lemma%ss_type:... sense_number tag_cnt
void read_count_line(std::string_view line, Lexicon& lexicon) {
  const Columns fields = split_line(line);
  const std::string_view key = at(fields, 0);
  const std::size_t percent = key.find('%');
  if (percent == key.npos || percent + 1 == key.size()) throw BadLine{};
  const auto entry = lexicon.words.find(std::string(key.substr(0, percent)));
  if (entry == lexicon.words.end()) return;
  const std::size_t type = count(key.substr(percent + 1, 1));
  if (type < 1 || type > 5) throw BadLine{};
  auto& senses = entry->second[type == 5 ? 2 : type - 1];
  const std::size_t sense = count(at(fields, 1));
  // The list is older than the index: a sense that is no longer there has no place.
  if (sense >= 1 && sense <= senses.size()) senses[sense - 1].tags += number(at(fields, 2));
}

}  // namespace

std::string lower_ascii(std::string_view word) {
  std::string result(word);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::int64_t Lexicon::commonness(const std::string& word) const {
  std::int64_t total = 0;
  if (const auto entry = words.find(word); entry != words.end()) {
    for (const auto& senses : entry->second) {
      for (const WordSense& sense : senses) total += sense.tags;
    }
  }
  if (const auto uses = gloss_uses.find(word); uses != gloss_uses.end()) total += uses->second;
  return total;
}

bool Lexicon::is_coarse(const std::string& word) const {
  const auto entry = words.find(word);
  if (entry != words.end() && is_unmarked_coarse(word)) return true;
  return entry != words.end() && std::ranges::any_of(entry->second, [](const auto& senses) {
           return std::ranges::any_of(senses, &WordSense::is_coarse);
         });
}

Lexicon read_lexicon(const std::filesystem::path& dict) {
  Lexicon lexicon;
  Synsets synsets;
  std::array<std::string, n_parts_of_speech> data;  // the synsets' views point into these
  for (std::size_t part = 0; part < n_parts_of_speech; ++part) {
    const auto path = dict / fmt::format("data.{}", suffixes[part]);
    data[part] = read_database_file(path);
    for_each_line(data[part], path, [&](std::string_view line) {
      const std::size_t bar = std::min(line.find(" | "), line.size());
      const Columns fields = split_line(line.substr(0, bar));
      Synset synset = parse_synset(fields);
      const std::string_view gloss = line.substr(bar);
      const auto definition = letter_runs(gloss.substr(0, gloss.find('"')));  // without the examples
      synset.is_called_coarse = calls_coarse(definition);
      synset.is_about_sex = is_about_sex(definition);
      synsets[part].emplace(at(fields, 0), std::move(synset));
      for (auto& word : letter_runs(gloss)) ++lexicon.gloss_uses[std::move(word)];
    });
  }
  for (std::size_t part = 0; part < n_parts_of_speech; ++part) {
    const auto path = dict / fmt::format("index.{}", suffixes[part]);
    for_each_line(read_database_file(path), path,
                  [&](std::string_view line) { read_index_line(line, part, synsets, lexicon); });
    const auto exceptions = dict / fmt::format("{}.exc", suffixes[part]);
    for_each_line(read_database_file(exceptions), exceptions, [&](std::string_view line) {
      const Columns fields = split_line(line);
      for (std::size_t i = 1; i < fields.size(); ++i) lexicon.base_forms[std::string(fields[0])].emplace(fields[i]);
    });
  }
  const auto counts = dict / "cntlist.rev";
  for_each_line(read_database_file(counts), counts, [&](std::string_view line) { read_count_line(line, lexicon); });
  return lexicon;
}

}  // namespace csreft
