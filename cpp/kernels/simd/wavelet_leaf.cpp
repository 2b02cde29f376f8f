// Compiled once per instruction set (see wavelens/isa.hpp).

#include "simd/wavelet_leaf.hpp"

#include "simd/leaf.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

template <class T, int bytes>
struct Wide {
  typedef T type __attribute__((vector_size(bytes)));
  typedef T unaligned __attribute__((vector_size(bytes), aligned(alignof(T)), may_alias));
  static constexpr int lanes = bytes / static_cast<int>(sizeof(T));
};

// One entry counts as a vector too: the last ones of a short row.
template <class T>
struct Wide<T, static_cast<int>(sizeof(T))> {
  typedef T type;
  typedef T unaligned;
  static constexpr int lanes = 1;
};

// `count` vectors from entry i on; length 0 stands for one that is known at run time only.
template <class T, int bytes, int count, int length>
__attribute__((always_inline)) inline void filter_block(Index any, const T* const* rows, const T* a_taps,
                                                        const T* b_taps, Index i, T* a, T* b) {
  using V = typename Wide<T, bytes>::type;
  using U = typename Wide<T, bytes>::unaligned;
  constexpr Index lanes = Wide<T, bytes>::lanes;
  V a_sum[count] = {}, b_sum[count] = {};
  const Index n_taps = length ? length : any;
#pragma GCC unroll 8
  for (Index j = 0; j < n_taps; ++j) {
    const T* row = rows[j] + i;
#pragma GCC unroll 4
    for (int c = 0; c < count; ++c) {
      const V here = *reinterpret_cast<const U*>(row + c * lanes);
      a_sum[c] += a_taps[j] * here;
      b_sum[c] += b_taps[j] * here;
    }
  }
#pragma GCC unroll 4
  for (int c = 0; c < count; ++c) *reinterpret_cast<U*>(a + i + c * lanes) = a_sum[c];
#pragma GCC unroll 4
  for (int c = 0; c < count; ++c) *reinterpret_cast<U*>(b + i + c * lanes) = b_sum[c];
}

template <class T, int bytes, int length>
void filter_width(Index any, const T* const* rows, const T* a_taps, const T* b_taps, Index n, T* a, T* b) {
  constexpr Index lanes = Wide<T, bytes>::lanes;
  if constexpr (lanes > 1) {
    if (n < lanes) {
      constexpr int narrower = bytes > 16 ? bytes / 2 : static_cast<int>(sizeof(T));
      return filter_width<T, narrower, length>(any, rows, a_taps, b_taps, n, a, b);
    }
  }
  // Blocks of several vectors hide the sums' latency. The last block ends with the row and covers some
  // entries a second time, with the same result.
  Index i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes)
    filter_block<T, bytes, 4, length>(any, rows, a_taps, b_taps, i, a, b);
  if (n - i > 2 * lanes) {
    if (n >= 4 * lanes)
      return filter_block<T, bytes, 4, length>(any, rows, a_taps, b_taps, n - 4 * lanes, a, b);
    filter_block<T, bytes, 2, length>(any, rows, a_taps, b_taps, i, a, b);
    i += 2 * lanes;
  }
  if (n - i > lanes) {
    if (n >= 2 * lanes)
      return filter_block<T, bytes, 2, length>(any, rows, a_taps, b_taps, n - 2 * lanes, a, b);
    filter_block<T, bytes, 1, length>(any, rows, a_taps, b_taps, i, a, b);
    i += lanes;
  }
  if (i < n) filter_block<T, bytes, 1, length>(any, rows, a_taps, b_taps, n - lanes, a, b);
}

template <class T>
void filter(Index length, const T* const* rows, const T* a_taps, const T* b_taps, Index n, T* a, T* b) {
  constexpr int bytes = WAVELENS_VECTOR_BYTES;
  switch (length) {
    case 2:
      return filter_width<T, bytes, 2>(length, rows, a_taps, b_taps, n, a, b);
    case 4:
      return filter_width<T, bytes, 4>(length, rows, a_taps, b_taps, n, a, b);
    case 6:
      return filter_width<T, bytes, 6>(length, rows, a_taps, b_taps, n, a, b);
    case 8:
      return filter_width<T, bytes, 8>(length, rows, a_taps, b_taps, n, a, b);
    default:
      return filter_width<T, bytes, 0>(length, rows, a_taps, b_taps, n, a, b);
  }
}

template <class T, class Source>
void split(Index n, const Source* __restrict x, T* __restrict even, T* __restrict odd) {
  const Index pairs = n / 2;
  for (Index i = 0; i < pairs; ++i) {
    even[i] = static_cast<T>(x[2 * i]);
    odd[i] = static_cast<T>(x[2 * i + 1]);
  }
  if (n % 2) even[pairs] = static_cast<T>(x[n - 1]);
}

template <class T>
void merge(Index n, const T* __restrict even, const T* __restrict odd, T* __restrict x) {
  const Index pairs = n / 2;
  for (Index i = 0; i < pairs; ++i) {
    x[2 * i] = even[i];
    x[2 * i + 1] = odd[i];
  }
  if (n % 2) x[n - 1] = even[pairs];
}

template <class T>
WaveletLeaf<T> leaf() {
  return {filter<T>, split<T, T>, split<T, unsigned char>, merge<T>};
}

}  // namespace

WaveletLeaves WAVELENS_LEAF(wavelet_leaves)();
WaveletLeaves WAVELENS_LEAF(wavelet_leaves)() { return {leaf<float>(), leaf<double>()}; }

}  // namespace wavelens
