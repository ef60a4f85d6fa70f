#include "experiments/tasks/task.h"
#include "tests/fuzz/target.h"

namespace csreft {

namespace {

std::vector<std::string> seeds() {
  return {
      R"([{"instruction": "a", "input": "b", "output": "c", "answer": "c"}])",
      "{\"instruction\": \"a\", \"output\": \"c\", \"dataset\": \"d\"}\n{\"instruction\": \"e\", \"output\": \"f\"}\n"};
}

void read(std::string_view input) { static_cast<void>(load_task(fuzz_folder().write("task.json", input))); }

}  // namespace

extern const FuzzTarget task_data_target;
const FuzzTarget task_data_target{"task_data", "training data", seeds, read};

}  // namespace csreft
