// What happens to a tile of products while it is in the cache: flushes, squared distances, exponentials,
// sums.
#pragma once

#include <cstddef>

namespace wavelens {

// Lengths `n` of the first four are multiples of the product leaf's mr.
template <class T>
struct DistanceLeaf {
  // products ← max(0, norm + norms − 2·products); whether one of them is under threshold·(norm + norms).
  bool (*squared)(double* products, const double* norms, double norm, double threshold, std::ptrdiff_t n);
  // out = squares·factor·factor
  void (*scaled)(const double* squares, double factor, T* out, std::ptrdiff_t n);
  // out = √squares·factor
  void (*root)(const double* squares, double factor, T* out, std::ptrdiff_t n);
  // out = exp(−squares·factors·factor), to one unit in the last place
  void (*gaussian)(const double* squares, const double* factors, double factor, T* out, std::ptrdiff_t n);
  // A packed panel (depth × width): entry ← scale·entry − centre[depth], norms[width] += entry².
  void (*centre)(T* panel, const T* centres, T scale, double* norms, std::ptrdiff_t width,
                 std::ptrdiff_t depth);
  // Σ (scale·x − scale·y)², in float64
  double (*direct)(const T* x, const T* y, T scale, std::ptrdiff_t n);
  // Σ values, in float64, in an order that depends on n alone
  double (*sum)(const T* values, std::ptrdiff_t n);
  // sums += values
  void (*add)(const T* values, double* sums, std::ptrdiff_t n);
  // The first i ≥ start with values[i] <= bound, else n.
  std::ptrdiff_t (*next_within)(const T* values, T bound, std::ptrdiff_t start, std::ptrdiff_t n);
  // The same with one bound an entry.
  std::ptrdiff_t (*next_within_each)(const T* values, const T* bounds, std::ptrdiff_t start,
                                     std::ptrdiff_t n);
};

struct DistanceLeaves {
  DistanceLeaf<float> s;
  DistanceLeaf<double> d;
};

}  // namespace wavelens
