#include "experiments/tasks/wordnet.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "core/base/error.h"
#include "core/tensor/random.h"
#include "experiments/tasks/wordnet_lexicon.h"

namespace csreft {
namespace {

using Words = std::vector<std::string>;

// A question that could be asked: what `answer` is to `word`.
struct Candidate {
  std::string word;  // as it is shown
  std::string answer;
  std::int64_t commonness{};
};

struct SkillSource {
  std::string name;
  std::string question;  // with {} for the word
  std::string response;  // with {} for the answer
  Words classes;         // the answers to balance; empty: any answer
  std::vector<Candidate> candidates;
};

// Which words must not be parted between training and test.
class Families {
 public:
  void join(const std::string& a, const std::string& b) {
    const std::string root_a = root(a);
    const std::string root_b = root(b);
    if (root_a != root_b) parent_[std::max(root_a, root_b)] = std::min(root_a, root_b);
  }

  // The alphabetically first word of the family.
  std::string root(std::string word) const {
    for (auto up = parent_.find(word); up != parent_.end(); up = parent_.find(word)) word = up->second;
    return word;
  }

 private:
  std::unordered_map<std::string, std::string> parent_;
};

// FNV-1a, 64 bits.
std::uint64_t hash(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

bool is_short(std::string_view word) { return word.size() >= 3 && word.size() <= 10; }

// Whether `word` may be read as a regular form of another word: flies, joined, nearer.
bool looks_inflected(const std::string& word, const Lexicon& lexicon) {
  struct Ending {
    std::string_view suffix, replacement;
    std::array<bool, n_parts_of_speech> parts;  // of the word that it would be a form of
  };
  static constexpr std::array<Ending, 13> endings{{{"s", "", {true, true, false, false}},
                                                   {"es", "", {true, true, false, false}},
                                                   {"ies", "y", {true, true, false, false}},
                                                   {"ed", "", {false, true, false, false}},
                                                   {"ed", "e", {false, true, false, false}},
                                                   {"ied", "y", {false, true, false, false}},
                                                   {"ing", "", {false, true, false, false}},
                                                   {"ing", "e", {false, true, false, false}},
                                                   {"er", "", {false, false, true, true}},
                                                   {"er", "e", {false, false, true, true}},
                                                   {"ier", "y", {false, false, true, true}},
                                                   {"est", "", {false, false, true, true}},
                                                   {"iest", "y", {false, false, true, true}}}};
  return std::ranges::any_of(endings, [&](const Ending& ending) {
    if (!word.ends_with(ending.suffix)) return false;
    const auto stem =
        lexicon.words.find(word.substr(0, word.size() - ending.suffix.size()) + std::string(ending.replacement));
    if (stem == lexicon.words.end()) return false;
    for (std::size_t part = 0; part < n_parts_of_speech; ++part) {
      if (ending.parts[part] && !stem->second[part].empty()) return true;
    }
    return false;
  });
}

bool is_base_form(const std::string& word, const Lexicon& lexicon) {
  return !lexicon.base_forms.contains(word) && !looks_inflected(word, lexicon);
}

// The kind of thing that nearly all uses of a word name (every sense counts as one use beside its tags), if it is one
// of `kinds` (lexicographer file -> name). Only places may be proper names: `France`, but no persons of history.
std::optional<Candidate> categorise(const std::string& word, const WordSenses& senses,
                                    const std::map<int, std::string>& kinds) {
  constexpr double clear_majority = 0.75;
  const auto& nouns = senses[static_cast<std::size_t>(PartOfSpeech::noun)];
  if (nouns.empty()) return std::nullopt;
  const auto kind = kinds.find(nouns.front().lexicographer_file);
  if (kind == kinds.end()) return std::nullopt;
  if (nouns.front().spelling != word && kind->second != "place") return std::nullopt;
  std::int64_t all = 0;
  std::int64_t same = 0;
  for (std::size_t part = 0; part < n_parts_of_speech; ++part) {
    for (const WordSense& sense : senses[part]) {
      all += sense.tags + 1;
      if (part == 0 && sense.lexicographer_file == kind->first) same += sense.tags + 1;
    }
  }
  if (static_cast<double>(same) < clear_majority * static_cast<double>(all)) return std::nullopt;
  return Candidate{.word = nouns.front().spelling, .answer = kind->second, .commonness = 0};
}

SkillSource category_skill(const Lexicon& lexicon) {
  // Lexicographer files noun.animal, noun.food, noun.location, noun.person, noun.plant (man 5 lexnames).
  const std::map<int, std::string> kinds{{5, "animal"}, {13, "food"}, {15, "place"}, {18, "person"}, {20, "plant"}};
  SkillSource skill{.name = "category",
                    .question = "Which kind of thing is the word {}: animal, plant, food, person or place?",
                    .response = "the correct answer is {}",
                    .classes = {"animal", "plant", "food", "person", "place"},
                    .candidates = {}};
  for (const auto& [word, senses] : lexicon.words) {
    if (!is_short(word) || std::ranges::count(skill.classes, word) > 0 || !is_base_form(word, lexicon)) continue;
    if (auto candidate = categorise(word, senses, kinds)) skill.candidates.push_back(std::move(*candidate));
  }
  return skill;
}

SkillSource part_of_speech_skill(const Lexicon& lexicon) {
  // WordNet has no prepositions, conjunctions and pronouns: those that it lists at all, it lists as something else.
  static constexpr std::array function_words{
      "about",   "above",  "across",   "after",   "along",  "another", "around",  "before", "behind",     "below",
      "beneath", "beside", "besides",  "between", "beyond", "both",    "but",     "each",   "either",     "every",
      "except",  "inside", "near",     "neither", "not",    "off",     "only",    "other",  "outside",    "over",
      "past",    "since",  "than",     "that",    "the",    "this",    "through", "under",  "underneath", "unless",
      "until",   "what",   "whatever", "when",    "where",  "which",   "who",     "within", "without"};
  SkillSource skill{.name = "part_of_speech",
                    .question = "Which part of speech is the word {}: noun, verb, adjective or adverb?",
                    .response = "the correct answer is {}",
                    .classes = {"noun", "verb", "adjective", "adverb"},
                    .candidates = {}};
  for (const auto& [word, senses] : lexicon.words) {
    const auto used = std::ranges::find_if(senses, [](const auto& s) { return !s.empty(); });
    const auto n_used = std::ranges::count_if(senses, [](const auto& s) { return !s.empty(); });
    if (!is_short(word) || n_used != 1 || used->front().spelling != word) continue;
    if (std::ranges::count(skill.classes, word) > 0 || std::ranges::count(function_words, word) > 0) continue;
    if (!is_base_form(word, lexicon)) continue;
    const auto part = static_cast<std::size_t>(used - senses.begin());
    skill.candidates.push_back({.word = word, .answer = skill.classes[part], .commonness = 0});
  }
  return skill;
}

// Whether some sense of `word` is written without capitals.
bool has_common_spelling(const std::string& word, const Lexicon& lexicon) {
  const auto entry = lexicon.words.find(word);
  if (entry == lexicon.words.end()) return false;
  return std::ranges::any_of(entry->second, [&](const auto& part) {
    return std::ranges::any_of(part, [&](const WordSense& sense) { return sense.spelling == word; });
  });
}

SkillSource base_form_skill(const Lexicon& lexicon) {
  SkillSource skill{.name = "base_form",
                    .question = "What is the base form of the word {}?",
                    .response = "the base form is {}",
                    .classes = {},
                    .candidates = {}};
  for (const auto& [form, bases] : lexicon.base_forms) {
    const std::string& base = *bases.begin();
    // A form that is a word of its own (`found`) or has several bases (`axes`) has no single answer.
    if (bases.size() != 1 || form == base || lexicon.words.contains(form)) continue;
    if (!has_common_spelling(base, lexicon) || !is_short(form) || !is_short(base) ||
        form.find_first_not_of("abcdefghijklmnopqrstuvwxyz") != form.npos)
      continue;
    skill.candidates.push_back({.word = form, .answer = base, .commonness = 0});
  }
  return skill;
}

// The opposite of a word in its commonest sense, if there is just one.
std::optional<std::string> only_antonym(const WordSenses& senses) {
  const WordSense* commonest = nullptr;
  for (const auto& part : senses) {
    if (!part.empty() && (commonest == nullptr || part.front().tags > commonest->tags)) commonest = &part.front();
  }
  if (commonest == nullptr || commonest->antonyms.size() != 1) return std::nullopt;
  return commonest->antonyms.front();
}

SkillSource antonym_skill(const Lexicon& lexicon) {
  SkillSource skill{.name = "antonym",
                    .question = "What is the opposite of the word {}?",
                    .response = "the opposite is {}",
                    .classes = {},
                    .candidates = {}};
  for (const auto& [word, senses] : lexicon.words) {
    const auto opposite = only_antonym(senses);
    if (!opposite || !is_short(word) || !is_short(*opposite)) continue;
    const auto entry = lexicon.words.find(*opposite);
    if (entry == lexicon.words.end() || only_antonym(entry->second) != word) continue;
    skill.candidates.push_back({.word = word, .answer = *opposite, .commonness = 0});
  }
  return skill;
}

// The n commonest candidates of one side, the same number of each class to within one, in random order.
Task draw(const SkillSource& skill, const std::string& side, std::size_t n,
          const std::function<bool(const Candidate&)>& belongs, Random& random) {
  const std::size_t n_classes = std::max<std::size_t>(skill.classes.size(), 1);
  Task task{.name = skill.name + "." + side, .examples = {}};
  for (std::size_t c = 0; c < n_classes; ++c) {
    const std::size_t wanted = n / n_classes + (c < n % n_classes ? 1 : 0);
    std::size_t taken = 0;
    for (const Candidate& candidate : skill.candidates) {
      if (taken == wanted) break;
      if (!skill.classes.empty() && candidate.answer != skill.classes[c]) continue;
      if (!belongs(candidate)) continue;
      Example& example = task.examples.emplace_back();
      example.instruction = fmt::format(fmt::runtime(skill.question), candidate.word);
      example.output = fmt::format(fmt::runtime(skill.response), candidate.answer);
      example.answer = candidate.answer;
      ++taken;
    }
    require(taken == wanted, "too few words for {}{}{}: {} found, {} wanted", task.name,
            skill.classes.empty() ? "" : ", ", skill.classes.empty() ? "" : skill.classes[c], taken, wanted);
  }
  collect_answers(task);
  shuffle(task.examples, random);
  return task;
}

Families join_families(const Lexicon& lexicon, const SkillSource& antonyms) {
  Families families;
  for (const auto& [form, bases] : lexicon.base_forms) {
    for (const std::string& base : bases) families.join(form, base);
  }
  for (const Candidate& pair : antonyms.candidates) families.join(pair.word, pair.answer);
  return families;
}

}  // namespace

std::vector<Skill> wordnet_skills(const std::filesystem::path& dict, std::size_t n_train, std::size_t n_test,
                                  std::uint64_t seed) {
  require(n_train > 0 && n_test > 0, "{} training and {} test examples a skill: expected at least one of each", n_train,
          n_test);
  const Lexicon lexicon = read_lexicon(dict);
  std::array sources{category_skill(lexicon), part_of_speech_skill(lexicon), base_form_skill(lexicon),
                     antonym_skill(lexicon)};
  const Families families = join_families(lexicon, sources.back());

  constexpr std::uint64_t side_stream = 1;
  constexpr std::uint64_t order_stream = 2;
  const double test_share = static_cast<double>(n_test) / static_cast<double>(n_train + n_test);
  const auto in_test = [&](const Candidate& candidate) {
    return philox(seed, side_stream, hash(families.root(lower_ascii(candidate.word))))[0] * 0x1p-32 < test_share;
  };

  std::vector<Skill> skills;
  for (SkillSource& source : sources) {
    std::erase_if(source.candidates, [&](const Candidate& c) {
      return lexicon.is_coarse(lower_ascii(c.word)) || lexicon.is_coarse(c.answer);
    });
    for (Candidate& candidate : source.candidates) {
      candidate.commonness = lexicon.commonness(lower_ascii(candidate.word));
      // A pair of words ranks by its geometric mean; the square orders alike.
      if (source.classes.empty()) candidate.commonness *= lexicon.commonness(candidate.answer);
    }
    std::ranges::sort(source.candidates, [](const Candidate& a, const Candidate& b) {
      return std::tie(b.commonness, a.word) < std::tie(a.commonness, b.word);
    });
    Random random(seed, order_stream + skills.size());
    Task train = draw(
        source, "train", n_train, [&](const Candidate& c) { return !in_test(c); }, random);
    Task test = draw(source, "test", n_test, in_test, random);
    skills.push_back({.train = std::move(train), .test = std::move(test)});
  }
  return skills;
}

}  // namespace csreft
