#include "core/ranks/mpi.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <mpi.h>
#include <sched.h>

namespace csreft::mpi {
namespace {

// A call's count is an int.
constexpr std::size_t most_at_once = std::size_t{1} << 28U;
constexpr int data_tag = 1, failure_tag = 2;

// Calls f(part) for parts of `all`, one after the other, none of them too large.
template <typename T, typename F>
void in_parts(std::span<T> all, const F& f) {
  for (std::size_t begin = 0; begin < all.size(); begin += most_at_once) {
    f(all.subspan(begin, std::min(most_at_once, all.size() - begin)));
  }
}

template <typename T>
int count(std::span<T> part) {
  return static_cast<int>(part.size());
}

template <typename T>
void sum_as(std::span<T> values, MPI_Datatype type) {
  in_parts(values, [type](std::span<T> part) {
    MPI_Allreduce(MPI_IN_PLACE, part.data(), count(part), type, MPI_SUM, MPI_COMM_WORLD);
  });
}

// Each processor is divided among the processes of `host` that may run on it.
int share_of_processors(MPI_Comm host, int processes) {
  cpu_set_t own;
  CPU_ZERO(&own);
  ::sched_getaffinity(0, sizeof own, &own);
  std::vector<cpu_set_t> all(static_cast<std::size_t>(processes));
  MPI_Allgather(&own, sizeof own, MPI_BYTE, all.data(), sizeof own, MPI_BYTE, host);
  double share = 0.0;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &own)) continue;
    share += 1.0 / static_cast<double>(std::ranges::count_if(all, [cpu](auto& set) { return CPU_ISSET(cpu, &set); }));
  }
  return std::max(static_cast<int>(share + 1e-6), 1);
}

}  // namespace

World start() {
  int provided = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  World world{};
  MPI_Comm_rank(MPI_COMM_WORLD, &world.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &world.size);
  MPI_Comm host = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, world.rank, MPI_INFO_NULL, &host);
  MPI_Comm_rank(host, &world.local_rank);
  MPI_Comm_size(host, &world.local_size);
  world.processors = share_of_processors(host, world.local_size);
  MPI_Comm_free(&host);
  return world;
}

void finish() { MPI_Finalize(); }

Barrier::Barrier() : request_(nullptr) {
  static_assert(sizeof(MPI_Request) <= sizeof(request_));
  MPI_Request request = MPI_REQUEST_NULL;
  MPI_Ibarrier(MPI_COMM_WORLD, &request);
  std::memcpy(&request_, &request, sizeof request);
}

bool Barrier::is_done() {
  MPI_Request request = MPI_REQUEST_NULL;
  std::memcpy(&request, &request_, sizeof request);
  int done = 0;
  MPI_Test(&request, &done, MPI_STATUS_IGNORE);
  std::memcpy(&request_, &request, sizeof request);
  return done != 0;
}

void sum(std::span<float> values) { sum_as(values, MPI_FLOAT); }
void sum(std::span<double> values) { sum_as(values, MPI_DOUBLE); }

void broadcast(std::span<std::byte> bytes, int root) {
  in_parts(bytes,
           [root](std::span<std::byte> part) { MPI_Bcast(part.data(), count(part), MPI_BYTE, root, MPI_COMM_WORLD); });
}

void gather(std::span<const std::byte> own, std::span<const std::size_t> sizes, std::span<std::byte> all) {
  if (all.size() > most_at_once) {  // large enough for a message of each
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    std::size_t begin = 0;
    for (std::size_t r = 0; r < sizes.size(); ++r) {
      const auto part = all.subspan(begin, sizes[r]);
      if (static_cast<int>(r) == rank) std::ranges::copy(own, part.begin());
      broadcast(part, static_cast<int>(r));
      begin += sizes[r];
    }
    return;
  }
  std::vector<int> counts, starts;
  int begin = 0;
  for (const std::size_t size : sizes) {
    counts.push_back(static_cast<int>(size));
    starts.push_back(begin);
    begin += static_cast<int>(size);
  }
  MPI_Allgatherv(own.data(), count(own), MPI_BYTE, all.data(), counts.data(), starts.data(), MPI_BYTE, MPI_COMM_WORLD);
}

void send(std::span<const std::byte> bytes, int to) {
  in_parts(bytes, [to](std::span<const std::byte> part) {
    MPI_Send(part.data(), count(part), MPI_BYTE, to, data_tag, MPI_COMM_WORLD);
  });
}

void receive(std::span<std::byte> bytes, int from) {
  in_parts(bytes, [from](std::span<std::byte> part) {
    MPI_Recv(part.data(), count(part), MPI_BYTE, from, data_tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  });
}

void post_failure(const std::string& text) {
  // Lives until the process ends: nobody waits for the message's arrival.
  static const std::string kept = text;
  MPI_Request request = MPI_REQUEST_NULL;
  MPI_Isend(kept.data(), static_cast<int>(kept.size()), MPI_BYTE, 0, failure_tag, MPI_COMM_WORLD, &request);
  MPI_Request_free(&request);
}

std::optional<Failure> take_failure() {
  int there = 0;
  MPI_Status status;
  MPI_Iprobe(MPI_ANY_SOURCE, failure_tag, MPI_COMM_WORLD, &there, &status);
  if (there == 0) return std::nullopt;
  int bytes = 0;
  MPI_Get_count(&status, MPI_BYTE, &bytes);
  Failure failure{status.MPI_SOURCE, std::string(static_cast<std::size_t>(bytes), '\0')};
  MPI_Recv(failure.text.data(), bytes, MPI_BYTE, status.MPI_SOURCE, failure_tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  return failure;
}

void abort(int code) {
  MPI_Abort(MPI_COMM_WORLD, code);
  std::abort();  // MPI_Abort does not return
}

}  // namespace csreft::mpi
