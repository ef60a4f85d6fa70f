#include "control.h"

#include "block.h"
#include "faults.h"
#include "memory.h"
#include "random_order.h"
#include "report.h"
#include "sanitizer.h"
#include "streams.h"

namespace csreft::emulation {

bool finds_races() { return !sanitizer::addresses; }

void start_orders(std::uint64_t value) {
  const std::lock_guard lock(entrance());
  set_seed(value);
}

std::string report() {
  const std::lock_guard lock(entrance());
  return fault_report();
}

void forget_error() {
  const std::lock_guard lock(entrance());
  run_all();  // with an error, work is taken from the queues and not done
  clear_fault();
}

void set_device_memory(std::size_t bytes) {
  const std::lock_guard lock(entrance());
  device_memory().set_total(bytes);
}

void watch_faults() { report_faults(); }

std::size_t device_allocations() {
  const std::lock_guard lock(entrance());
  return device_memory().allocations();
}

std::size_t started_kernels() {
  const std::lock_guard lock(entrance());
  return started_kernels_so_far();
}

}  // namespace csreft::emulation
