#include <cmath>
#include <vector>

#include "check.hpp"
#include "wavelens/row_sketch.hpp"
#include "wavelens/thread_pool.hpp"

using namespace wavelens;
using Index = std::ptrdiff_t;

namespace {

template <class T>
std::vector<T> sums_of(const std::vector<T>& a, Index n, Index p, Index d, Index chunk,
                       std::uint64_t first = 0) {
  std::vector<T> sums(static_cast<std::size_t>(row_sketch_slabs<T>(p) * d * row_sketch_slab<T>), T(0));
  for (Index i = 0; i < n; i += chunk) {
    const MatrixView<const T> rows{a.data() + i * p, std::min(chunk, n - i), p, p, 1};
    row_sketch_add<T, T>(rows, first + static_cast<std::uint64_t>(i), 5, d, 0, sums.data());
  }
  return sums;
}

template <class T>
void check_one_row() {
  const Index p = 100, d = 24;
  const std::vector<T> row(static_cast<std::size_t>(p), T(3));
  const std::vector<T> sums = sums_of(row, 1, p, d, 1, std::uint64_t(1) << 40U);
  std::vector<T> s(static_cast<std::size_t>(d * p));
  row_sketch_matrix<T>(sums.data(), d, T(1), row_major(s.data(), d, p));
  for (Index j = 0; j < p; ++j) {
    for (Index eighth = 0; eighth < 8; ++eighth) {
      int found = 0;
      for (Index i = eighth * 3; i < eighth * 3 + 3; ++i)
        found += std::abs(s[static_cast<std::size_t>(i * p + j)]) == T(3);
      CHECK(found == 1);
    }
  }
}

}  // namespace

TEST_CASE(a_row_goes_once_into_each_eighth) {
  check_one_row<float>();
  check_one_row<double>();
}

TEST_CASE(neither_chunks_nor_threads_nor_strides_change_a_bit) {
  const Index n = 2500, p = 90, d = 16;
  const auto a = check::normal<double>(n * p);
  const auto whole = sums_of(a, n, p, d, n);
  const int before = num_threads();
  set_num_threads(3);
  CHECK(whole == sums_of(a, n, p, d, 37));
  set_num_threads(before);
  std::vector<double> turned(a.size()), sums(whole.size(), 0.0);
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < p; ++j)
      turned[static_cast<std::size_t>(i + j * n)] = a[static_cast<std::size_t>(i * p + j)];
  }
  row_sketch_add<double, double>({turned.data(), n, p, 1, n}, 0, 5, d, 0, sums.data());
  CHECK(sums == whole);
}

TEST_CASE(squares_are_summed) {
  const Index n = 70, p = 65;
  const auto a = check::normal<float>(n * p);
  std::vector<double> squares(static_cast<std::size_t>(p), 1.0);
  row_sketch_squares<float, float>({a.data(), n, p, p, 1}, squares.data());
  for (Index j = 0; j < p; ++j) {
    double sum = 1;
    for (Index i = 0; i < n; ++i) {
      const auto x = static_cast<double>(a[static_cast<std::size_t>(i * p + j)]);
      sum += x * x;
    }
    CHECK_NEAR(squares[static_cast<std::size_t>(j)], sum, 1e-9);
  }
}
