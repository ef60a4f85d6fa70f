// A host that touches the device's memory.
#pragma once

namespace csreft::emulation {

// Reports on stderr, before the programme ends by SIGSEGV, when the host reads or writes at an address of the device,
// or which kernel's thread overflowed its stack. Done once, when the device is first used.
void report_faults();

}  // namespace csreft::emulation
