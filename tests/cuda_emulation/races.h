// Finds races on shared memory: two threads touch a byte, one of them writes, and no barrier stands between. Found
// whatever the order in which the threads ran, because accesses are compared by the barriers between them and not by
// their results (happens-before, as in FastTrack: Flanagan and Freund 2009).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace csreft::emulation {

class Races {
 public:
  explicit Races(std::size_t bytes) : cells_(bytes) {}

  void start_block(unsigned n_threads);
  // All threads of the block met.
  void join_block();
  // These threads met.
  void join(std::span<const unsigned> threads);

  // Records that the thread touched [offset, offset + bytes). Returns the thread it races with, or -1.
  int read(std::size_t offset, std::size_t bytes, unsigned thread);
  int write(std::size_t offset, std::size_t bytes, unsigned thread);

 private:
  // A stamp says in which stretch of its thread, between barriers, an access happened; stamps rise.
  using Stamp = std::uint32_t;
  struct Access {
    Stamp stamp = 0;
    std::uint32_t thread = 0;
  };
  struct Cell {
    Access write, read, other_read;  // the last write; two readers since then, of different warps if there are such
  };

  bool ordered(const Access& before, unsigned thread) const {
    return before.stamp < barrier_ || before.thread == thread ||
           (partial_ && before.stamp <= known_[thread * n_threads_ + before.thread]);
  }
  Stamp next_stamp();

  std::vector<Cell> cells_;
  unsigned n_threads_ = 0;
  Stamp stamp_ = 0;
  Stamp barrier_ = 0;           // stretches with lower stamps ended before the last barrier of the block
  std::vector<Stamp> current_;  // of each thread
  bool partial_ = false;        // some threads met since the last barrier of the block: then for each thread, ...
  std::vector<Stamp> known_;    // ... of each other thread, the last stretch that ended before its own began
};

}  // namespace csreft::emulation
