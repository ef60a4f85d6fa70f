// In front of a function that kernels call as well as the host.
#pragma once

#ifdef __CUDACC__
#define CSREFT_HOST_DEVICE __host__ __device__
#else
#define CSREFT_HOST_DEVICE
#endif
