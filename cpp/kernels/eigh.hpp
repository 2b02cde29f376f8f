// Eigenvectors of a symmetric matrix: LAPACK's reduction to a tridiagonal one and its divide and conquer,
// which run on one thread, and the reflectors applied by our own product (in the blocks of Schreiber and Van
// Loan, SIAM J. Sci. Stat. Comput. 10, 1989).
//
// Why not syevd on all of BLAS's threads: it makes thousands of small parallel calls that wait for one
// another in a spin. On a machine that is busy otherwise each wait costs a time slice, and 0.1 s become 40 s.
// This way costs the same on a quiet machine, and the result is bitwise the same for any number of threads.
#pragma once

#include <algorithm>
#include <vector>

#include "dense.hpp"
#include "wavelens/gemm.hpp"

namespace wavelens {

// Z ← H_1·…·H_{n−1}·Z, the reflectors as sytrd leaves them below the subdiagonal of `a`.
template <class T>
void apply_tridiagonal_reflectors(const Dense<T>& a, const std::vector<T>& tau, Dense<T>& z) {
  constexpr std::ptrdiff_t step = 64;
  const std::ptrdiff_t n = a.cols;
  const std::ptrdiff_t count = n - 1;
  for (std::ptrdiff_t first = (count - 1) / step * step; count > 0 && first >= 0; first -= step) {
    const std::ptrdiff_t width = std::min(step, count - first);
    const std::ptrdiff_t rows = n - 1 - first;
    Dense<T> v = Dense<T>::zeros(rows, width);
    for (std::ptrdiff_t k = 0; k < width; ++k) {
      v(k, k) = T(1);
      std::copy(a.col(first + k) + first + k + 2, a.col(first + k) + n, v.col(k) + k + 1);
    }
    // The block is I − V·S·Vᵀ with S upper triangular.
    Dense<T> overlap(width, width), s = Dense<T>::zeros(width, width);
    gram<T>(1, v.view(), overlap.view());
    for (std::ptrdiff_t k = 0; k < width; ++k) {
      s(k, k) = tau[static_cast<std::size_t>(first + k)];
      for (std::ptrdiff_t i = 0; i < k; ++i) {
        T sum = 0;
        for (std::ptrdiff_t p = i; p < k; ++p) sum += s(i, p) * overlap(p, k);
        s(i, k) = -s(k, k) * sum;
      }
    }
    const MatrixView<T> below = z.view().block(first + 1, 0, rows, z.cols);
    Dense<T> projected(width, z.cols), combined(width, z.cols);
    gemm<T>(1, v.view().transposed(), below, 0, projected.view());
    gemm<T>(1, s.view(), projected.view(), 0, combined.view());
    gemm<T>(-1, v.view(), combined.view(), 1, below);
  }
}

// Eigenvalues, ascending; `a` (symmetric, upper part read) becomes the eigenvectors. BLAS is best kept to one
// thread. About 16n³/3 flops.
template <class T>
std::vector<T> eigh(Dense<T>& a) {
  const std::ptrdiff_t order = a.cols;
  std::vector<T> values(static_cast<std::size_t>(order));
  if (order == 0) return values;
  for (std::ptrdiff_t j = 0; j < order; ++j) {
    for (std::ptrdiff_t i = j + 1; i < order; ++i) a(i, j) = a(j, i);
  }
  char lower = 'L', identity = 'I';
  int n = lapack_int(order), ld = a.ld(), info = 0;
  std::vector<T> off(static_cast<std::size_t>(order)), tau(static_cast<std::size_t>(order));
  with_workspace<T>("sytrd", [&](T* work, int* lwork, int* status) {
    lapack<T>().sytrd(&lower, &n, a.data(), &ld, values.data(), off.data(), tau.data(), work, lwork, status);
  });
  Dense<T> z(order, order);
  int lwork = lapack_int(1 + 4 * order + order * order), liwork = lapack_int(3 + 5 * order);
  Buffer<T> work(static_cast<std::size_t>(lwork));
  std::vector<int> iwork(static_cast<std::size_t>(liwork));
  lapack<T>().stedc(&identity, &n, values.data(), off.data(), z.data(), &ld, work.data(), &lwork,
                    iwork.data(), &liwork, &info);
  check_info(info, "stedc");
  apply_tridiagonal_reflectors(a, tau, z);
  a = std::move(z);
  return values;
}

}  // namespace wavelens
