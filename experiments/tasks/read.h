// Files of data, in the forms that people have (formats/), as tasks.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/tasks/reading.h"
#include "experiments/tasks/task.h"

namespace csreft {

// Texts such as "output=answer". Throws Error for another form, a name that no format has, and a name given twice.
FieldNames parse_field_names(std::span<const std::string> texts);

// What the command line calls a file of data: FILE or, if no such file is there, NAME=FILE.
struct DataFile {
  std::filesystem::path path;
  std::string name;  // that was given; empty: none
};
DataFile parse_data_file(const std::string& text);

// What a file holds.
struct FileTasks {
  std::vector<Task> tasks;         // one, or one for each value of the task column, which may have no example here
  std::vector<std::string> notes;  // a line for each thing that a user would not expect, such as a key that is not read
};

// Reads JSON (a list, an object with a list, or an object a line), gzip around it or not. The elements may be of
// different formats; null, NaN and Infinity are empty, numbers are text. Examples that are empty or, where outputs are
// required, have no response are counted in `skipped`. `name` is the task's, if no column tells it; `where` names the
// file. Throws Error for anything else, and where no example is left or some have an answer and others do not.
FileTasks read_tasks(std::string bytes, const std::string& name, const std::string& where, const DataReading& reading);

// The one task of a file, by default named as the file is, less its extension (and ".gz").
Task load_task(const std::filesystem::path& path, Outputs outputs = Outputs::required);

// Reads files, as parse_data_file has them. Where a column tells the tasks, those of one name in several files are one.
// `notes`, if given, receives those of the files that it does not have yet. Throws Error, too, for a task of which no
// example can be used, and for two files of the same name, which scores and pictures could not tell apart.
std::vector<Task> load_tasks(std::span<const std::string> files, const DataReading& reading = {},
                             std::vector<std::string>* notes = nullptr);

}  // namespace csreft
