#include "core/ranks/ranks.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/ops/ops.h"
#include "core/ranks/launcher.h"
#include "core/ranks/mpi.h"

namespace csreft {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int failure_code = 2;
// So long a rank that has failed waits for the first to say so and end it; then it does so itself.
constexpr auto patience = 5min;
// Tensors of more bytes are messages of their own; others travel together.
constexpr std::size_t large_bytes = std::size_t{1} << 20U;

std::span<std::byte> bytes_of(const Tensor& host) { return {static_cast<std::byte*>(host.raw()), host.bytes()}; }

bool on_host(const Tensor& tensor) { return tensor.device() == Device{}; }

// Has f change a copy of the tensor on the host, or the tensor itself where it lies there.
template <typename F>
void through_host(const Tensor& tensor, const F& f) {
  const Tensor here = tensor.to(Device{});
  f(here);
  if (!on_host(tensor)) ops::copy_(tensor, here);
}

void sum_on_host(const Tensor& tensor) {
  if (tensor.dtype() == DType::f64) {
    mpi::sum(tensor.span<double>());
  } else {
    mpi::sum(tensor.span<float>());
  }
}

// Several tensors of one type as one on the host, and back.
Tensor joined(std::span<const Tensor> tensors, DType type) {
  std::int64_t n = 0;
  for (const Tensor& t : tensors) n += t.numel();
  Tensor all = Tensor::empty({n}, type);
  std::int64_t begin = 0;
  for (const Tensor& t : tensors) {
    ops::copy_(all.slice(begin, begin + t.numel()), t.view({t.numel()}));
    begin += t.numel();
  }
  return all;
}
void take_apart(const Tensor& all, std::span<const Tensor> tensors) {
  std::int64_t begin = 0;
  for (const Tensor& t : tensors) {
    ops::copy_(t, all.slice(begin, begin + t.numel()).view(t.shape()));
    begin += t.numel();
  }
}

// Ends with what the programme itself would have ended with.
[[noreturn]] void say_and_abort(const std::string& text) {
  fmt::print(stderr, "error: {}\n", text);
  std::fflush(stderr);
  mpi::abort(failure_code);
}

// stdout and stderr say nothing while this lives.
class Silence {
 public:
  Silence() : out_(silence(stdout)), err_(silence(stderr)) {}
  ~Silence() {
    restore(stdout, out_);
    restore(stderr, err_);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

 private:
  static int silence(std::FILE* file) {
    std::fflush(file);
    const int kept = ::dup(::fileno(file)), nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(nowhere, ::fileno(file));
    ::close(nowhere);
    return kept;
  }
  static void restore(std::FILE* file, int kept) {
    std::fflush(file);
    ::dup2(kept, ::fileno(file));
    ::close(kept);
  }

  int out_, err_;
};

}  // namespace

Ranks Ranks::start() {
  Ranks ranks;
  const int launched = launch().size;
  if (launched == 1) return ranks;
  const mpi::World world = mpi::start();
  ranks.has_mpi_ = true;
  require(launched == 0 || launched == world.size,
          "the launcher has started {} processes, and this programme's MPI knows {}: expected the launcher of the MPI "
          "that it was built with",
          launched, world.size);
  ranks.rank_ = world.rank;
  ranks.size_ = world.size;
  ranks.local_rank_ = world.local_rank;
  ranks.local_size_ = world.local_size;
  ranks.threads_ = world.processors;
  return ranks;
}

Ranks::Ranks(Ranks&& other) noexcept
    : rank_(std::exchange(other.rank_, 0)),
      size_(std::exchange(other.size_, 1)),
      local_rank_(std::exchange(other.local_rank_, 0)),
      local_size_(std::exchange(other.local_size_, 1)),
      threads_(std::exchange(other.threads_, 0)),
      has_mpi_(std::exchange(other.has_mpi_, false)) {}

Ranks::~Ranks() {
  if (has_mpi_) mpi::finish();
}

int Ranks::together(const std::function<int()>& work) const {
  if (size_ == 1) return work();
  std::string failure;
  try {
    std::optional<Silence> silence;
    if (!is_first()) silence.emplace();
    const int code = work();
    std::fflush(stdout);
    wait_for_all();
    return code;
  } catch (const std::exception& error) {
    failure = error.what();
  }
  end_all(failure);
}

void Ranks::end_all(const std::string& text) const {
  std::fflush(stdout);
  if (is_first()) say_and_abort(text);
  const std::string whose = fmt::format("rank {} of {}: {}", rank_, size_, text);
  mpi::post_failure(whose);
  for (const auto start = Clock::now(); Clock::now() - start < patience; std::this_thread::sleep_for(10ms)) {
    static_cast<void>(mpi::take_failure());  // has the message leave
  }
  say_and_abort(whose);
}

// A share of the time waited so far: what a short wait loses is small, and a long one costs nothing.
void Ranks::wait_for_all() const {
  if (size_ == 1) return;
  constexpr std::chrono::nanoseconds shortest = 20us, longest = 20ms;
  mpi::Barrier barrier;
  for (const auto start = Clock::now(); !barrier.is_done();) {
    if (is_first()) {
      if (const auto failure = mpi::take_failure()) throw Error(failure->text);
    }
    const std::chrono::nanoseconds waited = Clock::now() - start;
    std::this_thread::sleep_for(std::clamp(waited / 16, shortest, longest));
  }
}

void Ranks::all_reduce_(std::span<double> values) const {
  if (size_ == 1) return;
  wait_for_all();
  mpi::sum(values);
}

void Ranks::all_reduce_(std::span<const Tensor> tensors) const {
  if (size_ == 1) return;
  wait_for_all();
  for (const DType type : {DType::f32, DType::f64}) {
    std::vector<Tensor> small;
    for (const Tensor& t : tensors) {
      require(t.dtype() == DType::f32 || t.dtype() == DType::f64,
              "a sum over ranks of a tensor of type {}: expected f32 or f64", name_of(t.dtype()));
      if (t.dtype() != type) continue;
      if (t.bytes() > large_bytes) {
        through_host(t, sum_on_host);
      } else {
        small.push_back(t);
      }
    }
    if (small.empty()) continue;
    const Tensor all = joined(small, type);
    sum_on_host(all);
    take_apart(all, small);
  }
}

void Ranks::broadcast_(std::span<const Tensor> tensors, int root) const {
  if (size_ == 1) return;
  wait_for_all();
  for (const Tensor& t : tensors) {
    through_host(t, [root](const Tensor& here) { mpi::broadcast(bytes_of(here), root); });
  }
}

void Ranks::broadcast_from_owners_(std::span<const Tensor> tensors, std::span<const int> owners) const {
  if (size_ == 1) return;
  wait_for_all();
  std::vector<std::size_t> order, sizes(static_cast<std::size_t>(size_), 0);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const int owner = owners[i];
    if (tensors[i].bytes() > large_bytes) {
      through_host(tensors[i], [owner](const Tensor& here) { mpi::broadcast(bytes_of(here), owner); });
    } else {
      order.push_back(i);
      sizes[static_cast<std::size_t>(owner)] += tensors[i].bytes();
    }
  }
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return owners[i]; });
  std::vector<std::byte> own, all;
  for (const std::size_t i : order) {
    if (owners[i] != rank_) continue;
    const Tensor here = tensors[i].to(Device{});
    own.insert(own.end(), bytes_of(here).begin(), bytes_of(here).end());
  }
  std::size_t total = 0;
  for (const std::size_t size : sizes) total += size;
  all.resize(total);
  mpi::gather(own, sizes, all);
  auto next = all.begin();
  for (const std::size_t i : order) {
    const auto n = static_cast<std::ptrdiff_t>(tensors[i].bytes());
    if (owners[i] != rank_) {
      const Tensor here = Tensor::empty(tensors[i].shape(), tensors[i].dtype());
      std::copy(next, next + n, bytes_of(here).begin());
      ops::copy_(tensors[i], here);
    }
    next += n;
  }
}

double Ranks::broadcast_first(double value) const {
  if (size_ == 1) return value;
  wait_for_all();
  mpi::broadcast(std::as_writable_bytes(std::span(&value, 1)), 0);
  return value;
}

std::string Ranks::broadcast_first(std::string text) const {
  text.resize(static_cast<std::size_t>(broadcast_first(static_cast<double>(text.size()))));
  if (size_ > 1) mpi::broadcast(std::as_writable_bytes(std::span(text)), 0);
  return text;
}

Ranks::AllRows Ranks::all_gather_rows(const Tensor& own, std::int64_t k, const TensorOptions& options) const {
  if (size_ == 1) return {own, 0};
  const std::int64_t n = own.defined() ? own.rows() : 0;
  std::vector<double> counts(static_cast<std::size_t>(size_), 0.0);
  counts[static_cast<std::size_t>(rank_)] = static_cast<double>(n);
  all_reduce_(std::span(counts));
  std::vector<std::size_t> sizes;
  std::int64_t rows = 0, before = 0;
  for (std::size_t r = 0; r < counts.size(); ++r) {
    const auto of_rank = static_cast<std::int64_t>(counts[r]);
    if (static_cast<int>(r) < rank_) before += of_rank;
    rows += of_rank;
    sizes.push_back(static_cast<std::size_t>(of_rank * k) * size_of(options.dtype));
  }
  const Tensor all = Tensor::empty({rows, k}, options.dtype);
  const Tensor here = own.defined() ? own.to(Device{}) : Tensor::empty({0, k}, options.dtype);
  mpi::gather(bytes_of(here), sizes, bytes_of(all));
  return {all.to(options.device), before};
}

void Ranks::send_to_first_(const Tensor& value, int owner) const {
  if (owner == 0 || (rank_ != owner && !is_first())) return;
  if (rank_ == owner) {
    mpi::send(bytes_of(value.to(Device{})), 0);
  } else {
    through_host(value, [owner](const Tensor& here) { mpi::receive(bytes_of(here), owner); });
  }
}

void Ranks::check_same(std::string_view what, std::string_view text) const {
  if (size_ == 1) return;
  std::vector<double> hashes(2 * static_cast<std::size_t>(size_), 0.0);
  const std::uint64_t own = fnv1a(text);
  const auto halves = [&](std::size_t r) { return std::span(hashes).subspan(2 * r, 2); };
  halves(static_cast<std::size_t>(rank_))[0] = static_cast<double>(own >> 32U);
  halves(static_cast<std::size_t>(rank_))[1] = static_cast<double>(own & 0xFFFFFFFFU);
  all_reduce_(std::span(hashes));
  for (std::size_t r = 1; r < static_cast<std::size_t>(size_); ++r) {
    require(std::ranges::equal(halves(r), halves(0)),
            "rank {} of {} has other {} than rank 0: expected the same command and the same files on all", r, size_,
            what);
  }
}

}  // namespace csreft
