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

// R (min(rows, cols) × cols) of a = QR; `a` and `tau` keep Q as reflectors. With `pivots`, columns are
// exchanged and pivots[j] (from 0) tells which one came to place j.
template <class T>
Dense<T> qr_reflectors(Dense<T>& a, Buffer<T>& tau, std::vector<int>* pivots = nullptr) {
  const std::ptrdiff_t k = std::min(a.rows, a.cols);
  Dense<T> r = Dense<T>::zeros(k, a.cols);
  tau.resize(static_cast<std::size_t>(k));
  int m = lapack_int(a.rows), n = lapack_int(a.cols), ld = a.ld();
  if (pivots) {
    pivots->assign(static_cast<std::size_t>(a.cols), 0);
    with_workspace<T>("geqp3", [&](T* work, int* lwork, int* info) {
      lapack<T>().geqp3(&m, &n, a.data(), &ld, pivots->data(), tau.data(), work, lwork, info);
    });
    for (int& each : *pivots) --each;
  } else {
    with_workspace<T>("geqrf", [&](T* work, int* lwork, int* info) {
      lapack<T>().geqrf(&m, &n, a.data(), &ld, tau.data(), work, lwork, info);
    });
  }
  for (std::ptrdiff_t j = 0; j < a.cols; ++j) std::copy_n(a.col(j), std::min(j + 1, k), r.col(j));
  return r;
}

// The reflectors become the columns of Q.
template <class T>
void form_q(Dense<T>& a, Buffer<T>& tau) {
  int m = lapack_int(a.rows), k = lapack_int(static_cast<std::ptrdiff_t>(tau.size())), ld = a.ld();
  with_workspace<T>("orgqr", [&](T* work, int* lwork, int* info) {
    lapack<T>().orgqr(&m, &k, &k, a.data(), &ld, tau.data(), work, lwork, info);
  });
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
