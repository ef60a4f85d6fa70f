// The calls of MPI that Ranks needs, on all processes of the run. Bytes and counts may be of any size.
//
// mpi.cpp has them by the MPI library that the programme is linked with; absent.cpp, in builds without one, has a
// start() that says so.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace csreft::mpi {

struct World {
  int rank, size;
  int local_rank, local_size;  // among the processes on this host
  int processors;              // of those that this process may run on, its part where others may, too; at least 1
};

// Throws Error in a build without MPI.
World start();
// After that, no call of MPI may follow.
void finish();

// One process in a barrier: begun when it is made, done when all have come.
class Barrier {
 public:
  Barrier();
  Barrier(const Barrier&) = delete;
  Barrier& operator=(const Barrier&) = delete;
  bool is_done();

 private:
  void* request_;
};

// In place, the sum over all processes.
void sum(std::span<float> values);
void sum(std::span<double> values);
void broadcast(std::span<std::byte> bytes, int root);
// Into `all`, which has room for what every process gives, one after the other: sizes[r] bytes of process r.
void gather(std::span<const std::byte> own, std::span<const std::size_t> sizes, std::span<std::byte> all);
void send(std::span<const std::byte> bytes, int to);
void receive(std::span<std::byte> bytes, int from);

// A message of a process that has failed, to process 0, which need not wait for it.
void post_failure(const std::string& text);
struct Failure {
  int rank;
  std::string text;
};
// One that has come.
std::optional<Failure> take_failure();
// Ends all processes of the run.
[[noreturn]] void abort(int code);

}  // namespace csreft::mpi
