// Orthogonalisation of a few columns against a basis and among themselves.
//
// A sketch S of the projected panel P (half as many rows again as columns) is factored with pivoting by
// Householder; P·R_S⁻¹ then has a condition number near 10 whatever P's is (Rokhlin & Tygert 2008), so that
// two rounds of Cholesky QR on it are as good as Householder and consist of products (Fan, Guo & Lin 2021).
// The second projection against the basis acts on the nearly orthonormal P·R_S⁻¹, not on P, whose columns may
// have lost all but a few digits in the first.
//
// 8·n·b² + 8·n·b·K flops for a basis of K columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "wavelens/matrix_view.hpp"

namespace wavelens {

template <class T>
struct PanelQr {
  std::vector<std::ptrdiff_t> order;  // positions in the panel, pivoted; those left out depend on these
  std::vector<T> r;                   // order.size() squared, by columns, upper triangular, positive diagonal
};

// `names` settle ties (the lowest first); with `keep_order` nothing is pivoted, and dependent columns end the
// panel. Stops in front of the first column whose residual is at most `threshold`. The panel is overwritten;
// the first order.size() columns of `q_new`, which has as many as the panel, become the new part of the
// basis.
template <class T>
PanelQr<T> panel_qr(MatrixView<const T> basis, MatrixView<T> panel, const std::ptrdiff_t* names,
                    double threshold, bool keep_order, std::uint64_t seed, MatrixView<T> q_new);

// A hash of (seed, i).
std::uint64_t random_bits(std::uint64_t seed, std::uint64_t i);

// Entries of mean 0 and variance 1, nearly normal, each a hash of (seed, i, j): any part can be made by
// itself.
template <class T>
void fill_random(std::uint64_t seed, MatrixView<T> x);

// X ← X − Q(QᵀX).
template <class T>
void project_out(MatrixView<const T> q, MatrixView<T> x);

}  // namespace wavelens
