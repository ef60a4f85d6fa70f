// WordNet's database files (man 5 wndb), read as far as the word skills need them.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace csreft {

// The word with its ASCII letters in lower case.
std::string lower_ascii(std::string_view word);

enum class PartOfSpeech : std::uint8_t { noun, verb, adjective, adverb };
inline constexpr std::size_t n_parts_of_speech = 4;

struct WordSense {
  std::string spelling;      // as written: proper names keep their capitals
  int lexicographer_file{};  // man 5 lexnames: 5 noun.animal, 13 noun.food, ...
  std::int64_t tags{};       // occurrences of this sense in the texts that WordNet's authors tagged
  std::vector<std::string> antonyms;
  bool is_coarse = false;  // see Lexicon::is_coarse
};

// A word's senses by part of speech, the commonest first.
using WordSenses = std::array<std::vector<WordSense>, n_parts_of_speech>;

struct Lexicon {
  std::map<std::string, WordSenses> words;                   // keys in lower case; single words of letters only
  std::map<std::string, std::set<std::string>> base_forms;   // irregular form -> every word that it is a form of
  std::unordered_map<std::string, std::int64_t> gloss_uses;  // occurrences in WordNet's own definitions and examples

  // How common a word is: its tags in every sense and its uses in definitions. 0 for an unknown word.
  std::int64_t commonness(const std::string& word) const;
  // Whether a word has a sense that a demonstration should not show: one that WordNet marks (a pointer to the domain of
  // usage, for any word of the synset) as obscene, as an ethnic slur or as disparaging, or that its definition calls
  // so; or whose commonest sense as one part of speech is about sex; or is one of those that WordNet has as any other
  // word. False for an unknown word.
  bool is_coarse(const std::string& word) const;
};

// Reads index.*, data.*, *.exc and cntlist.rev from the folder `dict`.
// Throws Error for a missing file (and names Debian's package) or a line of another format.
Lexicon read_lexicon(const std::filesystem::path& dict);

}  // namespace csreft
