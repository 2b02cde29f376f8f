// Directions with equal τ, shared by both ways to them.
//
// Eigenvectors of a cluster are arbitrary. There ZᵀΣ(i·G_i)Z is diagonalised, whose eigenvalues are the class
// numbers where directions are isolated. Where these agree as well every rotation is as good, and the one is
// taken whose columns of V are orthogonal, longest first: a result and not an accident of rounding.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "eigh.hpp"
#include "ho_gsvd_stack.hpp"
#include "wavelens/gemm.hpp"

namespace wavelens {

inline std::size_t at(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }

template <class T>
Dense<T> identity(std::ptrdiff_t n) {
  Dense<T> out = Dense<T>::zeros(n, n);
  for (std::ptrdiff_t j = 0; j < n; ++j) out(j, j) = T(1);
  return out;
}

// Columns begin…end of Z times a square matrix.
template <class T>
void rotate(Dense<T>& z, std::ptrdiff_t begin, std::ptrdiff_t end, MatrixView<const T> rotation) {
  const Dense<T> before = copy_of<T>(z.columns(begin, end));
  gemm<T>(T(1), before.view(), rotation, T(0), z.columns(begin, end));
}

template <class T>
void reverse_columns(Dense<T>& a) {
  for (std::ptrdiff_t j = 0; j < a.cols / 2; ++j)
    std::swap_ranges(a.col(j), a.col(j) + a.rows, a.col(a.cols - 1 - j));
}

// Turns columns begin…end of Z so that their columns of V are orthogonal, longest first.
template <class T>
void settle(const Stack<T>& stack, Dense<T>& z, std::ptrdiff_t begin, std::ptrdiff_t end) {
  Dense<T> v = right_factor<T>(stack, corrected<T>(stack, z.columns(begin, end)).plus.view());
  T largest = 0;
  for (const T each : v.entries) largest = std::max(largest, std::abs(each));
  if (!(largest > T(0))) return;
  for (T& each : v.entries) each /= largest;
  Dense<T> g(v.cols, v.cols);
  gram<T>(T(1), v.view(), g.view());
  eigh(g);
  reverse_columns(g);
  rotate<T>(z, begin, end, g.view());
}

// Calls group(begin, end) for every run of values, sorted, whose neighbours differ by no more than
// gap(one of them).
template <class Gap, class Group>
void for_runs(const std::vector<double>& values, std::ptrdiff_t begin, std::ptrdiff_t end, const Gap& gap,
              const Group& group) {
  for (std::ptrdiff_t first = begin; first < end;) {
    std::ptrdiff_t last = first + 1;
    while (last < end && std::abs(values[at(last)] - values[at(last - 1)]) <= gap(values[at(last)])) ++last;
    group(first, last);
    first = last;
  }
}

}  // namespace wavelens
