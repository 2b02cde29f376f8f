// Scaling of the stacked matrices: columns over powers of two, so that their units do not matter and no digit
// is touched.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "wavelens/matrix_view.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {

template <class T>
std::ptrdiff_t total_rows(const std::vector<MatrixView<const T>>& matrices) {
  std::ptrdiff_t rows = 0;
  for (const auto& each : matrices) rows += each.rows;
  return rows;
}

constexpr std::ptrdiff_t tile = 64;

// body(row range, column range) over the whole matrix, in tiles that suit both orders of storage; tasks own
// whole columns.
template <class Body>
void over_tiles(std::ptrdiff_t rows, std::ptrdiff_t cols, Body body) {
  parallel_ranges(cols, tile, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    for (std::ptrdiff_t i = 0; i < rows; i += tile) body(i, std::min(rows, i + tile), begin, end);
  });
}

// Column norms of the stack; `unit` (powers of two) divides the columns first.
template <class T>
std::vector<double> stack_norms(const std::vector<MatrixView<const T>>& matrices,
                                const std::vector<double>& weights, const std::vector<double>& unit) {
  const std::ptrdiff_t m = matrices[0].cols;
  std::vector<double> sums(static_cast<std::size_t>(m));
  for (std::size_t k = 0; k < matrices.size(); ++k) {
    const MatrixView<const T> d = matrices[k];
    over_tiles(d.rows, m, [&](std::ptrdiff_t i0, std::ptrdiff_t i1, std::ptrdiff_t j0, std::ptrdiff_t j1) {
      double partial[tile] = {};
      const auto add = [&](std::ptrdiff_t i, std::ptrdiff_t j) {
        const double x = weights[k] * static_cast<double>(d(i, j)) / unit[static_cast<std::size_t>(j)];
        partial[j - j0] += x * x;
      };
      if (std::abs(d.row_stride) < std::abs(d.col_stride)) {
        for (std::ptrdiff_t j = j0; j < j1; ++j) {
          for (std::ptrdiff_t i = i0; i < i1; ++i) add(i, j);
        }
      } else {
        for (std::ptrdiff_t i = i0; i < i1; ++i) {
          for (std::ptrdiff_t j = j0; j < j1; ++j) add(i, j);
        }
      }
      for (std::ptrdiff_t j = j0; j < j1; ++j) sums[static_cast<std::size_t>(j)] += partial[j - j0];
    });
  }
  for (double& each : sums) each = std::sqrt(each);
  return sums;
}

// The largest |weight·entry| of column j; where that is zero although an entry is not, the least double.
template <class T>
double largest_of_column(const std::vector<MatrixView<const T>>& matrices, const std::vector<double>& weights,
                         std::ptrdiff_t j) {
  double largest = 0;
  for (std::size_t k = 0; k < matrices.size(); ++k) {
    for (std::ptrdiff_t i = 0; i < matrices[k].rows; ++i) {
      const double x = std::abs(static_cast<double>(matrices[k](i, j)));
      if (!std::isfinite(x)) throw std::invalid_argument("the entries of the matrices must be finite");
      if (x > 0) largest = std::max({largest, weights[k] * x, std::numeric_limits<double>::denorm_min()});
    }
  }
  return largest;
}

inline double power_of_two_below(double x) { return std::ldexp(1.0, std::ilogb(x)); }

// Weights over a power of two that brings the largest to (1/2, 1]: products with them never overflow, and
// underflow only where they are faint beside the largest.
struct RelativeWeights {
  std::vector<double> values;
  int exponent = 0;  // of that power
};

inline RelativeWeights relative_weights(const std::vector<double>& weights) {
  RelativeWeights out;
  if (std::frexp(*std::max_element(weights.begin(), weights.end()), &out.exponent) == 0.5) --out.exponent;
  for (const double each : weights) out.values.push_back(std::ldexp(each, -out.exponent));
  return out;
}

// Powers of two that bring the columns' norms to [1, 2); 1 for a zero column. `held` lists the others.
// Refuses columns whose norm, times 2^exponent, T cannot hold: V could not either.
template <class T>
std::vector<T> column_scale(const std::vector<MatrixView<const T>>& matrices,
                            std::vector<std::ptrdiff_t>& held, const RelativeWeights& weights) {
  const std::size_t m = static_cast<std::size_t>(matrices[0].cols);
  std::vector<double> unit(m, 1.0);
  std::vector<double> norms = stack_norms(matrices, weights.values, unit);
  bool again = false;
  for (std::size_t j = 0; j < m; ++j) {  // squares that over- or underflow are taken again, scaled
    if (norms[j] > 1e-140 && norms[j] < 1e140) continue;
    const double largest = largest_of_column(matrices, weights.values, static_cast<std::ptrdiff_t>(j));
    if (largest == 0) continue;
    unit[j] = power_of_two_below(largest);
    again = true;
  }
  if (again) norms = stack_norms(matrices, weights.values, unit);
  std::vector<T> scale(m, T(1));
  for (std::size_t j = 0; j < m; ++j) {
    if (norms[j] == 0 && unit[j] == 1.0) continue;
    held.push_back(static_cast<std::ptrdiff_t>(j));
    const double power = norms[j] > 0 ? unit[j] * power_of_two_below(norms[j]) : 0;
    scale[j] = static_cast<T>(power);
    const T weighted = static_cast<T>(std::ldexp(power, weights.exponent));
    constexpr T limit = std::numeric_limits<T>::max() / 2;
    if (!(scale[j] > T(0) && scale[j] < limit && weighted > T(0) && weighted < limit)) {
      throw std::invalid_argument(
          "`weights` times the entries of `matrices` must stay within the range of their dtype, column " +
          std::to_string(j) + " does not: scale `matrices` or `weights`");
    }
  }
  if (held.empty())
    throw std::invalid_argument("every entry of the matrices is zero: there is nothing to decompose");
  return scale;
}

// The listed columns of w·D over their scales.
template <class T>
void scaled_copy(MatrixView<const T> d, double weight, const std::vector<T>& scale,
                 const std::vector<std::ptrdiff_t>& columns, MatrixView<T> out) {
  over_tiles(d.rows, out.cols,
             [&](std::ptrdiff_t i0, std::ptrdiff_t i1, std::ptrdiff_t j0, std::ptrdiff_t j1) {
               for (std::ptrdiff_t j = j0; j < j1; ++j) {
                 // Two factors: the quotient of a subnormal scale would overflow.
                 const std::ptrdiff_t from = columns[static_cast<std::size_t>(j)];
                 const T divisor = scale[static_cast<std::size_t>(from)];
                 const T factor = static_cast<T>(weight);
                 for (std::ptrdiff_t i = i0; i < i1; ++i) out(i, j) = d(i, from) / divisor * factor;
               }
             });
}

}  // namespace wavelens
