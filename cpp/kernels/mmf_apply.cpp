#include <algorithm>
#include <stdexcept>
#include <vector>

#include "wavelens/mmf.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;
constexpr Index width = 64;  // columns at a time

}  // namespace

void mmf_apply(MatrixView<const Index> tuples, const double* rotations, MatrixView<double> x,
               bool transpose) {
  const Index k = tuples.cols, levels = tuples.rows;
  for (Index l = 0; l < levels; ++l) {
    for (Index j = 0; j < k; ++j) {
      if (tuples(l, j) < 0 || tuples(l, j) >= x.rows)
        throw std::invalid_argument("an index of `tuples` is out of range");
    }
  }
  parallel_ranges(x.cols, width, [&](Index begin, Index end) {
    const Index count = end - begin;
    std::vector<double> before(k * count);
    for (Index step = 0; step < levels; ++step) {
      const Index l = transpose ? levels - 1 - step : step;
      const double* o = rotations + l * k * k;
      for (Index i = 0; i < k; ++i) {
        for (Index c = 0; c < count; ++c) before[i * count + c] = x(tuples(l, i), begin + c);
      }
      for (Index i = 0; i < k; ++i) {
        for (Index c = 0; c < count; ++c) {
          double sum = 0;
          for (Index j = 0; j < k; ++j)
            sum += (transpose ? o[j * k + i] : o[i * k + j]) * before[j * count + c];
          x(tuples(l, i), begin + c) = sum;
        }
      }
    }
  });
}

}  // namespace wavelens
