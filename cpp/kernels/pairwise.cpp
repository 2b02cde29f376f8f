// Distances and similarities as whole matrices, and the sums of similarities to each class without the
// matrix. The tiles and their numerics are pairwise_tiles.cpp's; the k nearest rows are
// pairwise_nearest.cpp's.
//
// Class sums take the columns in the order of their classes, so that a row of a tile falls into few runs, one
// a class. A tile off the diagonal serves twice where the values are symmetric: its rows are summed over the
// columns' classes and its columns over the rows' classes. Sums are float64 and grow tile by tile in a fixed
// order; inside a tile every row (and every column) belongs to one task. So the n² values need no room, and
// the result is the same for any number of threads.

#include "wavelens/pairwise.hpp"

#include <algorithm>

#include "distance_leaves.hpp"
#include "pairwise_classes.hpp"
#include "pairwise_tiles.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

template <class T>
void copy_line(const T* from, std::ptrdiff_t n, T* to, std::ptrdiff_t step) {
  if (step == 1) {
    std::copy(from, from + n, to);
  } else {
    for (std::ptrdiff_t j = 0; j < n; ++j) to[j * step] = from[j];
  }
}

// Writes a tile, and where it stands for two its transpose, 32 rows of the result at a time.
template <class T>
void write(const PairTile<T>& tile, MatrixView<T> out) {
  const auto rows = [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    for (std::ptrdiff_t i = begin; i < end; ++i) {
      copy_line(tile.line(i), tile.cols, &out(tile.row + i, tile.col), out.col_stride);
    }
  };
  // The transpose, in squares that fit the first-level cache.
  const auto columns = [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    constexpr std::ptrdiff_t side = 32;
    for (std::ptrdiff_t j0 = begin; j0 < end; j0 += side) {
      for (std::ptrdiff_t i0 = 0; i0 < tile.rows; i0 += side) {
        const std::ptrdiff_t stop = std::min(tile.rows, i0 + side);
        for (std::ptrdiff_t j = j0; j < std::min(end, j0 + side); ++j) {
          T* to = &out(tile.col + j, tile.row);
          for (std::ptrdiff_t i = i0; i < stop; ++i) to[i * out.col_stride] = tile.line(i)[j];
        }
      }
    }
  };
  over_tile(tile, rows, columns);
}

template <class T>
PairProblem<T> problem_of(MatrixView<const T> x, const MatrixView<const T>* y) {
  PairProblem<T> problem;
  problem.x = x;
  problem.y = y ? *y : x;
  problem.same = problem.symmetric = y == nullptr;
  return problem;
}

}  // namespace

template <class T>
void pairwise_distances(MatrixView<const T> x, const MatrixView<const T>* y, Distance kind, Metric<T> metric,
                        MatrixView<T> out, Monitor& monitor) {
  PairProblem<T> problem = problem_of(x, y);
  problem.entry = kind == Distance::squared ? Entry::squared_distance : Entry::distance;
  problem.metric = metric;
  for_each_tile<T>(problem, nullptr, [&](const PairTile<T>& tile) { write(tile, out); }, monitor);
}

template <class T>
void gaussian_similarity(MatrixView<const T> x, const MatrixView<const T>* y, const double* p,
                         const double* q, MatrixView<T> out, Monitor& monitor) {
  PairProblem<T> problem = problem_of(x, y);
  problem.entry = Entry::gaussian;
  problem.diagonal = 1;
  problem.x_factors = p;
  problem.y_factors = q;
  for_each_tile<T>(problem, nullptr, [&](const PairTile<T>& tile) { write(tile, out); }, monitor);
}

template <class T>
void class_sums(MatrixView<const T> x, const MatrixView<const T>* y, const std::int64_t* classes,
                const double* p, const double* q, bool symmetric, MatrixView<double> sums, Monitor& monitor) {
  const ByClass columns(classes, y ? y->rows : x.rows);
  PairProblem<T> problem = problem_of(x, y);
  problem.symmetric = problem.same && symmetric;
  problem.entry = Entry::gaussian;
  problem.diagonal = 0;  // a row does not count itself
  problem.x_factors = p;
  problem.y_factors = q;
  problem.y_order = columns.order();
  if (problem.same) problem.x_order = columns.order();
  const DistanceLeaf<T> leaf = distance_leaf<T>();
  for (std::ptrdiff_t i = 0; i < sums.rows; ++i) {
    for (std::ptrdiff_t c = 0; c < sums.cols; ++c) sums(i, c) = 0;
  }
  const auto row_of = [&](std::ptrdiff_t at) { return problem.same ? columns.order()[at] : at; };

  const auto collect = [&](const PairTile<T>& tile) {
    const auto runs = columns.runs(tile.col, tile.cols);
    const auto row_runs = columns.runs(tile.row, tile.mirrored ? tile.rows : 0);
    const auto sum_rows = [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
      for (std::ptrdiff_t i = begin; i < end; ++i) {
        for (const auto& run : runs) {
          sums(row_of(tile.row + i), run.code) += leaf.sum(tile.line(i) + run.begin, run.end - run.begin);
        }
      }
    };
    const auto sum_columns = [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
      std::vector<double> line(static_cast<std::size_t>(end - begin));
      for (const auto& run : row_runs) {
        std::fill(line.begin(), line.end(), 0.0);
        for (std::ptrdiff_t i = run.begin; i < run.end; ++i) {
          leaf.add(tile.line(i) + begin, line.data(), end - begin);
        }
        for (std::ptrdiff_t j = begin; j < end; ++j) {
          sums(row_of(tile.col + j), run.code) += line[static_cast<std::size_t>(j - begin)];
        }
      }
    };
    over_tile(tile, sum_rows, sum_columns);
  };
  for_each_tile<T>(problem, nullptr, collect, monitor);
}

#define WAVELENS_INSTANTIATE(T)                                                                             \
  template void pairwise_distances<T>(MatrixView<const T>, const MatrixView<const T>*, Distance, Metric<T>, \
                                      MatrixView<T>, Monitor&);                                             \
  template void gaussian_similarity<T>(MatrixView<const T>, const MatrixView<const T>*, const double*,      \
                                       const double*, MatrixView<T>, Monitor&);                             \
  template void class_sums<T>(MatrixView<const T>, const MatrixView<const T>*, const std::int64_t*,         \
                              const double*, const double*, bool, MatrixView<double>, Monitor&);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
