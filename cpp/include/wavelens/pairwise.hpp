// Distances and Gaussian similarities between the rows of two matrices, whole or reduced row by row.
//
// Where `y` is nullptr the rows of x are compared with one another: half the work where the values are
// symmetric, results exactly symmetric. All results are bitwise the same for any number of threads.
// 2·n·m·k flops (half of them for y = nullptr). Workspace: at most some 45 MiB, whatever n, m and k.
#pragma once

#include <cstdint>
#include <vector>

#include "wavelens/matrix_view.hpp"
#include "wavelens/monitor.hpp"

namespace wavelens {

// A distance of the caller's: of two contiguous vectors of n entries. Must be symmetric, may be called from
// any thread. nullptr stands for the Euclidean distance.
template <class T>
using Metric = double (*)(std::ptrdiff_t n, const T* x, const T* y);

enum class Distance { euclidean, squared };

// out(i, j) = distance of x's row i and y's row j; zero on the diagonal where y is nullptr. Beyond the range
// of T a squared distance is infinite.
template <class T>
void pairwise_distances(MatrixView<const T> x, const MatrixView<const T>* y, Distance kind, Metric<T> metric,
                        MatrixView<T> out, Monitor& monitor);

// out(i, j) = exp(−‖xᵢ − yⱼ‖²·pᵢ·qⱼ/2). With p = q = 1/h this is the Gaussian of bandwidth h. Where y is
// nullptr, q must be p.
template <class T>
void gaussian_similarity(MatrixView<const T> x, const MatrixView<const T>* y, const double* p,
                         const double* q, MatrixView<T> out, Monitor& monitor);

enum class Neighbours { any, other, same };  // whom to look for: any row, of another class, of the same class

// The k nearest rows of y for each row of x, nearest first, ties to the lower index; never the row itself
// where y is nullptr. x_classes and y_classes (numbers from 0; y_classes = x_classes where y is nullptr) are
// read unless `of` is `any`. An index is −1 and its distance infinite where fewer than k rows qualify.
template <class T>
void k_nearest(MatrixView<const T> x, const MatrixView<const T>* y, std::ptrdiff_t k, Neighbours of,
               const std::int64_t* x_classes, const std::int64_t* y_classes, Metric<T> metric,
               MatrixView<std::int64_t> indices, MatrixView<T> distances, Monitor& monitor);

// sums(i, c) = Σ exp(−‖xᵢ − yⱼ‖²·pᵢ·qⱼ/2) over the rows j of y of class c; where y is nullptr, over the other
// rows of x. `symmetric` says that q is p (y = nullptr), so that half the work suffices.
template <class T>
void class_sums(MatrixView<const T> x, const MatrixView<const T>* y, const std::int64_t* classes,
                const double* p, const double* q, bool symmetric, MatrixView<double> sums, Monitor& monitor);

}  // namespace wavelens
