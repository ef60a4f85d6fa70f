// The arrows between the rooms, as the sources' #include lines draw them.
#pragma once

#include <map>
#include <string>
#include <vector>

// What each source file includes by quoted name, by the file's path in the tree: "core/tensor/tensor.h".
using Includes = std::map<std::string, std::vector<std::string>>;

// The quoted names in a file's text.
std::vector<std::string> included_names(const std::string& text);

// The sources of core, autograd, models, reft and experiments.
Includes read_includes();

// What is wrong, a line each. Arrows may go down only: core/base < device < tensor < ops < cpu, cuda < registry, and
// core < autograd < models < reft < experiments; core/cpu and core/cuda do not know each other, and only the registry
// includes core/cuda from outside it. Files of experiments/cli and experiments/report know no method and nothing of
// experiments/training. A name that is no source is wrong, too.
std::vector<std::string> wrong_arrows(const Includes& includes);

// Cycles among pairs of a header and its source, which count as one, each as "a -> b -> a".
std::vector<std::string> cycles(const Includes& includes);
