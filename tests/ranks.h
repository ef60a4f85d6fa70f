// Programmes started on several ranks, as a user starts them with mpirun.
#pragma once

#include <string>
#include <vector>

#include "core/base/child_process.h"

// Whether mpirun is here and the programme was built with MPI; if not, says so on stdout.
bool can_start_ranks();

// mpirun's flags for n ranks on whatever processors there are.
std::vector<std::string> mpirun(int n);

// Runs these words to their end, standard error apart, or kills them after a minute: then a check fails.
csreft::ChildResult run_words(const std::vector<std::string>& words, csreft::ChildOptions options = {});
