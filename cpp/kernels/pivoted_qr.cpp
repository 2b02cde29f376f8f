// The dispatcher of the pivoted QR: checks, the method, R.

#include "wavelens/pivoted_qr.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "panel_qr.hpp"
#include "pivoted_qr_parts.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

template <class T>
Choice<T> choose(MatrixView<const T> a, Index k, double rtol, const PivotedQrOptions& options,
                 Scaling<T>& scaling, Monitor& monitor) {
  const bool with_q = options.with_q || options.with_r;
  if (options.method == PivotedQrMethod::sketch) {
    return choose_sketch(a, k, rtol, with_q, options.seed, scaling, monitor);
  }
  scale_matrix(a, column_norms(a), scaling);
  if (options.method == PivotedQrMethod::blocked) {
    return choose_blocked(scaling.matrix, k, rtol, options.seed, monitor);
  }
  if (options.method == PivotedQrMethod::strong) {
    return choose_strong(scaling.matrix, k, rtol, options.seed, monitor);
  }
  Choice<T> choice = choose_exact(scaling.matrix, k, rtol, monitor);
  return with_q ? with_basis(scaling.matrix, std::move(choice), options.seed, monitor) : choice;
}

// R = QᵀA with the pivots in front.
template <class T>
void fill_r(const ScaledMatrix<T>& a, const Choice<T>& choice, int exponent, PivotedQr<T>& result) {
  const Index n = a.view.rows, p = a.view.cols, rank = result.rank;
  result.r.resize(at(rank * p));
  const auto r = row_major(result.r.data(), rank, p);
  const MatrixView<const T> q = column_major(choice.q.data(), n, rank);
  gemm_columns<T>(a.factor, q.transposed(), a.view, result.permutation.data(), p, T(0), r);
  parallel_for(rank, [&](Index i) {
    for (Index j = 0; j < p; ++j) r(i, j) = std::ldexp(r(i, j), exponent);
    for (Index j = 0; j < i; ++j) r(i, j) = T(0);
    r(i, i) = result.r_diag[at(i)];
  });
}

}  // namespace

template <class T>
void gather_columns(const ScaledMatrix<T>& a, const Index* names, T factor, MatrixView<T> out) {
  parallel_ranges(out.rows, 512, [&](Index begin, Index end) {
    const bool by_rows = std::abs(a.view.col_stride) <= std::abs(a.view.row_stride);
    for (Index i0 = begin; i0 < end; i0 += 16) {
      const Index i1 = by_rows ? std::min(end, i0 + 16) : end;
      for (Index j = 0; j < out.cols; ++j) {
        for (Index i = i0; i < i1; ++i) out(i, j) = factor * a.view(i, names[j]);
      }
      if (!by_rows) break;
    }
  });
}

template <class T>
Choice<T> factor_columns(const ScaledMatrix<T>& a, const std::vector<Index>& pivots, std::uint64_t seed,
                         Monitor& monitor) {
  constexpr Index block_size = 128;
  const Index n = a.view.rows, k = static_cast<Index>(pivots.size());
  Choice<T> choice;
  choice.q.resize(at(n * k));
  Index done = 0;
  while (done < k) {
    const Index count = std::min(block_size, k - done);
    std::vector<T> entries(at(n * count));
    const auto panel = column_major(entries.data(), n, count);
    gather_columns(a, pivots.data() + done, a.factor, panel);
    const MatrixView<const T> basis{choice.q.data(), n, done, 1, n};
    const auto qr = panel_qr<T>(basis, panel, pivots.data() + done, 0.0, true, seed + at(done),
                                column_major(choice.q.data() + n * done, n, count));
    const auto kept = static_cast<Index>(qr.order.size());
    if (kept == 0) break;
    for (Index j = 0; j < kept; ++j) choice.r_diag.push_back(qr.r[at(j * kept + j)]);
    done += kept;
    monitor.tick(static_cast<double>(done) / static_cast<double>(k));
  }
  choice.pivots.assign(pivots.begin(), pivots.begin() + done);
  choice.q.resize(at(n * done));
  return choice;
}

template <class T>
Choice<T> with_basis(const ScaledMatrix<T>& a, Choice<T> choice, std::uint64_t seed, Monitor& monitor) {
  Choice<T> factored = factor_columns(a, choice.pivots, seed, monitor);
  choice.r_diag.resize(factored.pivots.size());
  factored.r_diag = std::move(choice.r_diag);
  return factored;
}

template <class T>
PivotedQr<T> pivoted_qr(MatrixView<const T> a, Index k, const PivotedQrOptions& options, Monitor& monitor) {
  if (k < 1 || k > std::min(a.rows, a.cols)) {
    throw std::invalid_argument("`k` must be between 1 and " + std::to_string(std::min(a.rows, a.cols)) +
                                " (the smaller dimension of `a`), got " + std::to_string(k));
  }
  Scaling<T> scaling;
  const double rtol = options.rtol >= 0 ? options.rtol
                                        : static_cast<double>(std::max(a.rows, a.cols)) *
                                              static_cast<double>(std::numeric_limits<T>::epsilon());
  Choice<T> choice = choose(a, k, rtol, options, scaling, monitor);

  PivotedQr<T> result;
  result.rank = static_cast<Index>(choice.pivots.size());
  result.permutation = std::move(choice.pivots);
  std::vector<bool> chosen(at(a.cols), false);
  for (const Index j : result.permutation) chosen[at(j)] = true;
  for (Index j = 0; j < a.cols; ++j) {
    if (!chosen[at(j)]) result.permutation.push_back(j);
  }
  for (const T length : choice.r_diag) result.r_diag.push_back(std::ldexp(length, scaling.exponent));
  if (options.with_r) fill_r(scaling.matrix, choice, scaling.exponent, result);
  if (options.with_q) result.q = std::move(choice.q);
  return result;
}

#define WAVELENS_INSTANTIATE(T)                                                                       \
  template void gather_columns(const ScaledMatrix<T>&, const Index*, T, MatrixView<T>);               \
  template Choice<T> factor_columns(const ScaledMatrix<T>&, const std::vector<Index>&, std::uint64_t, \
                                    Monitor&);                                                        \
  template Choice<T> with_basis(const ScaledMatrix<T>&, Choice<T>, std::uint64_t, Monitor&);          \
  template PivotedQr<T> pivoted_qr(MatrixView<const T>, Index, const PivotedQrOptions&, Monitor&);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
