// The one set of threads (OpenMP's), which oneDNN and Eigen share.
#pragma once

#include <cstddef>
#include <string_view>

namespace csreft {

// Uses n threads from now on, in what the calling thread starts; 0 means one for each processor that this process may
// run on. Throws Error unless 0 <= n <= 1024.
void set_threads(int n);
int threads();

// set_threads(n); starts them, and has the libraries make what they make at their first use: later, where the address
// space is bounded (ulimit -v), each of these would end the process in a way of its own. Throws Error where there is
// not room for all of it.
void start_threads(int n);

// Throws Error, which names the purpose and what is expected, unless so many bytes of address space can be had: before
// a library takes them that would end the process where they cannot.
void require_address_space(std::size_t bytes, std::string_view purpose, std::string_view expected = "more");

}  // namespace csreft
