// Whether files are whole, each kind by what its readers need.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

// A line for each file below `root` that is not whole, with what is wrong. Parts of files that a killed process has
// left (*.tmp-*) and locks are nobody's input. A last line without its end counts as absent in a file of lines
// (.jsonl, .part): readers pass over it. A kind without a check is a fault, too.
std::vector<std::string> broken_files(const std::filesystem::path& root);

// Every file below `root`, by its path there, with the part of its contents that depends on the command alone: without
// times, rates, memory and the place of the folder that holds `root`. Of logs and reports, nothing but that they are
// there.
std::map<std::string, std::string> lasting_contents(const std::filesystem::path& root);
