// Four word skills drawn from WordNet: tasks that a small language model learns in minutes and that are scored exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "experiments/tasks/task.h"

namespace csreft {

inline constexpr const char* wordnet_dict = "/usr/share/wordnet";

struct Skill {
  Task train;
  Task test;
};

// Draws the skills `category` (animal, plant, food, person or place), `part_of_speech`, `base_form` (of irregular
// forms) and `antonym`, in this order, each with n_train and n_test examples that carry an answer. The tasks are named
// NAME.train and NAME.test.
//
// The same seed draws the same examples. The commonest words come first; a word whose label is open to doubt is never
// asked, nor is one that is coarse (Lexicon::is_coarse). Classes are balanced to within one example. A family of words
// (a word, its irregular forms, its opposite and theirs) is either on the training side or on the test side, in every
// skill.
//
// Throws Error for missing or malformed files in `dict`, for n_train or n_test of 0, and when WordNet has too few
// words.
std::vector<Skill> wordnet_skills(const std::filesystem::path& dict, std::size_t n_train, std::size_t n_test,
                                  std::uint64_t seed);

}  // namespace csreft
