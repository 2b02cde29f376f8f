// A column-major matrix that owns its entries (not zeroed unless asked for), and LAPACK's decompositions of
// it with the workspace seen to.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

#include "wavelens/buffer.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/lapack.hpp"
#include "wavelens/matrix_view.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {

template <class T>
struct Dense {
  Buffer<T> entries;
  std::ptrdiff_t rows = 0;
  std::ptrdiff_t cols = 0;

  Dense() = default;
  Dense(std::ptrdiff_t n_rows, std::ptrdiff_t n_cols)
      : entries(static_cast<std::size_t>(n_rows * n_cols)), rows(n_rows), cols(n_cols) {}

  static Dense zeros(std::ptrdiff_t n_rows, std::ptrdiff_t n_cols) {
    Dense out;
    out.entries.assign(static_cast<std::size_t>(n_rows * n_cols), T(0));
    out.rows = n_rows;
    out.cols = n_cols;
    return out;
  }

  T* data() { return entries.data(); }
  T* col(std::ptrdiff_t j) { return entries.data() + j * rows; }
  const T* col(std::ptrdiff_t j) const { return entries.data() + j * rows; }
  T& operator()(std::ptrdiff_t i, std::ptrdiff_t j) {
    return entries[static_cast<std::size_t>(i + j * rows)];
  }
  const T& operator()(std::ptrdiff_t i, std::ptrdiff_t j) const {
    return entries[static_cast<std::size_t>(i + j * rows)];
  }
  MatrixView<T> view() { return column_major(entries.data(), rows, cols); }
  MatrixView<const T> view() const { return {entries.data(), rows, cols, 1, rows}; }
  MatrixView<const T> block(std::ptrdiff_t i, std::ptrdiff_t j, std::ptrdiff_t n_rows,
                            std::ptrdiff_t n_cols) const {
    return view().block(i, j, n_rows, n_cols);
  }
  MatrixView<T> columns(std::ptrdiff_t begin, std::ptrdiff_t end) {
    return view().block(0, begin, rows, end - begin);
  }
  int ld() const { return lapack_int(std::max<std::ptrdiff_t>(1, rows)); }
};

template <class T>
Dense<T> copy_of(MatrixView<const T> a) {
  Dense<T> out(a.rows, a.cols);
  for (std::ptrdiff_t j = 0; j < a.cols; ++j) {
    for (std::ptrdiff_t i = 0; i < a.rows; ++i) out(i, j) = a(i, j);
  }
  return out;
}

// Of a column whose squares may overflow or vanish.
template <class T>
T column_norm(const Dense<T>& a, std::ptrdiff_t j) {
  T largest = 0;
  for (std::ptrdiff_t i = 0; i < a.rows; ++i) largest = std::max(largest, std::abs(a(i, j)));
  if (!(largest > T(0)) || !std::isfinite(largest)) return largest;
  double sum = 0;
  for (std::ptrdiff_t i = 0; i < a.rows; ++i) {
    const double each = static_cast<double>(a(i, j)) / static_cast<double>(largest);
    sum += each * each;
  }
  return static_cast<T>(static_cast<double>(largest) * std::sqrt(sum));
}

// Parallel and the same for any number of threads.
template <class T>
double frobenius_norm(const Dense<T>& a) {
  std::vector<double> sums(static_cast<std::size_t>(a.cols));
  parallel_ranges(a.cols, 64, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    for (std::ptrdiff_t j = begin; j < end; ++j) {
      double lanes[4] = {};
      for (std::ptrdiff_t i = 0; i < a.rows; ++i)
        lanes[i % 4] += static_cast<double>(a(i, j)) * static_cast<double>(a(i, j));
      sums[static_cast<std::size_t>(j)] = lanes[0] + lanes[1] + lanes[2] + lanes[3];
    }
  });
  return std::sqrt(std::accumulate(sums.begin(), sums.end(), 0.0));
}

// Calls routine(work, lwork, info) twice: for the size of its workspace, then for the result.
template <class T, class Routine>
void with_workspace(const char* name, Routine routine) {
  T size = 0;
  int lwork = -1, info = 0;
  routine(&size, &lwork, &info);
  check_info(info, name);
  // In float32 a size beyond 2²⁴ comes back rounded.
  const double wanted =
      static_cast<double>(size) * (1 + 2 * static_cast<double>(std::numeric_limits<T>::epsilon()));
  lwork = lapack_int(static_cast<std::ptrdiff_t>(wanted) + 1);
  Buffer<T> work(static_cast<std::size_t>(lwork));
  routine(work.data(), &lwork, &info);
  check_info(info, name);
}

// Householder reflectors in columns first…first + width of `a`, the first of them from row `top` + first on,
// as one block I − V·S·Vᵀ with S upper triangular (Schreiber & Van Loan 1989).
template <class T>
struct BlockReflector {
  Dense<T> v, s;

  BlockReflector(const Dense<T>& a, const T* tau, std::ptrdiff_t first, std::ptrdiff_t width,
                 std::ptrdiff_t top)
      : v(Dense<T>::zeros(a.rows - top - first, width)), s(Dense<T>::zeros(width, width)) {
    for (std::ptrdiff_t k = 0; k < width; ++k) {
      v(k, k) = T(1);
      std::copy(a.col(first + k) + top + first + k + 1, a.col(first + k) + a.rows, v.col(k) + k + 1);
    }
    Dense<T> overlap(width, width);
    gram<T>(T(1), v.view(), overlap.view());
    for (std::ptrdiff_t k = 0; k < width; ++k) {
      s(k, k) = tau[first + k];
      for (std::ptrdiff_t i = 0; i < k; ++i) {
        T sum = 0;
        for (std::ptrdiff_t p = i; p < k; ++p) sum += s(i, p) * overlap(p, k);
        s(i, k) = -s(k, k) * sum;
      }
    }
  }

  // x ← (I − V·S·Vᵀ)·x, or the transpose of the block times x.
  void apply(MatrixView<T> x, bool transposed) const {
    if (x.cols == 0) return;
    const MatrixView<const T> middle = s.view();
    Dense<T> projected(s.cols, x.cols), combined(s.cols, x.cols);
    gemm<T>(T(1), v.view().transposed(), x, T(0), projected.view());
    gemm<T>(T(1), transposed ? middle.transposed() : middle, projected.view(), T(0), combined.view());
    gemm<T>(T(-1), v.view(), combined.view(), T(1), x);
  }
};

// Columns that LAPACK, which cannot be interrupted, gets at a time.
constexpr std::ptrdiff_t reflector_block = 32;

// a·P = QR with the largest remaining column next (Quintana-Ortí, Sun and Bischof, SIAM J. Sci. Comput. 19,
// 1998); pivots[j] is the column that comes to place j.
template <class T>
void factor_with_pivots(Dense<T>& a, Buffer<T>& tau, std::vector<int>& pivots) {
  const std::ptrdiff_t k = std::min(a.rows, a.cols);
  pivots.resize(static_cast<std::size_t>(a.cols));
  std::iota(pivots.begin(), pivots.end(), 0);
  std::vector<T> norms(static_cast<std::size_t>(a.cols)), first_norms, products(reflector_block),
      panel(static_cast<std::size_t>(a.cols * reflector_block));
  for (std::ptrdiff_t j = 0; j < a.cols; ++j) norms[static_cast<std::size_t>(j)] = column_norm(a, j);
  first_norms = norms;
  int m = lapack_int(a.rows), ld = a.ld(), ldf = lapack_int(a.cols);
  for (std::ptrdiff_t done = 0; done < k;) {
    int n = lapack_int(a.cols - done), offset = lapack_int(done), reduced = 0;
    int wanted = lapack_int(std::min(reflector_block, k - done));
    lapack<T>().laqps(&m, &n, &offset, &wanted, &reduced, a.col(done), &ld, pivots.data() + done,
                      tau.data() + done, norms.data() + done, first_norms.data() + done, products.data(),
                      panel.data(), &ldf);
    done += reduced;
    check_interrupted();
  }
}

// R (min(rows, cols) × cols) of a = QR; `a` and `tau` keep Q as reflectors. With `pivots`, columns are
// exchanged and pivots[j] (from 0) tells which one came to place j.
template <class T>
Dense<T> qr_reflectors(Dense<T>& a, Buffer<T>& tau, std::vector<int>* pivots = nullptr) {
  const std::ptrdiff_t k = std::min(a.rows, a.cols);
  Dense<T> r = Dense<T>::zeros(k, a.cols);
  tau.resize(static_cast<std::size_t>(k));
  int ld = a.ld();
  if (pivots) {
    factor_with_pivots(a, tau, *pivots);
  } else {
    for (std::ptrdiff_t first = 0; first < k; first += reflector_block) {
      const std::ptrdiff_t width = std::min(reflector_block, k - first), end = first + width;
      int below = lapack_int(a.rows - first), count = lapack_int(width);
      with_workspace<T>("geqrf", [&](T* work, int* lwork, int* info) {
        lapack<T>().geqrf(&below, &count, a.col(first) + first, &ld, tau.data() + first, work, lwork, info);
      });
      check_interrupted();
      if (end == a.cols) break;
      BlockReflector<T>(a, tau.data(), first, width, 0)
          .apply(a.view().block(first, end, a.rows - first, a.cols - end), true);
    }
  }
  for (std::ptrdiff_t j = 0; j < a.cols; ++j) std::copy_n(a.col(j), std::min(j + 1, k), r.col(j));
  return r;
}

// The reflectors become the columns of Q.
template <class T>
void form_q(Dense<T>& a, Buffer<T>& tau) {
  const auto k = static_cast<std::ptrdiff_t>(tau.size());
  for (std::ptrdiff_t first = (k - 1) / reflector_block * reflector_block; k > 0 && first >= 0;
       first -= reflector_block) {
    const std::ptrdiff_t width = std::min(reflector_block, k - first), end = first + width;
    const BlockReflector<T> block(a, tau.data(), first, width, 0);
    for (std::ptrdiff_t j = first; j < k; ++j) {
      // Above lie the rows of R that earlier blocks clear.
      std::fill(a.col(j) + first, j < end ? a.col(j) + a.rows : a.col(j) + end, T(0));
      if (j < end) a(j, j) = T(1);
    }
    block.apply(a.view().block(first, first, a.rows - first, k - first), false);
  }
}

// b ← b·R⁻¹ by substitution, R upper triangular by columns.
template <class T>
void divide_by_upper(MatrixView<const T> r, Dense<T>& b) {
  constexpr std::ptrdiff_t at_once = 256;  // rows that LAPACK, which cannot be interrupted, gets at a time
  char right = 'R', upper = 'U', plain = 'N';
  int n = lapack_int(b.cols), ld = b.ld(), ldr = lapack_int(std::max<std::ptrdiff_t>(1, r.col_stride));
  T one = 1;
  for (std::ptrdiff_t first = 0; first < b.rows; first += at_once) {
    int rows = lapack_int(std::min(at_once, b.rows - first));
    lapack<T>().trsm(&right, &upper, &plain, &plain, &rows, &n, &one, const_cast<T*>(r.data), &ldr,
                     b.data() + first, &ld);
    check_interrupted();
  }
}

// R of a = QR; `a` becomes Q (rows × min(rows, cols)) in its leading columns.
template <class T>
Dense<T> qr(Dense<T>& a) {
  Buffer<T> tau;
  Dense<T> r = qr_reflectors(a, tau);
  form_q(a, tau);
  return r;
}

// R alone; `a` is spent.
template <class T>
Dense<T> triangular_factor(Dense<T>& a) {
  Buffer<T> tau;
  return qr_reflectors(a, tau);
}

// Singular values, descending, of a square matrix; `vt` receives the right vectors as rows.
template <class T>
std::vector<T> right_svd(Dense<T>& a, Dense<T>& vt) {
  std::vector<T> values(static_cast<std::size_t>(a.cols));
  vt = Dense<T>(a.cols, a.cols);
  if (a.cols == 0) return values;
  Dense<T> u(a.rows, a.rows);
  char all = 'A';
  int m = lapack_int(a.rows), n = lapack_int(a.cols), ld = a.ld(), ldu = u.ld(), ldvt = vt.ld();
  std::vector<int> iwork(static_cast<std::size_t>(8 * a.cols));
  with_workspace<T>("gesdd", [&](T* work, int* lwork, int* info) {
    lapack<T>().gesdd(&all, &m, &n, a.data(), &ld, values.data(), u.data(), &ldu, vt.data(), &ldvt, work,
                      lwork, iwork.data(), info);
  });
  return values;
}

}  // namespace wavelens
