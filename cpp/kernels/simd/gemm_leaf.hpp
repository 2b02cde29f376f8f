// The innermost product: tile (mr × nr, column-major) = A panel · B panel.
#pragma once

#include <cstddef>

namespace wavelens {

// A panel: `depth` columns of mr entries, one after another. B panel: `depth` rows of nr entries.
template <class T>
struct GemmLeaf {
  int mr;
  int nr;
  void (*multiply)(std::ptrdiff_t depth, const T* a, const T* b, T* tile);
  // sums (a float64 tile) = or, with `add`, += the same product, in partial products of `chunk` terms.
  void (*collect)(std::ptrdiff_t depth, std::ptrdiff_t chunk, const T* a, const T* b, bool add, double* sums);
};

struct GemmLeaves {
  GemmLeaf<float> s;
  GemmLeaf<double> d;
};

}  // namespace wavelens
