// What stands in MPI's place in a build without it: no process ever comes further than start().
#include "core/base/error.h"
#include "core/ranks/launcher.h"
#include "core/ranks/mpi.h"

namespace csreft::mpi {
namespace {

[[noreturn]] void refuse() {
  require_one_process(
      "this programme was built without MPI, so that each would do the whole work (./run build --mpi builds it with "
      "MPI)");
  fail("this programme was built without MPI: expected one process");
}

}  // namespace

World start() { refuse(); }
void finish() {}
Barrier::Barrier() : request_(nullptr) { refuse(); }
bool Barrier::is_done() { return request_ == nullptr; }
void sum(std::span<float>) { refuse(); }
void sum(std::span<double>) { refuse(); }
void broadcast(std::span<std::byte>, int) { refuse(); }
void gather(std::span<const std::byte>, std::span<const std::size_t>, std::span<std::byte>) { refuse(); }
void send(std::span<const std::byte>, int) { refuse(); }
void receive(std::span<std::byte>, int) { refuse(); }
void post_failure(const std::string&) { refuse(); }
std::optional<Failure> take_failure() { refuse(); }
void abort(int) { refuse(); }

}  // namespace csreft::mpi
