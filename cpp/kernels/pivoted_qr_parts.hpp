// What the methods of the pivoted QR share; the methods themselves, chosen in pivoted_qr.cpp.
#pragma once

#include <limits>
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

// A norm as fraction·2^exponent: it may lie beyond the range of double.
struct Norm {
  double fraction = 0;
  int exponent = 0;
};

// A scaled matrix, and the copy it reads where the caller's numbers are too large or too small to be scaled
// while they are read; A is scaled by 2^−exponent.
template <class T>
struct Scaling {
  ScaledMatrix<T> matrix;
  int exponent = 0;
  std::vector<T> copy;
};

// Sums of squares of columns [begin, end), in double, in the order of the rows whatever the strides.
template <class T>
void sum_squares(MatrixView<const T> a, std::ptrdiff_t begin, std::ptrdiff_t end, double* sums);
// Norms from sums of squares; looks again where these are out of range. std::domain_error for NaN and
// infinities.
template <class T>
std::vector<Norm> norms_of(MatrixView<const T> a, const double* sums);
// The norms of all columns in one pass.
template <class T>
std::vector<Norm> column_norms(MatrixView<const T> a);

int scaling_exponent(const std::vector<Norm>& norms);
template <class T>
bool scalable(int exponent) {  // without a copy
  return (exponent < 0 ? -exponent : exponent) <= std::numeric_limits<T>::max_exponent / 3;
}
template <class T>
void scale_matrix(MatrixView<const T> a, const std::vector<Norm>& norms, Scaling<T>& scaling);

// Columns `names` of A, times `factor`, into `out`.
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
// Finds the scale of A by itself, in its first reading.
template <class T>
Choice<T> choose_sketch(MatrixView<const T> a, std::ptrdiff_t k, double rtol, bool with_q, std::uint64_t seed,
                        Scaling<T>& scaling, Monitor& monitor);

// QR of the chosen columns in the order given; fewer come back where they depend on each other.
template <class T>
Choice<T> factor_columns(const ScaledMatrix<T>& a, const std::vector<std::ptrdiff_t>& pivots,
                         std::uint64_t seed, Monitor& monitor);

// The same choice with the basis; its diagonal stays.
template <class T>
Choice<T> with_basis(const ScaledMatrix<T>& a, Choice<T> choice, std::uint64_t seed, Monitor& monitor);

}  // namespace wavelens
