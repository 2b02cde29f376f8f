// Column norms, the search for NaN and the choice of a scale, in one pass over the matrix.

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "pivoted_qr_parts.hpp"
#include "wavelens/finite.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

template <class T>
[[noreturn]] void throw_nonfinite(MatrixView<const T> a) {
  const auto place = first_nonfinite(a);
  const auto [row, column] = place.value_or(std::make_pair(Index{0}, Index{0}));
  const T entry = a(row, column);
  throw std::domain_error(std::string("`a` must be finite, got ") +
                          (std::isnan(entry) ? "nan"
                           : entry > 0       ? "inf"
                                             : "-inf") +
                          " at row " + std::to_string(row) + ", column " + std::to_string(column));
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

}  // namespace

template <class T>
void sum_squares(MatrixView<const T> a, Index begin, Index end, double* sums) {
  std::fill(sums, sums + (end - begin), 0.0);
  if (std::abs(a.col_stride) <= std::abs(a.row_stride)) {
    for (Index i = 0; i < a.rows; ++i) {
      const T* row = &a(i, begin);
      if (a.col_stride == 1) {
        for (Index j = 0; j < end - begin; ++j)
          sums[j] += static_cast<double>(row[j]) * static_cast<double>(row[j]);
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
std::vector<Norm> norms_of(MatrixView<const T> a, const double* sums) {
  std::vector<Norm> norms(at(a.cols));
  parallel_ranges(a.cols, 256, [&](Index begin, Index end) {
    for (Index j = begin; j < end; ++j) {
      norms[at(j)] =
          sums[j] > 0x1p-900 && sums[j] < 0x1p1000 ? Norm{std::sqrt(sums[j]), 0} : careful_norm(a, j);
    }
  });
  return norms;
}

template <class T>
std::vector<Norm> column_norms(MatrixView<const T> a) {
  std::vector<double> sums(at(a.cols));
  parallel_ranges(a.cols, 256,
                  [&](Index begin, Index end) { sum_squares(a, begin, end, sums.data() + begin); });
  return norms_of(a, sums.data());
}

int scaling_exponent(const std::vector<Norm>& norms) {
  int exponent = std::numeric_limits<int>::min();
  for (const Norm& norm : norms) {
    if (norm.fraction > 0) exponent = std::max(exponent, std::ilogb(norm.fraction) + norm.exponent);
  }
  return exponent == std::numeric_limits<int>::min() ? 0 : exponent;
}

template <class T>
void scale_matrix(MatrixView<const T> a, const std::vector<Norm>& norms, Scaling<T>& scaling) {
  const int exponent = scaling_exponent(norms);
  scaling.exponent = exponent;
  for (const Norm& norm : norms) {
    scaling.matrix.norms.push_back(std::ldexp(norm.fraction, norm.exponent - exponent));
  }
  if (scalable<T>(exponent)) {
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

#define WAVELENS_INSTANTIATE(T)                                            \
  template void sum_squares(MatrixView<const T>, Index, Index, double*);   \
  template std::vector<Norm> norms_of(MatrixView<const T>, const double*); \
  template std::vector<Norm> column_norms(MatrixView<const T>);            \
  template void scale_matrix(MatrixView<const T>, const std::vector<Norm>&, Scaling<T>&);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
