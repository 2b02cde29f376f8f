#include "wavelens/finite.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

constexpr std::ptrdiff_t longest = 65536;  // entries between two looks at the monitor

// x − x is 0 where x is finite and NaN elsewhere; a sum of such differences vectorises, a branch does not.
template <class T>
bool all_finite(const T* x, std::ptrdiff_t n, std::ptrdiff_t stride) {
  T sums[8] = {};
  std::ptrdiff_t i = 0;
  if (stride == 1) {
    for (; i + 8 <= n; i += 8) {
      for (int lane = 0; lane < 8; ++lane) sums[lane] += x[i + lane] - x[i + lane];
    }
  }
  T sum = 0;
  for (; i < n; ++i) sum += x[i * stride] - x[i * stride];
  for (const T lane : sums) sum += lane;
  return sum == T(0);
}

}  // namespace

template <class T>
std::optional<std::pair<std::ptrdiff_t, std::ptrdiff_t>> first_nonfinite(MatrixView<const T> a) {
  // Walk along the smaller stride; where columns are the contiguous ones the first bad row is the least of
  // them.
  const bool by_column = std::abs(a.row_stride) < std::abs(a.col_stride);
  const MatrixView<const T> lines = by_column ? a.transposed() : a;
  std::atomic<bool> clean{true};
  const std::ptrdiff_t grain = std::max<std::ptrdiff_t>(1, 65536 / std::max<std::ptrdiff_t>(1, lines.cols));
  parallel_ranges(lines.rows, grain, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    for (std::ptrdiff_t i = begin; i < end && clean.load(std::memory_order_relaxed); ++i) {
      for (std::ptrdiff_t j = 0; j < lines.cols; j += longest) {
        const T* const from = lines.data + i * lines.row_stride + j * lines.col_stride;
        if (!all_finite(from, std::min(longest, lines.cols - j), lines.col_stride)) clean.store(false);
        check_interrupted();
      }
    }
  });
  if (clean.load()) return std::nullopt;
  for (std::ptrdiff_t i = 0; i < a.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < a.cols; ++j) {
      if (!std::isfinite(a(i, j))) return std::make_pair(i, j);
      if (j % longest == 0) check_interrupted();
    }
  }
  return std::nullopt;
}

template std::optional<std::pair<std::ptrdiff_t, std::ptrdiff_t>> first_nonfinite(MatrixView<const float>);
template std::optional<std::pair<std::ptrdiff_t, std::ptrdiff_t>> first_nonfinite(MatrixView<const double>);

}  // namespace wavelens
