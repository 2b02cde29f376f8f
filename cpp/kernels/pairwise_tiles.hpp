// The matrix of distances or similarities, tile by tile; what to do with a tile is the caller's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>

#include "wavelens/matrix_view.hpp"
#include "wavelens/monitor.hpp"
#include "wavelens/pairwise.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {

enum class Entry { distance, squared_distance, scaled_square, gaussian };

template <class T>
struct PairProblem {
  MatrixView<const T> x;
  MatrixView<const T> y;
  bool same = false;       // y is x: the diagonal holds `diagonal`
  bool symmetric = false;  // same, and entries (i, j) and (j, i) agree: only tiles with j ≥ i are made
  Entry entry = Entry::distance;
  T diagonal = 0;
  const double* x_factors = nullptr;  // of a Gaussian: p and q of gaussian_similarity
  const double* y_factors = nullptr;
  Metric<T> metric = nullptr;
  const std::ptrdiff_t* x_order = nullptr;  // the rows in the order to be taken, or nullptr: as they are
  const std::ptrdiff_t* y_order = nullptr;
};

// A finished tile: entries (row + i, col + j) by the order of the problem.
template <class T>
struct PairTile {
  std::ptrdiff_t row, rows, col, cols;
  const T* values;  // row-major
  std::ptrdiff_t stride;
  bool mirrored;  // also stands for the entries (col + j, row + i), which no other tile brings

  const T* line(std::ptrdiff_t i) const { return values + i * stride; }
};

// Runs rows(begin, end) over the rows of a tile and, where it is mirrored, columns(begin, end) over its
// columns; the two may run at once.
template <class T, class Rows, class Columns>
void over_tile(const PairTile<T>& tile, Rows rows, Columns columns) {
  constexpr std::ptrdiff_t row_grain = 32, column_grain = 192;
  const std::ptrdiff_t row_tasks = (tile.rows + row_grain - 1) / row_grain;
  const std::ptrdiff_t column_tasks = tile.mirrored ? (tile.cols + column_grain - 1) / column_grain : 0;
  parallel_for(row_tasks + column_tasks, [&](std::ptrdiff_t task) {
    if (task < column_tasks) {
      columns(task * column_grain, std::min(tile.cols, (task + 1) * column_grain));
    } else {
      const std::ptrdiff_t begin = (task - column_tasks) * row_grain;
      rows(begin, std::min(tile.rows, begin + row_grain));
    }
  });
}

// Calls sink(tile), on the calling thread, for one tile after another, always the same tiles in the same
// order. `wanted(row, rows, col, cols)` may refuse a tile before it is computed. Returns the power of two
// that one unit of Entry::scaled_square's root stands for.
template <class T>
double for_each_tile(
    const PairProblem<T>& problem,
    const std::function<bool(std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t)>& wanted,
    const std::function<void(const PairTile<T>&)>& sink, Monitor& monitor);

}  // namespace wavelens
