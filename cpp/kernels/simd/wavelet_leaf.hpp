// The inner loops of the wavelet transform: two filters over one set of rows, and every second entry apart or
// together. What is done to an entry does not depend on the number of entries, so neither do results on how
// an image is cut. Nothing is read or written beyond the n entries named.
#pragma once

#include <cstddef>

namespace wavelens {

template <class T>
struct WaveletLeaf {
  // a[i] = Σ_j a_taps[j]·rows[j][i] and b[i] = Σ_j b_taps[j]·rows[j][i], for i < n. `a` and `b` overlap no
  // row.
  void (*filter)(std::ptrdiff_t length, const T* const* rows, const T* a_taps, const T* b_taps,
                 std::ptrdiff_t n, T* a, T* b);
  // even[i] = x[2i], odd[i] = x[2i + 1], n entries of x in all.
  void (*split)(std::ptrdiff_t n, const T* x, T* even, T* odd);
  void (*split_bytes)(std::ptrdiff_t n, const unsigned char* x, T* even, T* odd);
  // The inverse of split.
  void (*merge)(std::ptrdiff_t n, const T* even, const T* odd, T* x);
};

struct WaveletLeaves {
  WaveletLeaf<float> s;
  WaveletLeaf<double> d;
};

}  // namespace wavelens
