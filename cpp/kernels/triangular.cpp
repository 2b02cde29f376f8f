#include "triangular.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "wavelens/gemm.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

constexpr Index small_order = 64;

// A multiple of 32 near the middle: products of round sizes.
Index half(Index n) { return (n / 2 + 31) / 32 * 32; }

template <class T>
void set_zero(MatrixView<T> a) {
  for (Index j = 0; j < a.cols; ++j) {
    for (Index i = 0; i < a.rows; ++i) a(i, j) = T(0);
  }
}

template <class T>
bool small_cholesky(MatrixView<T> a) {
  for (Index j = 0; j < a.cols; ++j) {
    for (Index i = 0; i <= j; ++i) {
      T value = a(i, j);
      for (Index p = 0; p < i; ++p) value -= a(p, i) * a(p, j);
      if (i < j) {
        a(i, j) = value / a(i, i);
      } else {
        if (!(value > T(0))) return false;
        a(j, j) = std::sqrt(value);
      }
    }
    for (Index i = j + 1; i < a.rows; ++i) a(i, j) = T(0);
  }
  return true;
}

template <class T>
void small_inverse(MatrixView<const T> r, MatrixView<T> x) {
  set_zero(x);
  for (Index j = 0; j < r.cols; ++j) {
    x(j, j) = T(1) / r(j, j);
    // X(0:j, j) = −X(0:j, 0:j)·R(0:j, j)·x_jj, a column of X at a time.
    for (Index p = 0; p < j; ++p) {
      const T factor = -r(p, j) * x(j, j);
      for (Index i = 0; i <= p; ++i) x(i, j) += x(i, p) * factor;
    }
  }
}

// X₁₂ = −X₁₁·R₁₂·X₂₂.
template <class T>
void join_inverse(MatrixView<const T> r12, MatrixView<T> x, Index k) {
  const Index rest = x.cols - k;
  std::vector<T> workspace(static_cast<std::size_t>(k * rest));
  const MatrixView<T> product = column_major(workspace.data(), k, rest);
  gemm<T>(T(-1), x.block(0, 0, k, k), r12, T(0), product);
  gemm<T>(T(1), product, x.block(k, k, rest, rest), T(0), x.block(0, k, k, rest));
  set_zero(x.block(k, 0, rest, k));
}

// ‖|R⁻¹||R|‖ bounds how much more than eps an explicit inverse costs.
template <class T>
bool inverse_serves(MatrixView<const T> r, MatrixView<const T> inverse) {
  for (Index i = 0; i < r.cols; ++i) {
    T sum = 0;
    for (Index p = i; p < r.cols; ++p) {
      T row = 0;
      for (Index j = p; j < r.cols; ++j) row += std::abs(r(p, j));
      sum += std::abs(inverse(i, p)) * row;
    }
    if (!(sum <= T(32))) return false;
  }
  return true;
}

// Newton's step X ← X + (B − XR)R⁻¹ takes the error of an explicit inverse, eps·κ(R), to its square.
template <class T>
void small_solve(MatrixView<const T> r, MatrixView<const T> inverse, MatrixView<T> b,
                 std::vector<T>& workspace) {
  workspace.resize(static_cast<std::size_t>(2 * b.rows * b.cols));
  const MatrixView<T> rest = column_major(workspace.data(), b.rows, b.cols);
  const MatrixView<T> x = column_major(workspace.data() + b.rows * b.cols, b.rows, b.cols);
  gemm<T>(T(1), b, inverse, T(0), x);
  if (!inverse_serves(r, inverse)) {
    for (Index j = 0; j < b.cols; ++j) std::copy_n(&b(0, j), b.rows, &rest(0, j));
    gemm<T>(T(-1), x, r, T(1), rest);
    gemm<T>(T(1), rest, inverse, T(1), x);
  }
  for (Index j = 0; j < b.cols; ++j) std::copy_n(&x(0, j), b.rows, &b(0, j));
}

template <class T>
void solve_rows(MatrixView<const T> r, MatrixView<const T> inverse, MatrixView<T> b,
                std::vector<T>& workspace) {
  const Index n = r.cols;
  if (n <= small_order) return small_solve(r, inverse, b, workspace);
  const Index k = half(n);
  const MatrixView<T> left = b.block(0, 0, b.rows, k);
  const MatrixView<T> right = b.block(0, k, b.rows, n - k);
  solve_rows(r.block(0, 0, k, k), inverse.block(0, 0, k, k), left, workspace);
  gemm<T>(T(-1), left, r.block(0, k, k, n - k), T(1), right);
  solve_rows(r.block(k, k, n - k, n - k), inverse.block(k, k, n - k, n - k), right, workspace);
}

}  // namespace

template <class T>
bool cholesky_with_inverse(MatrixView<T> a, MatrixView<T> inverse) {
  const Index n = a.cols;
  if (n <= small_order) {
    if (!small_cholesky(a)) return false;
    small_inverse<T>(a, inverse);
    return true;
  }
  const Index k = half(n);
  const MatrixView<T> a12 = a.block(0, k, k, n - k);
  const MatrixView<T> a21 = a.block(k, 0, n - k, k);
  const MatrixView<T> a22 = a.block(k, k, n - k, n - k);
  if (!cholesky_with_inverse(a.block(0, 0, k, k), inverse.block(0, 0, k, k))) return false;
  // R₁₂ = R₁₁⁻ᵀ·A₁₂; the symmetric twin A₂₁ = A₁₂ᵀ is what it is computed from.
  gemm<T>(T(1), inverse.block(0, 0, k, k).transposed(), a21.transposed(), T(0), a12);
  gemm<T>(T(-1), a12.transposed(), a12, T(1), a22);
  set_zero(a21);
  if (!cholesky_with_inverse(a22, inverse.block(k, k, n - k, n - k))) return false;
  join_inverse<T>(a12, inverse, k);
  return true;
}

template <class T>
void invert_upper(MatrixView<const T> r, MatrixView<T> inverse) {
  const Index n = r.cols;
  if (n <= small_order) return small_inverse(r, inverse);
  const Index k = half(n);
  invert_upper(r.block(0, 0, k, k), inverse.block(0, 0, k, k));
  invert_upper(r.block(k, k, n - k, n - k), inverse.block(k, k, n - k, n - k));
  join_inverse(r.block(0, k, k, n - k), inverse, k);
}

template <class T>
void solve_upper_right(MatrixView<const T> r, MatrixView<const T> inverse, MatrixView<T> b) {
  if (r.cols == 0) return;
  std::vector<T> workspace;
  solve_rows(r, inverse, b, workspace);
}

template <class T>
void multiply_upper_transposed(MatrixView<const T> r, MatrixView<const T> b, MatrixView<T> c) {
  // Rows begin…end of C need only the first `end` rows of R and B.
  const Index step = std::max<Index>(192, (r.cols + 5) / 6);
  for (Index begin = 0; begin < r.cols; begin += step) {
    const Index count = std::min(step, r.cols - begin);
    const Index depth = std::min(r.rows, begin + count);
    gemm<T>(T(1), r.block(0, begin, depth, count).transposed(), b.block(0, 0, depth, b.cols), T(0),
            c.block(begin, 0, count, c.cols));
  }
}

#define WAVELENS_INSTANTIATE(T)                                                                \
  template bool cholesky_with_inverse<T>(MatrixView<T>, MatrixView<T>);                        \
  template void invert_upper<T>(MatrixView<const T>, MatrixView<T>);                           \
  template void solve_upper_right<T>(MatrixView<const T>, MatrixView<const T>, MatrixView<T>); \
  template void multiply_upper_transposed<T>(MatrixView<const T>, MatrixView<const T>, MatrixView<T>);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
