#include "fibers.h"

#include <system_error>

#include <sys/mman.h>

#include "sanitizer.h"

namespace csreft::emulation {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

Fibers::Fibers(void (*body)(std::size_t)) : body_(body) {
  void* const memory = mmap(nullptr, most * stride, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "cannot map stacks");
  stacks_ = static_cast<std::byte*>(memory);
  for (std::size_t i = 0; i < most; ++i) {
    if (mprotect(stacks_ + i * stride, page, PROT_NONE) != 0) {
      throw std::system_error(errno, std::generic_category(), "cannot guard stacks");
    }
  }
}

void Fibers::enter(transfer_t from) {
  auto& fibers = *static_cast<Fibers*>(from.data);
  fibers.scheduler_ = from.fctx;
  sanitizer::finish_switch(nullptr, &fibers.scheduler_bottom_, &fibers.scheduler_bytes_);
  while (true) {
    fibers.body_(fibers.current_);
    fibers.switch_to_scheduler();
  }
}

void Fibers::resume(std::size_t i) {
  auto& fiber = fibers_[i];
  // Stacks begin at different lines, so that the tops of many do not compete for the same part of a cache.
  const std::size_t usable = stack_bytes - i % 61 * 192;
  if (fiber.context == nullptr) fiber.context = make_fcontext(bottom(i) + usable, usable, enter);
  current_ = i;
  void* own = nullptr;
  sanitizer::start_switch(&own, bottom(i), usable);
  const transfer_t back = jump_fcontext(fiber.context, this);
  sanitizer::finish_switch(own, nullptr, nullptr);
  fiber.context = back.fctx;
}

void Fibers::suspend() { switch_to_scheduler(); }

void Fibers::switch_to_scheduler() {
  auto& fiber = fibers_[current_];
  sanitizer::start_switch(&fiber.fake_stack, scheduler_bottom_, scheduler_bytes_);
  const transfer_t from = jump_fcontext(scheduler_, nullptr);
  scheduler_ = from.fctx;
  sanitizer::finish_switch(fiber.fake_stack, &scheduler_bottom_, &scheduler_bytes_);
}

void Fibers::abandon(std::size_t i) {
  fibers_[i] = {};
  sanitizer::allow(bottom(i), stack_bytes);
}

}  // namespace csreft::emulation
