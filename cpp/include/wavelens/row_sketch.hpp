// A sparse-sign sketch S = ΩA of a matrix whose rows come in chunks.
//
// Sums live in slabs of columns (see row_sketch_slab), one after the other, each by rows: what one thread
// adds to stays in its second-level cache.
#pragma once

#include <cstddef>
#include <cstdint>

#include "wavelens/matrix_view.hpp"

namespace wavelens {

constexpr std::ptrdiff_t row_sketch_entries = 8;  // of Ω in a column, of sign ±1 here: S is the sums over √8

// Columns of a slab.
template <class T>
constexpr std::ptrdiff_t row_sketch_slab = 256 / static_cast<std::ptrdiff_t>(sizeof(T));

template <class T>
std::ptrdiff_t row_sketch_slabs(std::ptrdiff_t cols) {
  return (cols + row_sketch_slab<T> - 1) / row_sketch_slab<T>;
}

// Adds rows first, first + 1, … of A, each entry times 2^shift, to `sums`, which has row_sketch_slabs ×
// n_rows × row_sketch_slab entries; n_rows is a multiple of 8. Rows are added in their order: how they are
// cut into chunks changes no bit. U is T, float, double or unsigned char.
template <class T, class U>
void row_sketch_add(MatrixView<const U> rows, std::uint64_t first, std::uint64_t seed, std::ptrdiff_t n_rows,
                    int shift, T* sums);

// Adds the squares of the entries (as numbers of type T) to squares[column].
template <class T, class U>
void row_sketch_squares(MatrixView<const U> rows, double* squares);

// S by columns (n_rows × cols), times `factor`.
template <class T>
void row_sketch_matrix(const T* sums, std::ptrdiff_t n_rows, T factor, MatrixView<T> out);

}  // namespace wavelens
