// Four independent lanes of 64 bits take turns over the words of a row, so that the latency of one
// multiplication hides behind the others. A step is h ← mix((h ⊕ word) · odd): each part of it can be undone,
// so that two states that differ stay different while the same words follow; the shift carries the high bits
// back down, which a product alone never does. The length is part of the start, so that a row and the same
// row with zeros appended differ.
#include "wavelens/row_checksums.hpp"

#include <algorithm>
#include <cstring>

#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

constexpr int lanes = 4;
constexpr std::ptrdiff_t word_bytes = 8;
constexpr std::uint64_t odd = 0xD6E8FEB86659FD93u;
constexpr std::uint64_t golden = 0x9E3779B97F4A7C15u;  // 2⁶⁴ / golden ratio: sets lanes and lengths apart

std::uint64_t step(std::uint64_t h, std::uint64_t word) {
  h = (h ^ word) * odd;
  return h ^ (h >> 32u);
}

std::uint64_t word_at(const unsigned char* p) {
  std::uint64_t word;
  std::memcpy(&word, p, word_bytes);
  return word;
}

std::uint64_t checksum(const unsigned char* row, std::ptrdiff_t n_bytes) {
  std::uint64_t h[lanes];
  for (int l = 0; l < lanes; ++l) {
    h[l] = step(golden * static_cast<std::uint64_t>(l + 1), static_cast<std::uint64_t>(n_bytes));
  }
  constexpr std::ptrdiff_t block = lanes * word_bytes;
  std::ptrdiff_t i = 0;
  for (; i + block <= n_bytes; i += block) {
    for (int l = 0; l < lanes; ++l) h[l] = step(h[l], word_at(row + i + l * word_bytes));
  }
  for (int l = 0; i < n_bytes; ++l, i += word_bytes) {
    unsigned char last[word_bytes] = {};
    std::memcpy(last, row + i, static_cast<std::size_t>(std::min(word_bytes, n_bytes - i)));
    h[l] = step(h[l], word_at(last));
  }
  std::uint64_t whole = 0;
  for (const std::uint64_t lane : h) whole = step(whole, lane);
  return step(whole, golden);
}

}  // namespace

void row_checksums(const unsigned char* data, std::ptrdiff_t n_rows, std::ptrdiff_t row_bytes,
                   std::uint64_t* out) {
  const std::ptrdiff_t grain =
      std::max<std::ptrdiff_t>(1, std::ptrdiff_t{1'048'576} / std::max<std::ptrdiff_t>(1, row_bytes));
  parallel_ranges(n_rows, grain, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    for (std::ptrdiff_t i = begin; i < end; ++i) out[i] = checksum(data + i * row_bytes, row_bytes);
  });
}

}  // namespace wavelens
