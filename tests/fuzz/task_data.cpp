#include "experiments/tasks/read.h"
#include "tests/fuzz/target.h"

namespace csreft {

namespace {

std::vector<std::string> seeds() {
  return {
      R"([{"instruction": "a", "input": "b", "output": "c", "answer": "c"}])",
      "{\"instruction\": \"a\", \"output\": \"c\", \"dataset\": \"d\"}\n{\"instruction\": \"e\", \"output\": \"f\"}\n",
      R"([{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}])",
      R"([{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}])",
      R"({"prompt": "a", "completion": "b"})",
  };
}

void read(std::string_view input) { static_cast<void>(read_tasks(std::string(input), "task", "task.json", {})); }

}  // namespace

extern const FuzzTarget task_data_target;
const FuzzTarget task_data_target{"task_data", "training data", seeds, read};

}  // namespace csreft
