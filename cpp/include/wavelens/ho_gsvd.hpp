// Higher-order generalized singular value decomposition: D_i = U_i·Σ_i·Vᵀ for i = 1…N with one V.
//
// Cost for M rows in all, m columns, rank r: about 6·M·m² flops in matrix products and (N ≥ 3) 2·N·r³ more,
// plus one or two symmetric eigenproblems of order r. Memory: the U_i (M × min(M, m)) and a few m × m
// matrices.
#pragma once

#include <cstddef>
#include <vector>

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
  std::vector<T> project;              // m × r, column-major; used where it is not
  std::vector<T> triangle;             // r × r, upper, column-major
  std::vector<T> z;                    // r × r, column-major
};

template <class T>
struct HoGsvd {
  std::ptrdiff_t rank = 0;
  std::vector<std::vector<T>> u;      // n_i × rank, column-major (storage may go on behind that)
  std::vector<T> sigma;               // N × rank, row-major
  std::vector<T> v;                   // m × rank, column-major
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

// rows (k × rank) = the rows of UΣ that belong to the rows of x (k × m).
template <class T>
void ho_gsvd_rows(const RowSolver<T>& solver, std::ptrdiff_t rank, MatrixView<const T> x, MatrixView<T> rows);

}  // namespace wavelens
