// The dispatcher of the pivoted QR: checks, scaling, the method, R.

#include "wavelens/pivoted_qr.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "panel_qr.hpp"
#include "pivoted_qr_parts.hpp"
#include "wavelens/finite.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// A norm as fraction·2^exponent: it may lie beyond the range of double.
struct Norm {
  double fraction = 0;
  int exponent = 0;
};

template <class T>
[[noreturn]] void throw_nonfinite(MatrixView<const T> a) {
  const auto place = first_nonfinite(a);
  const auto [row, column] = place.value_or(std::make_pair(Index{0}, Index{0}));
  const T entry = a(row, column);
  throw std::domain_error(std::string("`a` must be finite, got ") +
                          (std::isnan(entry) ? "nan" : entry > 0 ? "inf" : "-inf") + " at row " +
                          std::to_string(row) + ", column " + std::to_string(column));
}

// Sums of squares of columns [begin, end), in double, in the order of the rows whatever the strides.
template <class T>
void sum_squares(MatrixView<const T> a, Index begin, Index end, double* sums) {
  std::fill(sums, sums + (end - begin), 0.0);
  if (std::abs(a.col_stride) <= std::abs(a.row_stride)) {
    for (Index i = 0; i < a.rows; ++i) {
      const T* row = &a(i, begin);
      if (a.col_stride == 1) {
        for (Index j = 0; j < end - begin; ++j) sums[j] += static_cast<double>(row[j]) * static_cast<double>(row[j]);
      } else {
        for (Index j = 0; j < end - begin; ++j) {
          const auto x = static_cast<double>(row[j * a.col_stride]);
          sums[j] += x * x;
        }
      }
    }
    return;
  }
  // Four columns at a time: four sums that don't wait for one another.
  Index j = 0;
  for (; j + 4 <= end - begin; j += 4) {
    const T* first = &a(0, begin + j);
    double four[4] = {};
    for (Index i = 0; i < a.rows; ++i) {
      for (int c = 0; c < 4; ++c) {
        const auto x = static_cast<double>(first[i * a.row_stride + c * a.col_stride]);
        four[c] += x * x;
      }
    }
    std::copy(four, four + 4, sums + j);
  }
  for (; j < end - begin; ++j) {
    for (Index i = 0; i < a.rows; ++i) {
      const auto x = static_cast<double>(a(i, begin + j));
      sums[j] += x * x;
    }
  }
}

template <class T>
Norm careful_norm(MatrixView<const T> a, Index j) {
  double largest = 0;
  for (Index i = 0; i < a.rows; ++i) {
    const double x = std::abs(static_cast<double>(a(i, j)));
    if (!std::isfinite(x)) throw_nonfinite(a);
    largest = std::max(largest, x);
  }
  if (largest == 0) return {};
  const int exponent = std::ilogb(largest);
  double sum = 0;
  for (Index i = 0; i < a.rows; ++i) {
    const double x = std::ldexp(static_cast<double>(a(i, j)), -exponent);
    sum += x * x;
  }
  return {std::sqrt(sum), exponent};
}

// The norms of all columns in one pass that also finds NaN and infinities.
template <class T>
std::vector<Norm> column_norms(MatrixView<const T> a) {
  std::vector<Norm> norms(at(a.cols));
  constexpr Index grain = 256;
  parallel_ranges(a.cols, grain, [&](Index begin, Index end) {
    double sums[grain];
    sum_squares(a, begin, end, sums);
    for (Index j = begin; j < end; ++j) {
      const double sum = sums[j - begin];
      norms[at(j)] = sum > 0x1p-900 && sum < 0x1p1000 ? Norm{std::sqrt(sum), 0} : careful_norm(a, j);
    }
  });
  return norms;
}

// The scaled matrix, and the copy it reads where the caller's numbers are too large or small to be scaled while
// they are read.
template <class T>
struct Scaling {
  ScaledMatrix<T> matrix;
  int exponent = 0;
  std::vector<T> copy;
};

template <class T>
void scale_matrix(MatrixView<const T> a, Scaling<T>& scaling) {
  const std::vector<Norm> norms = column_norms(a);
  int exponent = std::numeric_limits<int>::min();
  for (const Norm& norm : norms) {
    if (norm.fraction > 0) exponent = std::max(exponent, std::ilogb(norm.fraction) + norm.exponent);
  }
  if (exponent == std::numeric_limits<int>::min()) exponent = 0;
  scaling.exponent = exponent;
  for (const Norm& norm : norms) {
    scaling.matrix.norms.push_back(std::ldexp(norm.fraction, norm.exponent - exponent));
  }
  const int safe = std::numeric_limits<T>::max_exponent / 3;
  if (std::abs(exponent) <= safe) {
    scaling.matrix.view = a;
    scaling.matrix.factor = std::ldexp(T(1), -exponent);
    return;
  }
  scaling.copy.resize(at(a.rows * a.cols));
  const auto copy = row_major(scaling.copy.data(), a.rows, a.cols);
  parallel_for(a.rows, [&](Index i) {
    for (Index j = 0; j < a.cols; ++j) copy(i, j) = std::ldexp(a(i, j), -exponent);
  });
  scaling.matrix.view = copy;
  scaling.matrix.factor = T(1);
}

template <class T>
Choice<T> choose(const ScaledMatrix<T>& a, Index k, double rtol, const PivotedQrOptions& options, Monitor& monitor) {
  const bool with_q = options.with_q || options.with_r;
  switch (options.method) {
    case PivotedQrMethod::blocked:
      return choose_blocked(a, k, rtol, options.seed, monitor);
    case PivotedQrMethod::exact:
      break;
  }
  Choice<T> choice = choose_exact(a, k, rtol, monitor);
  if (with_q) {
    std::vector<T> r_diag = std::move(choice.r_diag);
    choice = factor_columns(a, choice.pivots, options.seed, monitor);
    r_diag.resize(choice.pivots.size());
    choice.r_diag = std::move(r_diag);
  }
  return choice;
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
PivotedQr<T> pivoted_qr(MatrixView<const T> a, Index k, const PivotedQrOptions& options, Monitor& monitor) {
  if (k < 1 || k > std::min(a.rows, a.cols)) {
    throw std::invalid_argument("`k` must be between 1 and " + std::to_string(std::min(a.rows, a.cols)) +
                                " (the smaller dimension of `a`), got " + std::to_string(k));
  }
  Scaling<T> scaling;
  scale_matrix(a, scaling);
  const double rtol = options.rtol >= 0 ? options.rtol
                                        : static_cast<double>(std::max(a.rows, a.cols)) *
                                              static_cast<double>(std::numeric_limits<T>::epsilon());
  Choice<T> choice = choose(scaling.matrix, k, rtol, options, monitor);

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

#define WAVELENS_INSTANTIATE(T)                                                                                   \
  template void gather_columns(const ScaledMatrix<T>&, const Index*, T, MatrixView<T>);                           \
  template Choice<T> factor_columns(const ScaledMatrix<T>&, const std::vector<Index>&, std::uint64_t, Monitor&);  \
  template PivotedQr<T> pivoted_qr(MatrixView<const T>, Index, const PivotedQrOptions&, Monitor&);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
