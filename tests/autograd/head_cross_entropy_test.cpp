// What the head's loss holds in memory, on the test device.
#include <cstddef>
#include <vector>

#include <doctest/doctest.h>

#include "autograd/functions/functions.h"
#include "core/device/device_info.h"
#include "core/tensor/random.h"
#include "tests/device.h"

using csreft::DType;
using csreft::PackedMatrix;
using csreft::Shape;
using csreft::Tensor;
using csreft::Variable;

namespace {

constexpr std::int64_t tokens = 512, vocabulary = 8192, width = 8;
constexpr std::size_t all_logits = std::size_t{tokens} * vocabulary * sizeof(float);

Tensor random(const Shape& shape, std::uint64_t stream) {
  return csreft::random_normal(shape, 0.0, 1.0, 1, stream, {DType::f32, test_device()});
}

// The most bytes that the loss of `tokens` tokens and its backward held beyond what was there before.
std::size_t bytes_of_loss(const Variable& hidden, const csreft::LinearWeight& weight, std::int64_t chunk) {
  const std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens), 3);
  const Tensor targets = Tensor::from(std::span<const std::int32_t>(ids), {tokens});
  csreft::reset_peak_memory(test_device());
  const std::size_t before = csreft::device_memory(test_device()).peak;
  csreft::backward(csreft::head_cross_entropy(hidden, weight, targets, 1.0, chunk));
  csreft::synchronize(test_device());
  return csreft::device_memory(test_device()).peak - before;
}

}  // namespace

TEST_CASE("logits exist for one chunk of tokens at a time, with a frozen head and with one that is trained") {
  const Variable hidden = Variable::parameter(random({tokens, width}, 0));
  const Tensor head = random({vocabulary, width}, 1);
  const csreft::LinearWeight frozen = PackedMatrix(head, csreft::Packing::rows), trained = Variable::parameter(head);
  // That all logits at once would be seen.
  CHECK(bytes_of_loss(hidden, frozen, tokens) >= all_logits);
  constexpr std::size_t chunks = 16;
  // The chunk, the gradients of the head and of the hidden states, and what the allocator rounds up.
  const std::size_t small = 2 * all_logits / chunks + 4 * head.bytes();
  CHECK(bytes_of_loss(hidden, frozen, tokens / chunks) < small);
  CHECK(bytes_of_loss(hidden, trained, tokens / chunks) < small);
  CHECK(small < all_logits / 4);
}
