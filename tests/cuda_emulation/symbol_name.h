// The name of a function in this programme, for reports.
#pragma once

#include <string>

namespace csreft::emulation {

// "csreft::cuda::add_kernel<float>", or the address if the programme has no symbols.
std::string symbol_name(const void* function);

}  // namespace csreft::emulation
