// What the methods of the pivoted QR share; the methods themselves, chosen in pivoted_qr.cpp.
#pragma once

#include <vector>

#include "wavelens/matrix_view.hpp"
#include "wavelens/monitor.hpp"
#include "wavelens/pivoted_qr.hpp"

namespace wavelens {

// The caller's matrix, read as `factor` times what stands there. The factor is a power of two that brings the
// longest column to a length between 1 and 2, so that squares neither overflow nor vanish.
template <class T>
struct ScaledMatrix {
  MatrixView<const T> view;
  T factor;
  std::vector<double> norms;  // of the columns, scaled; the kernels' copy of A's only exact knowledge
};

// Columns `names` of A, scaled, into `out`.
template <class T>
void gather_columns(const ScaledMatrix<T>& a, const std::ptrdiff_t* names, T factor, MatrixView<T> out);

// Pivots with what a method knows of them; everything scaled.
template <class T>
struct Choice {
  std::vector<std::ptrdiff_t> pivots;
  std::vector<T> r_diag;
  std::vector<T> q;  // n × pivots.size() by columns; empty if the method was not asked for it
};

template <class T>
Choice<T> choose_blocked(const ScaledMatrix<T>& a, std::ptrdiff_t k, double rtol, std::uint64_t seed,
                         Monitor& monitor);
template <class T>
Choice<T> choose_exact(const ScaledMatrix<T>& a, std::ptrdiff_t k, double rtol, Monitor& monitor);
template <class T>
Choice<T> choose_strong(const ScaledMatrix<T>& a, std::ptrdiff_t k, double rtol, std::uint64_t seed,
                        Monitor& monitor);
template <class T>
Choice<T> choose_sketch(const ScaledMatrix<T>& a, std::ptrdiff_t k, double rtol, bool with_q, std::uint64_t seed,
                        Monitor& monitor);

// QR of the chosen columns in the order given; fewer come back where they depend on each other.
template <class T>
Choice<T> factor_columns(const ScaledMatrix<T>& a, const std::vector<std::ptrdiff_t>& pivots, std::uint64_t seed,
                         Monitor& monitor);

}  // namespace wavelens
