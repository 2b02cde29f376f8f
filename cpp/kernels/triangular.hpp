// Upper triangular matrices in the recursive form of Gustavson and of Elmroth, Jonsson and Kågström (SIAM
// Review 46, 2004): halves meet in matrix products, so that everything runs at the rate of `gemm`, is bitwise
// the same for any number of threads and needs no copy.
#pragma once

#include <cmath>
#include <limits>

#include "wavelens/matrix_view.hpp"

namespace wavelens {

// A = RᵀR. `a` (symmetric) becomes R with zeros below its diagonal, `inverse` becomes R⁻¹ likewise. False if
// a pivot is not positive; then both are spoilt. 4n³/3 flops.
template <class T>
bool cholesky_with_inverse(MatrixView<T> a, MatrixView<T> inverse);

// inverse = R⁻¹, zeros below the diagonal. Division by a zero on the diagonal gives infinities.
template <class T>
void invert_upper(MatrixView<const T> r, MatrixView<T> inverse);

// X·R = B, in place of B (its rows one entry apart: column-major). Every row of X solves a system near its
// own: |B − XR| ≤ c·eps·|X||R| entry by entry, provided that R has columns of norms around 1 and ‖R⁻¹‖
// (Frobenius) is below solvable_norm: then the correction step that diagonal blocks of order 64 get makes
// good for solving with their explicit inverses. Of `inverse` = R⁻¹ only those blocks are read. m·n² flops.
template <class T>
void solve_upper_right(MatrixView<const T> r, MatrixView<const T> inverse, MatrixView<T> b);

template <class T>
double solvable_norm() {
  return 0.06 / std::sqrt(static_cast<double>(std::numeric_limits<T>::epsilon()));
}

// C = RᵀB for upper triangular R (n × m with n ≤ m: upper trapezoidal), which skips most of the zeros.
template <class T>
void multiply_upper_transposed(MatrixView<const T> r, MatrixView<const T> b, MatrixView<T> c);

}  // namespace wavelens
