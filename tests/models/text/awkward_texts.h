// Texts that tokenizers stumble over: joined emoji, combining marks, many scripts, control characters, long white
// space, digits, the texts of special tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// The same n texts for the same seed, on every machine.
std::vector<std::string> awkward_texts(std::size_t n, std::uint64_t seed);
