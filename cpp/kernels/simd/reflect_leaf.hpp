// The inner loops of greedy pivoting on columns that are padded with zeros to a multiple of 16 entries.
#pragma once

#include <cstddef>

namespace wavelens {

template <class T>
struct ReflectLeaf {
  // x −= v·(vᵀx) for each of `count` columns x, over the entries from `first` to `stride`; v is zero before
  // its own first entry, so `first` may be rounded down.
  void (*reflect)(std::ptrdiff_t first, std::ptrdiff_t stride, const T* v, T* const* x, std::ptrdiff_t count);
  // Sum of squares of x from `first` to `stride`.
  T (*tail)(std::ptrdiff_t first, std::ptrdiff_t stride, const T* x);
  // The largest of x, or `floor` if none is larger.
  T (*largest)(std::ptrdiff_t n, const T* x, T floor);
};

struct ReflectLeaves {
  ReflectLeaf<float> s;
  ReflectLeaf<double> d;
};

}  // namespace wavelens
