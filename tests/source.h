// Where the tests find the files and the programme that they are about.
#pragma once

#include <filesystem>
#include <string>

// A file or folder of the source tree, or of the folder that the variable CSREFT_SOURCE names, which has its layout.
std::filesystem::path source(const std::string& relative);

// The programme csreft: the one built with the tests, or the one that the variable CSREFT_PROGRAM names.
std::string tested_program();

// Whether the programme was built with MPI.
bool has_mpi();

// Whether all of the project is there: a bundle has the files that its tests read, and no more.
bool has_whole_source();
