// S = ΩA, Ω with d rows and in each column, that is for each row of A, eight entries ±1/√8, one in each
// eighth of its rows (OSNAP: Nelson & Nguyên, FOCS 2013). S is a sum over the rows of A, so chunks may come
// in any order and from anywhere; a row that alone holds a direction keeps its full length in S. For d = 2k
// the columns of S are as good as those of A to choose k of them: subspaces of dimension k keep their lengths
// within 1 ± √(k/d) or so.
//
// The entries of a row are hashes of (seed, number of the row, number of the entry), made by a generator
// without state, so that the sketch of a part can be made anywhere and Ω is never stored.
//
// 8 additions for an entry of A. A slab of columns (64 in float32, 32 in float64) of the sums is a few
// hundred kilobytes and stays in the second-level cache, the row being added stays in registers: about a
// cycle for each vector of additions, which is what storing takes. Slabs are independent, rows are added in
// their order: neither threads nor chunks change a bit.
#include "wavelens/row_sketch.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "panel_qr.hpp"
#include "simd/leaf.hpp"
#include "simd/row_sketch_leaf.hpp"
#include "wavelens/isa.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {

WAVELENS_CHOOSE_LEAF(RowSketchLeaves, row_sketch_leaves)

namespace {

using Index = std::ptrdiff_t;

constexpr Index strip = 32;         // rows packed at a time
constexpr Index block_rows = 2048;  // whose places are looked up at a time

template <class T>
RowSketchLeaf<T> row_sketch_leaf() {
  if constexpr (std::is_same_v<T, float>) {
    return row_sketch_leaves().s;
  } else {
    return row_sketch_leaves().d;
  }
}

// Where row i of A goes: the e-th of its entries into the e-th eighth of the sketch.
void buckets_of(std::uint64_t seed, std::uint64_t i, Index eighth, SketchBucket* out) {
  for (Index e = 0; e < row_sketch_entries; ++e) {
    const std::uint64_t bits = random_bits(seed, i * row_sketch_entries + static_cast<std::uint64_t>(e));
    const auto place = static_cast<Index>((bits >> 1U) % static_cast<std::uint64_t>(eighth));
    out[e] = {static_cast<std::int32_t>(e * eighth + place), (bits & 1U) ? 1 : -1};
  }
}

// Rows of one slab's columns one after the other, padded with zeros to the slab's width.
template <class T, class U>
void pack(const RowSketchLeaf<T>& leaf, MatrixView<const U> rows, T* out) {
  constexpr Index slab = row_sketch_slab<T>;
  for (Index i = 0; i < rows.rows; ++i) {
    T* const to = out + i * slab;
    const U* const from = rows.data + i * rows.row_stride;
    if (rows.col_stride == 1) {
      if constexpr (std::is_same_v<U, unsigned char>) {
        leaf.widen(rows.cols, from, to);
      } else {
        for (Index j = 0; j < rows.cols; ++j) to[j] = static_cast<T>(from[j]);
      }
    } else {
      for (Index j = 0; j < rows.cols; ++j) to[j] = static_cast<T>(from[j * rows.col_stride]);
    }
    std::fill(to + rows.cols, to + slab, T(0));
  }
}

// body(slab, first row, packed rows, count) for all rows, strip by strip, slabs in parallel.
template <class T, class U, class Body>
void over_strips(MatrixView<const U> rows, const Body& body) {
  constexpr Index slab = row_sketch_slab<T>;
  const RowSketchLeaf<T> leaf = row_sketch_leaf<T>();
  parallel_for(row_sketch_slabs<T>(rows.cols), [&](Index s) {
    T packed[strip * slab];
    const Index cols = std::min(slab, rows.cols - s * slab);
    for (Index i = 0; i < rows.rows; i += strip) {
      const Index count = std::min(strip, rows.rows - i);
      pack<T, U>(leaf, rows.block(i, s * slab, count, cols), packed);
      body(leaf, s, i, packed, count);
    }
  });
}

}  // namespace

template <class T, class U>
void row_sketch_add(MatrixView<const U> rows, std::uint64_t first, std::uint64_t seed, Index n_rows,
                    int shift, T* sums) {
  constexpr Index slab = row_sketch_slab<T>;
  const T factor = std::ldexp(T(1), shift / 2), rest = std::ldexp(T(1), shift - shift / 2);
  const Index block = std::min(block_rows, rows.rows);
  std::vector<SketchBucket> buckets(static_cast<std::size_t>(block * row_sketch_entries));
  for (Index begin = 0; begin < rows.rows; begin += block_rows) {
    const Index count = std::min(block_rows, rows.rows - begin);
    for (Index i = 0; i < count; ++i) {
      buckets_of(seed, first + static_cast<std::uint64_t>(begin + i), n_rows / row_sketch_entries,
                 buckets.data() + i * row_sketch_entries);
    }
    over_strips<T, U>(rows.block(begin, 0, count, rows.cols), [&](const RowSketchLeaf<T>& leaf, Index s,
                                                                  Index i, T* packed, Index here) {
      if (shift != 0) {
        for (Index k = 0; k < here * slab; ++k) packed[k] = packed[k] * factor * rest;
      }
      leaf.add(here, packed, buckets.data() + i * row_sketch_entries, sums + s * n_rows * slab);
    });
  }
}

template <class T, class U>
void row_sketch_squares(MatrixView<const U> rows, double* squares) {
  constexpr Index slab = row_sketch_slab<T>;
  std::vector<double> sums(static_cast<std::size_t>(row_sketch_slabs<T>(rows.cols) * slab), 0.0);
  std::copy_n(squares, rows.cols, sums.begin());
  over_strips<T, U>(rows, [&](const RowSketchLeaf<T>& leaf, Index s, Index, const T* packed, Index here) {
    leaf.squares(here, packed, sums.data() + s * slab);
  });
  std::copy_n(sums.begin(), rows.cols, squares);
}

template <class T>
void row_sketch_matrix(const T* sums, Index n_rows, T factor, MatrixView<T> out) {
  constexpr Index slab = row_sketch_slab<T>;
  parallel_for(row_sketch_slabs<T>(out.cols), [&](Index s) {
    const Index cols = std::min(slab, out.cols - s * slab);
    for (Index i = 0; i < n_rows; ++i) {
      const T* const from = sums + (s * n_rows + i) * slab;
      for (Index j = 0; j < cols; ++j) out(i, s * slab + j) = factor * from[j];
    }
  });
}

#define WAVELENS_INSTANTIATE(T, U)                                                                     \
  template void row_sketch_add(MatrixView<const U>, std::uint64_t, std::uint64_t, std::ptrdiff_t, int, \
                               std::add_pointer_t<T>);                                                 \
  template void row_sketch_squares<T>(MatrixView<const U>, double*);
WAVELENS_INSTANTIATE(float, float)
WAVELENS_INSTANTIATE(float, double)
WAVELENS_INSTANTIATE(float, unsigned char)
WAVELENS_INSTANTIATE(double, float)
WAVELENS_INSTANTIATE(double, double)
WAVELENS_INSTANTIATE(double, unsigned char)
template void row_sketch_matrix(const float*, std::ptrdiff_t, float, MatrixView<float>);
template void row_sketch_matrix(const double*, std::ptrdiff_t, double, MatrixView<double>);

}  // namespace wavelens
