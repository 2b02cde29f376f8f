// Compiled once per instruction set (see wavelens/isa.hpp). The accumulators fill the register file: three
// vectors by eight columns with 32 registers, three by four (two by four) with 16.

#include "simd/gemm_leaf.hpp"

#include "simd/convert.hpp"
#include "simd/vector.hpp"

namespace wavelens {
namespace {

template <class T, int vectors, int nr>
void multiply(std::ptrdiff_t depth, const T* __restrict a, const T* __restrict b, T* __restrict tile) {
  using V = typename Vector<T>::type;
  using U = typename Vector<T>::unaligned;
  constexpr int lanes = Vector<T>::lanes;
  V sum[nr][vectors] = {};
  for (std::ptrdiff_t p = 0; p < depth; ++p) {
    V column[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) column[v] = *reinterpret_cast<const U*>(a + v * lanes);
#pragma GCC unroll 16
    for (int j = 0; j < nr; ++j) {
      const V entry = b[j] - V{};
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) sum[j][v] += column[v] * entry;
    }
    a += vectors * lanes;
    b += nr;
  }
#pragma GCC unroll 16
  for (int j = 0; j < nr; ++j) {
#pragma GCC unroll 4
    for (int v = 0; v < vectors; ++v) *reinterpret_cast<U*>(tile + (j * vectors + v) * lanes) = sum[j][v];
  }
}

// sums = or += value
template <bool add>
inline void flush(Vector<float>::type value, double* sums) {
  union {
    Vector<float>::type whole;
    Entries<float>::type halves[2];
  } split = {value};
  const Doubles low = widened(split.halves[0]);
  const Doubles high = widened(split.halves[1]);
  store(sums, add ? load(sums) + low : low);
  store(sums + double_lanes, add ? load(sums + double_lanes) + high : high);
}

template <bool add>
inline void flush(Vector<double>::type value, double* sums) {
  store(sums, add ? load(sums) + value : value);
}

// As `multiply`, but the registers are emptied into float64 sums after every `chunk` terms.
template <class T, int vectors, int nr>
void collect(std::ptrdiff_t depth, std::ptrdiff_t chunk, const T* __restrict a, const T* __restrict b,
             bool add, double* __restrict sums) {
  using V = typename Vector<T>::type;
  using U = typename Vector<T>::unaligned;
  constexpr int lanes = Vector<T>::lanes;
  for (std::ptrdiff_t start = 0; start < depth; start += chunk) {
    const std::ptrdiff_t stop = start + chunk < depth ? start + chunk : depth;
    V sum[nr][vectors] = {};
    for (std::ptrdiff_t p = start; p < stop; ++p) {
      V column[vectors];
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) column[v] = *reinterpret_cast<const U*>(a + v * lanes);
#pragma GCC unroll 16
      for (int j = 0; j < nr; ++j) {
        const V entry = b[j] - V{};
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) sum[j][v] += column[v] * entry;
      }
      a += vectors * lanes;
      b += nr;
    }
    if (add || start > 0) {
#pragma GCC unroll 16
      for (int j = 0; j < nr; ++j) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) flush<true>(sum[j][v], sums + (j * vectors + v) * lanes);
      }
    } else {
#pragma GCC unroll 16
      for (int j = 0; j < nr; ++j) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) flush<false>(sum[j][v], sums + (j * vectors + v) * lanes);
      }
    }
  }
}

#if defined(WAVELENS_LEAF_avx512)
constexpr int n_vectors = 3;
constexpr int n_columns = 8;
#elif defined(WAVELENS_LEAF_avx2)
constexpr int n_vectors = 3;
constexpr int n_columns = 4;
#else
constexpr int n_vectors = 2;
constexpr int n_columns = 4;
#endif

template <class T>
GemmLeaf<T> leaf() {
  return {n_vectors * Vector<T>::lanes, n_columns, multiply<T, n_vectors, n_columns>,
          collect<T, n_vectors, n_columns>};
}

}  // namespace

GemmLeaves WAVELENS_LEAF(gemm_leaves)();
GemmLeaves WAVELENS_LEAF(gemm_leaves)() { return {leaf<float>(), leaf<double>()}; }

}  // namespace wavelens
