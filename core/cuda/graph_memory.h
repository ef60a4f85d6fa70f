// The memory of recorded work (graph.h).
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <vector>

#include "core/cuda/allocator.h"

namespace csreft::cuda {

// A graph's temporaries and constants. A graph has their addresses in it, so nothing else may ever have them: blocks
// that the work frees wait here for the next one of the same size.
class GraphMemory : public std::enable_shared_from_this<GraphMemory> {
 public:
  explicit GraphMemory(Allocator& allocator) : allocator_(allocator) {}

  // While a stream is captured nothing can be allocated: a block that is not there is an Error.
  std::shared_ptr<void> take(std::size_t bytes);
  // What was uploaded while the work was first done. Throws Error while capturing for bytes that were not: a graph
  // would repeat what they are now.
  std::shared_ptr<void> constant(const void* bytes, std::size_t n) const;
  void keep_constant(const void* bytes, std::size_t n, std::shared_ptr<void> memory);

  void set_capturing(bool capturing) { capturing_ = capturing; }

 private:
  struct Constant {
    std::vector<std::byte> content;
    std::shared_ptr<void> memory;
  };

  Allocator& allocator_;
  bool capturing_ = false;
  std::multimap<std::size_t, std::shared_ptr<void>> free_;
  std::vector<Constant> constants_;
};

// The memory of the graph whose work this thread is doing, if it is.
std::shared_ptr<GraphMemory>& current_graph_memory();

}  // namespace csreft::cuda
