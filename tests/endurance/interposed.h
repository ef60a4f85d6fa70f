#pragma once

#include <filesystem>

// The library of interposed.cpp, built with the tests. A bundle does not have it.
std::filesystem::path interposed_library();
