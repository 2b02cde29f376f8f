// Compiled once per instruction set (see wavelens/isa.hpp).

#include "simd/mmf_leaf.hpp"

#include "simd/vector.hpp"

namespace wavelens {
namespace {

using V = Vector<double>::type;
using U = Vector<double>::unaligned;
typedef long long Bits __attribute__((vector_size(WAVELENS_VECTOR_BYTES)));
constexpr std::ptrdiff_t lanes = Vector<double>::lanes;

inline V load(const double* from) { return *reinterpret_cast<const U*>(from); }
inline void store(double* to, V value) { *reinterpret_cast<U*>(to) = value; }
inline V magnitude(V value) {
  return reinterpret_cast<V>(reinterpret_cast<Bits>(value) & 0x7fffffffffffffffLL);
}

double dot(std::ptrdiff_t n, const double* x, const double* y) {
  V sums[4] = {};
  std::ptrdiff_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
#pragma GCC unroll 4
    for (int s = 0; s < 4; ++s) sums[s] += load(x + i + s * lanes) * load(y + i + s * lanes);
  }
  for (; i < n; i += lanes) sums[0] += load(x + i) * load(y + i);
  const V sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  double total = 0;
  for (int lane = 0; lane < lanes; ++lane) total += sum[lane];
  return total;
}

template <int k>
void mix_few(std::ptrdiff_t n, double* const* rows, const double* rotation) {
  for (std::ptrdiff_t i = 0; i < n; i += lanes) {
    V before[k];
#pragma GCC unroll 8
    for (int j = 0; j < k; ++j) before[j] = load(rows[j] + i);
#pragma GCC unroll 8
    for (int r = 0; r < k; ++r) {
      V sum = rotation[r * k] * before[0];
#pragma GCC unroll 8
      for (int j = 1; j < k; ++j) sum += rotation[r * k + j] * before[j];
      store(rows[r] + i, sum);
    }
  }
}

void mix(std::ptrdiff_t n, std::ptrdiff_t k, double* const* rows, const double* rotation, double* scratch) {
  if (k == 2) return mix_few<2>(n, rows, rotation);
  if (k == 3) return mix_few<3>(n, rows, rotation);
  if (k == 4) return mix_few<4>(n, rows, rotation);
  if (k == 5) return mix_few<5>(n, rows, rotation);
  if (k == 8) return mix_few<8>(n, rows, rotation);
  for (std::ptrdiff_t i = 0; i < n; i += lanes) {
    for (std::ptrdiff_t j = 0; j < k; ++j) store(scratch + j * lanes, load(rows[j] + i));
    for (std::ptrdiff_t r = 0; r < k; ++r) {
      V sum = {};
      for (std::ptrdiff_t j = 0; j < k; ++j) sum += rotation[r * k + j] * load(scratch + j * lanes);
      store(rows[r] + i, sum);
    }
  }
}

void subtract(std::ptrdiff_t n, std::ptrdiff_t count, const double* factors, const double* rows,
              std::ptrdiff_t stride, const double* y, double* out) {
  std::ptrdiff_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    V left[4];
#pragma GCC unroll 4
    for (int s = 0; s < 4; ++s) left[s] = load(y + i + s * lanes);
    for (std::ptrdiff_t l = 0; l < count; ++l) {
      const double* row = rows + l * stride + i;
#pragma GCC unroll 4
      for (int s = 0; s < 4; ++s) left[s] -= factors[l] * load(row + s * lanes);
    }
#pragma GCC unroll 4
    for (int s = 0; s < 4; ++s) store(out + i + s * lanes, left[s]);
  }
  for (; i < n; i += lanes) {
    V left = load(y + i);
    for (std::ptrdiff_t l = 0; l < count; ++l) left -= factors[l] * load(rows + l * stride + i);
    store(out + i, left);
  }
}

void shrink(std::ptrdiff_t n, const double* x, double tiny, double* diagonal, double* weights) {
  for (std::ptrdiff_t i = 0; i < n; i += lanes) {
    const V here = load(x + i);
    const V left = load(diagonal + i) - here * here;
    store(diagonal + i, left);
    const V safe = left > tiny ? left : 1.0 - V{};
    V root;
    for (int lane = 0; lane < lanes; ++lane) root[lane] = __builtin_sqrt(safe[lane]);
    store(weights + i, left > tiny ? 1.0 / root : V{});
  }
}

std::ptrdiff_t next_above(std::ptrdiff_t n, const double* values, const double* weights, double bound,
                          std::ptrdiff_t start) {
  std::ptrdiff_t i = start;
  for (; i < n && i % lanes != 0; ++i) {
    if (__builtin_fabs(values[i]) * weights[i] > bound) return i;
  }
  for (; i < n; i += lanes) {
    const Bits above = magnitude(load(values + i)) * load(weights + i) > bound;
    long long any = 0;
    for (int lane = 0; lane < lanes; ++lane) any |= above[lane];
    if (any != 0) {
      for (int lane = 0; lane < lanes; ++lane) {
        if (above[lane] != 0) return i + lane;
      }
    }
  }
  return n;
}

}  // namespace

MmfLeaf WAVELENS_LEAF(mmf_leaf)();
MmfLeaf WAVELENS_LEAF(mmf_leaf)() { return {dot, mix, subtract, shrink, next_above}; }

}  // namespace wavelens
