// One fiber for each thread of a block: Boost.Context's bare switch between stacks, because a thread that broke a rule
// is left where it stands, without unwinding.
#pragma once

#include <array>
#include <cstddef>

#include <boost/context/detail/fcontext.hpp>

namespace csreft::emulation {

class Fibers {
 public:
  static constexpr std::size_t most = 1024;
  static constexpr std::size_t stack_bytes = 256 * 1024;

  // body(i) is called on fiber i each time that the fiber is resumed after body(i) returned.
  explicit Fibers(void (*body)(std::size_t));

  // Runs fiber i until it suspends or its body returns. Called by the scheduler.
  void resume(std::size_t i);
  // Goes back to the scheduler. Called on a fiber.
  void suspend();
  // Forgets what the fiber was doing.
  void abandon(std::size_t i);

  bool on_a_stack(const volatile void* address) const {
    return static_cast<std::size_t>(static_cast<const volatile std::byte*>(address) - stacks_) < most * stride;
  }

 private:
  // A page that cannot be touched lies below each stack, and the extra page keeps the tops apart in the caches.
  static constexpr std::size_t page = 4096, stride = stack_bytes + 2 * page;

  struct Fiber {
    boost::context::detail::fcontext_t context = nullptr;
    void* fake_stack = nullptr;
  };
  static void enter(boost::context::detail::transfer_t from);
  std::byte* bottom(std::size_t i) const { return stacks_ + i * stride + page; }
  void switch_to_scheduler();

  void (*body_)(std::size_t);
  std::byte* stacks_;
  std::array<Fiber, most> fibers_;
  std::size_t current_ = 0;
  boost::context::detail::fcontext_t scheduler_ = nullptr;
  const void* scheduler_bottom_ = nullptr;
  std::size_t scheduler_bytes_ = 0;
};

}  // namespace csreft::emulation
