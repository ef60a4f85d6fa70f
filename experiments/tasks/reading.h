// How files of data are to be read.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace csreft {

// Whether every example must have an output: training and test data do, instructions to be answered need not.
enum class Outputs { required, optional };

// Where the columns of an example stand: our name and the key of the file, of those that have another name there.
using FieldNames = std::vector<std::pair<std::string, std::string>>;

struct DataReading {
  FieldNames fields{};
  std::string task_column{};  // the key that tells an element's task; empty: a file is a task
  Outputs outputs = Outputs::required;
};

}  // namespace csreft
