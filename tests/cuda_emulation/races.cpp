#include "races.h"

#include <algorithm>
#include <limits>

namespace csreft::emulation {
namespace {

constexpr unsigned warp = 32;

}  // namespace

Races::Stamp Races::next_stamp() {
  if (stamp_ == std::numeric_limits<Stamp>::max()) {
    // Start anew; the accesses so far are forgotten.
    std::ranges::fill(cells_, Cell{});
    stamp_ = 0;
  }
  return ++stamp_;
}

void Races::start_block(unsigned n_threads) {
  n_threads_ = n_threads;
  current_.resize(n_threads);
  join_block();
}

void Races::join_block() {
  barrier_ = next_stamp();
  std::ranges::fill(current_, barrier_);
  partial_ = false;
}

void Races::join(std::span<const unsigned> threads) {
  if (!partial_) {
    known_.assign(std::size_t{n_threads_} * n_threads_, 0);
    partial_ = true;
  }
  std::vector<Stamp> all(n_threads_, 0);
  for (const unsigned t : threads) {
    const Stamp* const row = known_.data() + std::size_t{t} * n_threads_;
    for (unsigned u = 0; u < n_threads_; ++u) all[u] = std::max(all[u], row[u]);
  }
  for (const unsigned t : threads) all[t] = current_[t];
  const Stamp stamp = next_stamp();
  for (const unsigned t : threads) {
    std::ranges::copy(all, known_.begin() + static_cast<std::ptrdiff_t>(std::size_t{t} * n_threads_));
    current_[t] = stamp;
  }
}

int Races::read(std::size_t offset, std::size_t bytes, unsigned thread) {
  const Access now{current_[thread], thread};
  for (auto* cell = &cells_[offset]; cell != &cells_[offset] + bytes; ++cell) {
    if (!ordered(cell->write, thread)) return static_cast<int>(cell->write.thread);
    if (cell->read.thread == thread || cell->read.stamp < barrier_) {
      cell->read = now;
    } else if (cell->other_read.stamp < barrier_ || cell->other_read.thread == thread ||
               (cell->other_read.thread / warp == cell->read.thread / warp &&
                thread / warp != cell->read.thread / warp)) {
      cell->other_read = now;
    }
  }
  return -1;
}

int Races::write(std::size_t offset, std::size_t bytes, unsigned thread) {
  for (auto* cell = &cells_[offset]; cell != &cells_[offset] + bytes; ++cell) {
    for (const Access* before : {&cell->write, &cell->read, &cell->other_read}) {
      if (!ordered(*before, thread)) return static_cast<int>(before->thread);
    }
    *cell = {.write = {current_[thread], thread}, .read = {}, .other_read = {}};
  }
  return -1;
}

}  // namespace csreft::emulation
