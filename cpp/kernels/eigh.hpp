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

namespace wavelens {

// Z ← H_1·…·H_{n−1}·Z, the reflectors as sytrd leaves them below the subdiagonal of `a`.
template <class T>
void apply_tridiagonal_reflectors(const Dense<T>& a, const std::vector<T>& tau, Dense<T>& z) {
  constexpr std::ptrdiff_t step = 64;
  const std::ptrdiff_t n = a.cols;
  const std::ptrdiff_t count = n - 1;
  for (std::ptrdiff_t first = (count - 1) / step * step; count > 0 && first >= 0; first -= step) {
    const std::ptrdiff_t width = std::min(step, count - first);
    BlockReflector<T>(a, tau.data(), first, width, 1)
        .apply(z.view().block(first + 1, 0, n - 1 - first, z.cols), false);
  }
}

// A = Q·T·Qᵀ: T's diagonal and off-diagonal, and Q as reflectors below the subdiagonal of `a`, of which the
// lower part is read. As LAPACK's sytrd, which cannot be interrupted: some columns at a time by latrd, and A
// ← A − V·Wᵀ − W·Vᵀ on the rest.
template <class T>
void tridiagonalize(Dense<T>& a, std::vector<T>& diagonal, std::vector<T>& off, std::vector<T>& tau) {
  constexpr std::ptrdiff_t unblocked = 64;  // columns that are left to sytrd
  constexpr std::ptrdiff_t strip =
      256;  // columns of the rest, of which the part below the diagonal is updated
  char lower = 'L';
  int ld = a.ld();
  std::ptrdiff_t first = 0;
  for (; a.cols - first > unblocked; first += reflector_block) {
    const std::ptrdiff_t size = a.cols - first, rest = size - reflector_block;
    int n = lapack_int(size), count = lapack_int(reflector_block);
    Dense<T> w(size, reflector_block);
    lapack<T>().latrd(&lower, &n, &count, a.col(first) + first, &ld, off.data() + first, tau.data() + first,
                      w.data(), &n);
    check_interrupted();
    const MatrixView<T> below = a.view().block(first + reflector_block, first + reflector_block, rest, rest);
    const MatrixView<const T> v = a.view().block(first + reflector_block, first, rest, reflector_block);
    const MatrixView<const T> other = w.block(reflector_block, 0, rest, reflector_block);
    for (std::ptrdiff_t j = 0; j < rest; j += strip) {
      const std::ptrdiff_t width = std::min(strip, rest - j), rows = rest - j;
      const MatrixView<T> part = below.block(j, j, rows, width);
      const auto lines = [&](MatrixView<const T> x, std::ptrdiff_t n_rows) {
        return x.block(j, 0, n_rows, reflector_block);
      };
      gemm<T>(T(-1), lines(v, rows), lines(other, width).transposed(), T(1), part);
      gemm<T>(T(-1), lines(other, rows), lines(v, width).transposed(), T(1), part);
    }
    for (std::ptrdiff_t j = first; j < first + reflector_block; ++j) {
      diagonal[static_cast<std::size_t>(j)] = a(j, j);
      a(j + 1, j) = off[static_cast<std::size_t>(j)];  // latrd leaves the reflectors' leading ones there
    }
  }
  int n = lapack_int(a.cols - first);
  with_workspace<T>("sytrd", [&](T* work, int* lwork, int* status) {
    lapack<T>().sytrd(&lower, &n, a.col(first) + first, &ld, diagonal.data() + first, off.data() + first,
                      tau.data() + first, work, lwork, status);
  });
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
  char identity = 'I';
  int n = lapack_int(order), ld = a.ld(), info = 0;
  std::vector<T> off(static_cast<std::size_t>(order)), tau(static_cast<std::size_t>(order));
  tridiagonalize(a, values, off, tau);
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
