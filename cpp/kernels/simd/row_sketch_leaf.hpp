// The inner loops of the row sketch, on strips of rows that are packed one after the other (rows × slab).
#pragma once

#include <cstddef>
#include <cstdint>

namespace wavelens {

struct SketchBucket {
  std::int32_t row;
  std::int32_t sign;  // 1 or −1
};

template <class T>
struct RowSketchLeaf {
  // Adds each of `count` rows, with its sign, to the eight rows of `sums` that its buckets name.
  void (*add)(std::ptrdiff_t count, const T* rows, const SketchBucket* buckets, T* sums);
  // Adds the squares of the rows' entries to squares[column of the slab].
  void (*squares)(std::ptrdiff_t count, const T* rows, double* squares);
  // n bytes as numbers.
  void (*widen)(std::ptrdiff_t n, const unsigned char* from, T* to);
};

struct RowSketchLeaves {
  RowSketchLeaf<float> s;
  RowSketchLeaf<double> d;
};

}  // namespace wavelens
