// What AddressSanitizer must be told: where memory of the device begins and ends, and that fibers change stacks.
// Without it these do nothing.
#pragma once

#include <cstddef>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace csreft::emulation::sanitizer {

#ifdef __SANITIZE_ADDRESS__
inline constexpr bool addresses = true;
inline void allow(const volatile void* begin, std::size_t bytes) { __asan_unpoison_memory_region(begin, bytes); }
inline void forbid(const volatile void* begin, std::size_t bytes) { __asan_poison_memory_region(begin, bytes); }
inline void start_switch(void** fake_stack, const void* bottom, std::size_t bytes) {
  __sanitizer_start_switch_fiber(fake_stack, bottom, bytes);
}
inline void finish_switch(void* fake_stack, const void** old_bottom, std::size_t* old_bytes) {
  __sanitizer_finish_switch_fiber(fake_stack, old_bottom, old_bytes);
}
#else
inline constexpr bool addresses = false;
inline void allow(const volatile void*, std::size_t) {}
inline void forbid(const volatile void*, std::size_t) {}
inline void start_switch(void**, const void*, std::size_t) {}
inline void finish_switch(void*, const void**, std::size_t*) {}
#endif

}  // namespace csreft::emulation::sanitizer
