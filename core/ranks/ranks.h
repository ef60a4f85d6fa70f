// The processes that train one model together, each a rank: what they sum, share and agree on. One process alone has
// the same interface, in which nothing is sent.
//
// Every member that takes part in a message must be called by all ranks, in the same order. Whoever comes first sleeps
// until the others have come. Elements on a device travel through the host.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/tensor.h"

namespace csreft {

class Ranks {
 public:
  // This process alone.
  Ranks() = default;
  // What the launcher that started this process says (launcher.h). Throws Error where there are several processes and
  // the programme was built without MPI, or with another than the launcher's.
  static Ranks start();
  Ranks(Ranks&& other) noexcept;
  Ranks(const Ranks&) = delete;
  Ranks& operator=(Ranks) = delete;
  ~Ranks();

  int rank() const { return rank_; }
  int size() const { return size_; }
  // Which of them reads, writes and says what one process would.
  bool is_first() const { return rank_ == 0; }
  // The same among those on this host.
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }
  // How many threads each should use, so that those on one host have as many as there are processors; 0: all, alone.
  int threads() const { return threads_; }

  // Runs `work`, whose result is the exit code, on every rank; ranks other than the first are silent. An exception on
  // any of them ends all, with `error: WHAT` on stderr, of the exception's text as it is, and exit code 2. Alone:
  // work().
  int together(const std::function<int()>& work) const;

  // Throws Error, on the first, with what another says that has failed.
  void wait_for_all() const;

  // In place, the sum over ranks: the same bits on each. Tensors of f32 and f64, of the same shapes on all ranks; small
  // ones travel together.
  void all_reduce_(std::span<const Tensor> tensors) const;
  void all_reduce_(std::span<double> values) const;
  // The values of rank `root`, of any type, take the place of the others'.
  void broadcast_(std::span<const Tensor> tensors, int root = 0) const;
  // The value of tensor i on rank owners[i] takes the place of the others'.
  void broadcast_from_owners_(std::span<const Tensor> tensors, std::span<const int> owners) const;
  // The value of the first rank.
  double broadcast_first(double value) const;
  bool broadcast_first(bool value) const { return broadcast_first(value ? 1.0 : 0.0) != 0.0; }
  std::string broadcast_first(std::string text) const;
  // The rows of all ranks, one after the other: own [rows, k], on each rank of its own number of rows (undefined: none)
  // -> [all rows, k] of these options, which are those of `own`.
  struct AllRows {
    Tensor rows;
    std::int64_t before;  // the number of rows of earlier ranks
  };
  AllRows all_gather_rows(const Tensor& own, std::int64_t k, const TensorOptions& options) const;
  // The value of rank `owner` takes the place of the first's, of the same shape and type.
  void send_to_first_(const Tensor& value, int owner) const;
  // Throws Error, on every rank, unless `text` is the same on all; `what` names it.
  void check_same(std::string_view what, std::string_view text) const;

 private:
  [[noreturn]] void end_all(const std::string& text) const;

  int rank_ = 0, size_ = 1;
  int local_rank_ = 0, local_size_ = 1;
  int threads_ = 0;
  bool has_mpi_ = false;  // begun, and to be finished
};

// A process that was started alone.
inline const Ranks one_process;

}  // namespace csreft
