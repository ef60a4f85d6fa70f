// Golden values of GGUF's blocks.
#pragma once

#include <filesystem>
#include <vector>

#include "tests/golden_result.h"

// Reads blocks.json ({"Q4_K": {"blocks": hex, "values": hex}}) of `directory`: blocks drawn at random, with ordinary,
// largest, smallest, infinite and negative scales, and the floats that the Python package gguf makes of them (for Q8_K,
// which it lacks, numpy's d * q). Every float must be the same to the bit; any NaN equals any other. Throws
// csreft::Error for an unreadable folder and for a type that is not read.
std::vector<GoldenResult> check_golden_gguf(const std::filesystem::path& directory);
