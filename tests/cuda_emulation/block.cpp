#include "block.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <exception>
#include <numeric>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "accesses.h"
#include "fibers.h"
#include "memory.h"
#include "races.h"
#include "random_order.h"
#include "report.h"
#include "shared_memory.h"
#include "symbol_name.h"

// The definitions of what kernels see as constants (emulation/intrinsics.h).
uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace csreft::emulation {
namespace {

constexpr unsigned warp_lanes = 32;
constexpr int n_barriers = 16;  // 0 is the whole block's

enum class State { ready, waiting, done };
struct Thread {
  State state = State::ready;
  uint3 index{};
  std::source_location where;
  const char* what = "";
};

// A barrier that some threads reached.
struct Barrier {
  int expected = 0;
  std::vector<unsigned> arrived;
};

// Lanes of a warp that wait for each other.
struct Meeting {
  const char* what;
  unsigned mask, arrived = 0;
  std::array<void*, warp_lanes> data{};
};

struct Block {
  const Launch* launch = nullptr;
  unsigned n_threads = 0;
  unsigned current = 0;
  bool stopped = false;  // a rule was broken
  std::array<Thread, Fibers::most> threads;
  std::array<Barrier, n_barriers> barriers;
  std::array<std::vector<Meeting>, Fibers::most / warp_lanes> meetings;
  std::vector<unsigned> ready;
  Fibers fibers;
  SharedMemory shared;
  Races races{SharedMemory::size};

  explicit Block(void (*body)(std::size_t)) : fibers(body) {}
};

void run_thread(std::size_t);
Block& block() {
  static Block* const instance = [] {
    auto* made = new Block(run_thread);
    set_checked_memory({.fibers = &made->fibers, .shared = &made->shared, .races = &made->races});
    return made;
  }();
  return *instance;
}

// What fiber i does for each block.
void run_thread(std::size_t) {
  auto& b = block();
  b.launch->run(b.launch->kernel, b.launch->arguments.get());
  b.threads[b.current].state = State::done;
}

void suspend() { block().fibers.suspend(); }

void wait(const char* what, const std::source_location& where) {
  auto& thread = block().threads[block().current];
  thread.state = State::waiting;
  thread.what = what;
  thread.where = where;
  suspend();
}

void release(unsigned thread) {
  block().threads[thread].state = State::ready;
  if (thread != block().current) block().ready.push_back(thread);
}

std::string place(const std::source_location& where) { return fmt::format("{}:{}", where.file_name(), where.line()); }

std::string text(const uint3& index) { return fmt::format("({}, {}, {})", index.x, index.y, index.z); }

std::string launch_name() {
  return fmt::format("kernel {}, block {}", symbol_name(block().launch->kernel), text(blockIdx));
}

// "threads 0-31, 40 (65 in all)"
std::string ranges(std::span<const unsigned> threads) {
  std::string out;
  for (std::size_t i = 0; i < threads.size();) {
    std::size_t j = i + 1;
    while (j < threads.size() && threads[j] == threads[j - 1] + 1) ++j;
    out += fmt::format("{}{}", out.empty() ? "" : ", ", threads[i]);
    if (j - i > 1) out += fmt::format("-{}", threads[j - 1]);
    i = j;
    if (out.size() > 80 && i < threads.size()) {
      out += ", ...";
      break;
    }
  }
  return fmt::format("{} {} ({} in all)", threads.size() == 1 ? "thread" : "threads", out, threads.size());
}

// Nobody can go on: who waits for what, and who does not.
std::string stuck() {
  const auto& b = block();
  unsigned first = 0;
  while (b.threads[first].state != State::waiting) ++first;
  const auto& example = b.threads[first];
  std::vector<unsigned> same, others;
  for (unsigned t = 0; t < b.n_threads; ++t) {
    const auto& thread = b.threads[t];
    const bool waits = thread.state == State::waiting && std::strcmp(thread.what, example.what) == 0 &&
                       thread.where.line() == example.where.line();
    (waits ? same : others).push_back(t);
  }
  return fmt::format("{}: {} at {} was not reached by all threads that must: {} wait{}; {} {} elsewhere or ended",
                     launch_name(), example.what, place(example.where), ranges(same), same.size() == 1 ? "s" : "",
                     ranges(others), others.size() == 1 ? "is" : "are");
}

void stop(cudaError_t error, const std::string& report) {
  set_fault(error, report);
  block().stopped = true;
}

void abandon_all() {
  auto& b = block();
  for (unsigned t = 0; t < b.n_threads; ++t) {
    if (b.threads[t].state != State::done) b.fibers.abandon(t);
  }
  for (auto& barrier : b.barriers) barrier = {};
  for (auto& meetings : b.meetings) meetings.clear();
}

void start_block() {
  auto& b = block();
  b.shared.start_block();
  b.races.start_block(b.n_threads);
  b.ready.resize(b.n_threads);
  for (unsigned t = 0; t < b.n_threads; ++t) {
    b.threads[t].state = State::ready;
    b.ready[t] = t;
  }
}

void run_block() {
  auto& b = block();
  start_block();
  while (!b.ready.empty() && !b.stopped) {
    const auto pick = random_below(static_cast<std::uint32_t>(b.ready.size()));
    const unsigned t = b.ready[pick];
    b.ready[pick] = b.ready.back();
    b.ready.pop_back();
    b.current = t;
    threadIdx = b.threads[t].index;
    set_checked(true);
    b.fibers.resume(t);
    set_checked(false);
  }
  if (!b.stopped) {
    for (unsigned t = 0; t < b.n_threads && !b.stopped; ++t) {
      if (b.threads[t].state == State::waiting) stop(cudaErrorLaunchFailure, stuck());
    }
  }
  if (b.stopped) abandon_all();
}

// Joins the meeting of these lanes, or starts it. The last to come combines and wakes the others.
void meet(const char* what, unsigned mask, void* data, void (*combine)(void* const* lanes, unsigned mask), bool orders,
          const std::source_location& where) {
  auto& b = block();
  const unsigned lane = b.current % warp_lanes, first = b.current - lane;
  const unsigned existing = b.n_threads - first >= warp_lanes ? 0xffffffffU : (1U << (b.n_threads - first)) - 1U;
  if ((mask >> lane & 1U) == 0) {
    fault_running_thread(cudaErrorLaunchFailure, [&] {
      return fmt::format("{} at {}: lane {} is not in its mask {:#010x}", what, place(where), lane, mask);
    });
  }
  if ((mask & ~existing) != 0) {
    fault_running_thread(cudaErrorLaunchFailure, [&] {
      return fmt::format(
          "{} at {}: the mask {:#010x} names lanes that the block of "
          "{} threads does not have",
          what, place(where), mask, b.n_threads);
    });
  }
  auto& meetings = b.meetings[b.current / warp_lanes];
  auto meeting = meetings.begin();
  while (meeting != meetings.end() && (meeting->mask & mask) == 0) ++meeting;
  if (meeting == meetings.end()) {
    meeting = meetings.insert(meeting, Meeting{what, mask});
  } else if (meeting->mask != mask || (meeting->what != what && std::strcmp(meeting->what, what) != 0)) {
    fault_running_thread(cudaErrorLaunchFailure, [&] {
      return fmt::format("{} at {} with mask {:#010x}: other lanes of it are in {} with mask {:#010x}", what,
                         place(where), mask, meeting->what, meeting->mask);
    });
  }
  meeting->data[lane] = data;
  meeting->arrived |= 1U << lane;
  if (meeting->arrived != mask) return wait(what, where);
  const auto all = meeting->data;
  meetings.erase(meeting);
  if (combine != nullptr) combine(all.data(), mask);
  std::array<unsigned, warp_lanes> lanes{};
  std::size_t n = 0;
  for (unsigned l = 0; l < warp_lanes; ++l) {
    if ((mask >> l & 1U) != 0) lanes[n++] = first + l;
  }
  if (orders) b.races.join(std::span(lanes.data(), n));
  for (std::size_t i = 0; i < n; ++i) release(lanes[i]);
}

struct ShuffledLane {
  std::uint64_t bits;
  unsigned source;  // lane
  std::uint64_t result;
  bool missing;
};

}  // namespace

void run_launch(const Launch& launch) {
  auto& b = block();
  b.launch = &launch;
  b.n_threads = launch.block.x * launch.block.y * launch.block.z;
  b.stopped = false;
  blockDim = launch.block;
  gridDim = launch.grid;
  for (unsigned t = 0; t < b.n_threads; ++t) {
    b.threads[t].index = {t % launch.block.x, t / launch.block.x % launch.block.y,
                          t / (launch.block.x * launch.block.y)};
  }
  b.shared.start_launch(launch.dynamic_bytes);
  // Blocks in random order: i -> (i * step + start) mod n with a step that has no divisor in common with n.
  const std::uint64_t n = std::uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  const auto below = [n] { return random_below(static_cast<std::uint32_t>(std::min<std::uint64_t>(n, 0xffffffffU))); };
  std::uint64_t step = 1 + below();
  while (std::gcd(step, n) != 1) ++step;
  std::uint64_t i = below();
  for (std::uint64_t done = 0; done < n && !b.stopped; ++done) {
    blockIdx = {static_cast<unsigned>(i % launch.grid.x), static_cast<unsigned>(i / launch.grid.x % launch.grid.y),
                static_cast<unsigned>(i / (std::uint64_t{launch.grid.x} * launch.grid.y))};
    run_block();
    i = (i + step) % n;
  }
  b.launch = nullptr;
}

std::string thread_name(unsigned thread) { return fmt::format("thread {}", text(block().threads[thread].index)); }

std::string running_thread() { return fmt::format("{}, {}", launch_name(), thread_name(block().current)); }

void end_running_thread(cudaError_t error, const std::string& what) {
  stop(error, fmt::format("{}: {}", running_thread(), what));
  block().threads[block().current].state = State::waiting;
}

void leave_running_thread() {
  suspend();
  std::terminate();  // never resumed
}

void fault_thread(const char* what) {
  fault_running_thread(cudaErrorLaunchFailure, [what] { return std::string(what); });
}

// ---- what threads call ----------------------------------------------------------------------------------------------

void sync_block(const std::source_location& where) {
  auto& b = block();
  auto& barrier = b.barriers[0];
  if (!barrier.arrived.empty()) {
    const auto& other = b.threads[barrier.arrived.front()].where;
    if (other.line() != where.line() || std::strcmp(other.file_name(), where.file_name()) != 0) {
      fault_running_thread(cudaErrorLaunchFailure, [&] {
        return fmt::format("waits in __syncthreads at {}, but {} in that at {}", place(where),
                           thread_name(barrier.arrived.front()), place(other));
      });
    }
  }
  barrier.arrived.push_back(b.current);
  if (barrier.arrived.size() < b.n_threads) return wait("__syncthreads", where);
  b.races.join_block();
  for (const unsigned t : barrier.arrived) release(t);
  barrier.arrived.clear();
}

void sync_named(int id, int n_threads, const std::source_location& where) {
  auto& b = block();
  if (id < 1 || id >= n_barriers || n_threads < 1 || n_threads % static_cast<int>(warp_lanes) != 0 ||
      static_cast<unsigned>(n_threads) > b.n_threads) {
    fault_running_thread(cudaErrorLaunchFailure, [&] {
      return fmt::format(
          "named_barrier({}, {}) at {}: expected an id of 1 to 15 and a multiple of 32 threads, "
          "at most the block's {}",
          id, n_threads, place(where), b.n_threads);
    });
  }
  auto& barrier = b.barriers[static_cast<std::size_t>(id)];
  if (!barrier.arrived.empty() && barrier.expected != n_threads) {
    fault_running_thread(cudaErrorLaunchFailure, [&] {
      return fmt::format("named_barrier({}, {}) at {}: {} waits there for {} threads", id, n_threads, place(where),
                         thread_name(barrier.arrived.front()), barrier.expected);
    });
  }
  barrier.expected = n_threads;
  barrier.arrived.push_back(b.current);
  if (barrier.arrived.size() < static_cast<std::size_t>(n_threads)) return wait("named_barrier", where);
  b.races.join(barrier.arrived);
  for (const unsigned t : barrier.arrived) release(t);
  barrier.arrived.clear();
}

void sync_warp(unsigned mask, const std::source_location& where) {
  meet("__syncwarp", mask, nullptr, nullptr, true, where);
}

std::uint64_t shuffle_bits(unsigned mask, std::uint64_t bits, Shuffle kind, unsigned operand, int width,
                           const std::source_location& where) {
  const bool power = width > 0 && width <= 32 && std::has_single_bit(static_cast<unsigned>(width));
  if (!power) {
    fault_running_thread(cudaErrorLaunchFailure, [&] {
      return fmt::format("shuffle at {}: width {}; expected a power of 2, at most 32", place(where), width);
    });
  }
  const unsigned lane = block().current % warp_lanes, w = static_cast<unsigned>(width);
  const unsigned begin = lane / w * w, within = lane - begin;
  ShuffledLane own{bits, lane, 0, false};
  switch (kind) {
    case Shuffle::index: own.source = begin + operand % w; break;
    case Shuffle::exclusive_or:
      // Lanes before one's own group can be read, those after it cannot.
      if ((lane ^ operand) < begin + w) own.source = lane ^ operand;
      break;
    case Shuffle::down:
      if (within + operand < w) own.source = lane + operand;
      break;
    case Shuffle::up:
      if (operand <= within) own.source = lane - operand;
      break;
  }
  static constexpr std::array names{"__shfl_sync", "__shfl_xor_sync", "__shfl_down_sync", "__shfl_up_sync"};
  const auto combine = [](void* const* lanes, unsigned m) {
    for (unsigned l = 0; l < warp_lanes; ++l) {
      if ((m >> l & 1U) == 0) continue;
      auto& to = *static_cast<ShuffledLane*>(lanes[l]);
      to.missing = (m >> to.source & 1U) == 0;
      if (!to.missing) to.result = static_cast<const ShuffledLane*>(lanes[to.source])->bits;
    }
  };
  meet(names[static_cast<std::size_t>(kind)], mask, &own, combine, false, where);
  if (own.missing) {
    fault_running_thread(cudaErrorLaunchFailure, [&] {
      return fmt::format("{} at {} reads lane {}, which is not in the mask {:#010x}",
                         names[static_cast<std::size_t>(kind)], place(where), own.source, mask);
    });
  }
  return own.result;
}

unsigned ballot(unsigned mask, bool predicate, const std::source_location& where) {
  struct Vote {
    bool predicate;
    unsigned result;
  } vote{predicate, 0};
  const auto combine = [](void* const* lanes, unsigned m) {
    unsigned result = 0;
    for (unsigned l = 0; l < warp_lanes; ++l) {
      if ((m >> l & 1U) != 0 && static_cast<const Vote*>(lanes[l])->predicate) result |= 1U << l;
    }
    for (unsigned l = 0; l < warp_lanes; ++l) {
      if ((m >> l & 1U) != 0) static_cast<Vote*>(lanes[l])->result = result;
    }
  };
  meet("a vote", mask, &vote, combine, false, where);
  return vote.result;
}

void with_whole_warp(const char* name, void* data, void (*combine)(void* const* lanes),
                     const std::source_location& where) {
  struct Lane {
    void* data;
    void (*combine)(void* const* lanes);
  } lane{data, combine};
  const auto combine_data = [](void* const* lanes, unsigned) {
    std::array<void*, warp_lanes> all;
    for (unsigned l = 0; l < warp_lanes; ++l) all[l] = static_cast<Lane*>(lanes[l])->data;
    if (const auto first = static_cast<Lane*>(lanes[0])->combine; first != nullptr) first(all.data());
  };
  meet(name, 0xffffffffU, &lane, combine_data, false, where);
}

void* shared_variable(SharedSite& site, std::size_t bytes, std::size_t alignment, const char* name) {
  void* const address = block().shared.variable(site, bytes, alignment);
  if (address == nullptr) {
    fault_running_thread(cudaErrorLaunchFailure, [&] {
      return fmt::format(
          "{} makes the shared variables of the kernel larger than {} bytes, or than {} with "
          "what the launch asked for",
          name, most_static_shared, most_shared);
    });
  }
  return address;
}

void* dynamic_shared_memory() { return block().shared.dynamic(); }

std::uint64_t atomic_add(void* address, std::size_t bytes, std::uint64_t value) {
  check_atomic(address, bytes);
  std::uint64_t old = 0;
  std::memcpy(&old, address, bytes);
  const std::uint64_t sum = old + value;
  std::memcpy(address, &sum, bytes);
  return old;
}

bool launch_is_running() { return block().launch != nullptr; }
const Launch& running_launch() { return *block().launch; }
unsigned running_thread_index() { return block().current; }

}  // namespace csreft::emulation
