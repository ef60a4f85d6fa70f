// Blocks of 256 values, in groups that have small scales of their own: ggml's "K" types and IQ4_XS.
#pragma once

#include <cstddef>

namespace csreft {

// Each writes the 256 values of one block. Layouts, in order, with the width of each element in bits:
void decode_q2_k(const std::byte* block, float* values);    // s_g, m_g 4 each [16], q 2 [256], d, m
void decode_q3_k(const std::byte* block, float* values);    // bit 2 of q [256], bits 0 and 1 of q [256], s_g 6 [16], d
void decode_q4_k(const std::byte* block, float* values);    // d, m, s_g, m_g 6 each [8], q 4 [256]
void decode_q5_k(const std::byte* block, float* values);    // d, m, s_g, m_g 6 each [8], bit 4 of q, bits 0 to 3 of q
void decode_q6_k(const std::byte* block, float* values);    // bits 0 to 3 of q, bits 4 and 5 of q, s_g 8 [16], d
void decode_q8_k(const std::byte* block, float* values);    // d 32, q 8 [256], sums of 16 q, 16 [16]
void decode_iq4_xs(const std::byte* block, float* values);  // d, bits 4 and 5 of s_g [8], bits 0 to 3 of s_g, q 4 [256]

}  // namespace csreft
