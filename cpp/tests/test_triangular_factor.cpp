#include <cmath>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "wavelens/thread_pool.hpp"
#include "wavelens/triangular_factor.hpp"

using namespace wavelens;
using Index = std::ptrdiff_t;

namespace {

// Largest entry of RᵀR − AᵀA over the largest of AᵀA.
template <class T>
double gram_error(const std::vector<T>& r, const std::vector<T>& a, Index n, Index m) {
  double largest = 0, error = 0;
  for (Index j = 0; j < m; ++j) {
    for (Index k = 0; k <= j; ++k) {
      double of_a = 0, of_r = 0;
      for (Index i = 0; i < n; ++i)
        of_a += static_cast<double>(a[i * m + j]) * static_cast<double>(a[i * m + k]);
      for (Index i = 0; i < m; ++i)
        of_r += static_cast<double>(r[i + j * m]) * static_cast<double>(r[i + k * m]);
      largest = std::max(largest, std::abs(of_a));
      error = std::max(error, std::abs(of_a - of_r));
    }
  }
  return largest > 0 ? error / largest : error;
}

template <class T>
std::vector<T> factor(const std::vector<T>& a, Index n, Index m, Index chunk) {
  std::vector<T> r(static_cast<std::size_t>(m * m), T(0));
  for (Index first = 0; first < n; first += chunk) {
    const Index count = std::min(chunk, n - first);
    const MatrixView<const T> rows{a.data() + first * m, count, m, m, 1};
    triangular_factor_update<T, T>(column_major(r.data(), m, m), rows, false);
  }
  return r;
}

}  // namespace

TEST_CASE(chunks_give_the_factor_of_all_rows) {
  for (const Index m : {1, 7, 8, 33, 70, 150}) {
    for (const Index chunk : {1, 30, 400}) {
      const Index n = 200;
      const auto a = check::normal<double>(n * m, static_cast<unsigned>(m));
      const auto r = factor(a, n, m, chunk);
      CHECK(gram_error(r, a, n, m) < 1e-13);
      for (Index j = 0; j < m; ++j) {
        CHECK(r[static_cast<std::size_t>(j + j * m)] >= 0);
        for (Index i = j + 1; i < m; ++i) CHECK(r[static_cast<std::size_t>(i + j * m)] == 0);
      }
      const std::vector<float> single(a.begin(), a.end());
      CHECK(gram_error(factor(single, n, m, chunk), single, n, m) < 1e-4);
    }
  }
}

TEST_CASE(a_triangle_is_added_like_its_rows) {
  const Index m = 140;
  std::vector<double> upper = check::normal<double>(m * m, 3);
  for (Index j = 0; j < m; ++j) {
    for (Index i = j + 1; i < m; ++i) upper[static_cast<std::size_t>(i + j * m)] = 0;
  }
  std::vector<double> first = factor(check::normal<double>(200 * m, 4), 200, m, 200), second = first;
  const MatrixView<const double> rows{upper.data(), m, m, 1, m};
  triangular_factor_update<double, double>(column_major(first.data(), m, m), rows, true);
  triangular_factor_update<double, double>(column_major(second.data(), m, m), rows, false);
  for (std::size_t i = 0; i < first.size(); ++i) CHECK_NEAR(first[i], second[i], 1e-11);
}

TEST_CASE(zeros_bytes_and_threads) {
  const Index n = 300, m = 130;
  const std::vector<double> none(static_cast<std::size_t>(n * m), 0.0);
  for (const double each : factor(none, n, m, 100)) CHECK(each == 0);
  std::vector<unsigned char> bytes;
  for (const double each : check::normal<double>(n * m))
    bytes.push_back(static_cast<unsigned char>(100 + 20 * each));
  const std::vector<double> wide(bytes.begin(), bytes.end());
  const int before = num_threads();
  std::vector<double> r(static_cast<std::size_t>(m * m), 0.0);
  set_num_threads(1);
  triangular_factor_update<double, unsigned char>(column_major(r.data(), m, m), {bytes.data(), n, m, m, 1},
                                                  false);
  set_num_threads(3);
  CHECK(r == factor(wide, n, m, n));
  set_num_threads(before);
  CHECK_THROWS((triangular_factor_update<double, double>(column_major(r.data(), m, m),
                                                         {wide.data(), 5, 9, 9, 1}, false)),
               std::invalid_argument);
}
