// Higher-order generalized singular value decomposition: D_i = U_i·Σ_i·Vᵀ for i = 1…N with one V.
//
// Cost for M rows in all, m columns, rank r: about 6·M·m² flops in matrix products and (N ≥ 3) 2·N·r³ more,
// plus one or two symmetric eigenproblems of order r. Memory: the U_i (M × min(M, m)) and a few m × m
// matrices.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "wavelens/buffer.hpp"
#include "wavelens/matrix_view.hpp"
#include "wavelens/monitor.hpp"

namespace wavelens {

struct HoGsvdOptions {
  double ridge = 1e-3;          // π of Kempf, Goulart and Duncan; 0 is Ponnapalli's definition
  std::vector<double> weights;  // D_i enters as weights[i]·D_i; empty: all 1
  double rtol = -1;             // relative tolerance of the rank; negative: max(M, m)·eps
  bool unit = false;            // columns of V have norm 1 and σ takes it; else Σ_i σ_ik² = 1
};

// What takes a row x to its row of UΣ: solve y·triangle = p for p = (x/scale)·project, or p =
// (x/scale)[pivots] where `project` is empty; the row is y·z.
template <class T>
struct RowSolver {
  std::vector<T> scale;                // of the m columns, powers of two
  std::vector<std::ptrdiff_t> pivots;  // r of the columns; used where the rank is full
  Buffer<T> project;                   // m × r, column-major; used where it is not
  Buffer<T> triangle;                  // r × r, upper, column-major
  Buffer<T> z;                         // r × r, column-major
};

template <class T>
struct HoGsvd {
  std::ptrdiff_t rank = 0;
  std::vector<Buffer<T>> u;           // n_i × rank, column-major
  std::vector<T> sigma;               // N × rank, row-major
  Buffer<T> v;                        // m × rank, column-major
  std::vector<T> tau;                 // ascending
  std::vector<std::ptrdiff_t> owner;  // the one matrix that a direction belongs to, else −1
  std::vector<unsigned char> resolved;
  RowSolver<T> solver;
};

// std::invalid_argument: fewer than two matrices, differing numbers of columns, all entries zero, a weight
// that is not positive, ridge = 0 where a matrix is short of full column rank. Entries must be finite.
template <class T>
HoGsvd<T> ho_gsvd(const std::vector<MatrixView<const T>>& matrices, const HoGsvdOptions& options,
                  Monitor& monitor);

// Calls visit(D_i); what the view shows need not outlive the call. Every call with the same i shows the same.
template <class T>
using MatrixReader =
    std::function<void(std::size_t i, const std::function<void(MatrixView<const T>)>& visit)>;

// The same for `count` ≥ 3 matrices that are read one at a time, three or four times each: memory O(m²)
// beside one of them. `factor` is the triangular factor of the stacked weights[i]·D_i, m × m. The result's
// `u` are empty: ho_gsvd_rows of D_i over σ_i makes them.
template <class T>
HoGsvd<T> ho_gsvd_streamed(std::size_t count, const MatrixReader<T>& read, MatrixView<const T> factor,
                           const HoGsvdOptions& options, Monitor& monitor);

// A row solver in memory of somebody else; `project` or `pivots` is null.
template <class T>
struct RowSolverView {
  std::ptrdiff_t columns;
  std::ptrdiff_t rank;
  const T* scale;
  const std::ptrdiff_t* pivots;
  const T* project;
  const T* triangle;
  const T* z;
};

template <class T>
RowSolverView<T> view_of(const RowSolver<T>& s, std::ptrdiff_t rank) {
  const bool exact = s.project.empty();
  return {static_cast<std::ptrdiff_t>(s.scale.size()),
          rank,
          s.scale.data(),
          exact ? s.pivots.data() : nullptr,
          exact ? nullptr : s.project.data(),
          s.triangle.data(),
          s.z.data()};
}

// rows (k × rank) = the rows of UΣ that belong to the rows of x (k × m).
template <class T>
void ho_gsvd_rows(const RowSolverView<T>& solver, MatrixView<const T> x, MatrixView<T> rows);

}  // namespace wavelens
