// Small dense triangles, by columns: what the panels of a QR need between two products.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

#include "wavelens/matrix_view.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {

// A ← L with A = L·Lᵀ (lower part only). Returns how many columns could be factored: it stops where a pivot
// is not above `floor` times what it started from.
template <class T>
std::ptrdiff_t panel_cholesky(MatrixView<T> a, T floor) {
  std::vector<T> start(static_cast<std::size_t>(a.cols));
  for (std::ptrdiff_t j = 0; j < a.cols; ++j) start[static_cast<std::size_t>(j)] = a(j, j);
  for (std::ptrdiff_t j = 0; j < a.cols; ++j) {
    if (!(a(j, j) > floor * start[static_cast<std::size_t>(j)])) return j;
    const T root = std::sqrt(a(j, j));
    T* column = &a(0, j);
    column[j] = root;
    for (std::ptrdiff_t i = j + 1; i < a.rows; ++i) column[i] /= root;
    for (std::ptrdiff_t c = j + 1; c < a.cols; ++c) {
      T* target = &a(0, c);
      const T factor = column[c];
      for (std::ptrdiff_t i = c; i < a.rows; ++i) target[i] -= factor * column[i];
    }
  }
  return a.cols;
}

// X = U⁻¹ for an upper triangular U.
template <class T>
void panel_invert_upper(MatrixView<const T> u, MatrixView<T> x) {
  parallel_ranges(u.cols, 16, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    for (std::ptrdiff_t j = begin; j < end; ++j) {
      T* out = &x(0, j);
      for (std::ptrdiff_t i = 0; i < u.rows; ++i) out[i] = i == j ? T(1) : T(0);
      for (std::ptrdiff_t p = j; p >= 0; --p) {
        const T* column = &u(0, p);
        const T value = out[p] / column[p];
        out[p] = value;
        for (std::ptrdiff_t i = 0; i < p; ++i) out[i] -= value * column[i];
      }
    }
  });
}

// X = L⁻¹ for a lower triangular L.
template <class T>
void panel_invert_lower(MatrixView<const T> l, MatrixView<T> x) {
  parallel_ranges(l.cols, 16, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    for (std::ptrdiff_t j = begin; j < end; ++j) {
      T* out = &x(0, j);
      for (std::ptrdiff_t i = 0; i < l.rows; ++i) out[i] = i == j ? T(1) : T(0);
      for (std::ptrdiff_t p = j; p < l.cols; ++p) {
        const T* column = &l(0, p);
        const T value = out[p] / column[p];
        out[p] = value;
        for (std::ptrdiff_t i = p + 1; i < l.rows; ++i) out[i] -= value * column[i];
      }
    }
  });
}

}  // namespace wavelens
