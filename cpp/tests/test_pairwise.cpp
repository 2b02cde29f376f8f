#include <cmath>
#include <cstdint>
#include <limits>

#include "check.hpp"
#include "distance_leaves.hpp"
#include "wavelens/isa.hpp"
#include "wavelens/pairwise.hpp"
#include "wavelens/thread_pool.hpp"

using namespace wavelens;

namespace {

template <class T>
double true_square(MatrixView<const T> x, std::ptrdiff_t i, MatrixView<const T> y, std::ptrdiff_t j) {
  double sum = 0;
  for (std::ptrdiff_t p = 0; p < x.cols; ++p) {
    const double difference = static_cast<double>(x(i, p)) - static_cast<double>(y(j, p));
    sum += difference * difference;
  }
  return sum;
}

template <class T>
std::vector<T> shifted(std::ptrdiff_t n, unsigned seed, T by) {
  auto x = check::normal<T>(n, seed);
  for (T& entry : x) entry += by;
  return x;
}

// The largest relative error of distances between x (every second row) and y (by columns).
template <class T>
double distance_error(std::ptrdiff_t n, std::ptrdiff_t m, std::ptrdiff_t k, T offset) {
  Monitor monitor;
  const auto a = shifted<T>(2 * n * k, 1, offset), b = shifted<T>(m * k, 2, offset);
  const MatrixView<const T> x{a.data(), n, k, 2 * k, 1};
  const MatrixView<const T> y{b.data(), m, k, 1, m};
  std::vector<T> out(static_cast<std::size_t>(n * m));
  const auto d = column_major(out.data(), n, m);
  pairwise_distances<T>(x, &y, Distance::euclidean, nullptr, d, monitor);
  double worst = 0;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    for (std::ptrdiff_t j = 0; j < m; ++j) {
      const double expected = std::sqrt(true_square(x, i, y, j));
      worst = std::max(worst, std::abs(d(i, j) - expected) / expected);
    }
  }
  return worst;
}

template <class T>
struct Results {
  std::vector<T> similarity, distances;
  std::vector<double> sums;
  std::vector<std::int64_t> indices;
  bool operator==(const Results& other) const {
    return similarity == other.similarity && distances == other.distances && sums == other.sums &&
           indices == other.indices;
  }
};

template <class T>
Results<T> everything(MatrixView<const T> x, Neighbours of) {
  Monitor monitor;
  const std::ptrdiff_t n = x.rows, k = 4;
  const std::vector<double> factors(static_cast<std::size_t>(n), 0.2);
  std::vector<std::int64_t> classes;
  for (std::ptrdiff_t i = 0; i < n; ++i) classes.push_back(i * 7 % 3);
  Results<T> r;
  r.similarity.resize(static_cast<std::size_t>(n * n));
  r.sums.resize(static_cast<std::size_t>(n * 3));
  r.indices.resize(static_cast<std::size_t>(n * k));
  r.distances.resize(static_cast<std::size_t>(n * k));
  gaussian_similarity<T>(x, nullptr, factors.data(), factors.data(), row_major(r.similarity.data(), n, n),
                         monitor);
  class_sums<T>(x, nullptr, classes.data(), factors.data(), factors.data(), true,
                row_major(r.sums.data(), n, 3), monitor);
  k_nearest<T>(x, nullptr, k, of, classes.data(), classes.data(), nullptr, row_major(r.indices.data(), n, k),
               row_major(r.distances.data(), n, k), monitor);
  return r;
}

double largest_difference(std::ptrdiff_t n, const double* x, const double* y) {
  double largest = 0;
  for (std::ptrdiff_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

struct Impatient : Monitor {
  void tick(double) override { throw Interrupted(); }
};

}  // namespace

TEST_CASE(exponentials_are_exact_to_an_ulp_on_every_instruction_set) {
  for (const Isa each : available_isas()) {
    set_isa(isa_name(each));
    const std::ptrdiff_t n = 48 * 1024;
    std::vector<double> squares, ones(static_cast<std::size_t>(n), 1.0);
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      const double step = static_cast<double>(i);
      squares.push_back(i % 2 ? step * step * 3.3e-7 : step * 1e-4);
    }
    std::vector<double> d(squares.size());
    std::vector<float> s(squares.size());
    distance_leaf<double>().gaussian(squares.data(), ones.data(), 1.0, d.data(), n);
    distance_leaf<float>().gaussian(squares.data(), ones.data(), 1.0, s.data(), n);
    double worst_d = 0, worst_s = 0;
    for (std::size_t i = 0; i < squares.size(); ++i) {
      const long double exact = std::exp(-static_cast<long double>(squares[i]));
      const auto double_ulp = std::max(
          std::numeric_limits<double>::denorm_min(),
          std::ldexp(std::numeric_limits<double>::epsilon(), std::ilogb(static_cast<double>(exact))));
      const auto float_ulp =
          std::max(std::numeric_limits<float>::denorm_min(),
                   std::ldexp(std::numeric_limits<float>::epsilon(), std::ilogb(static_cast<float>(exact))));
      worst_d = std::max(worst_d, static_cast<double>(std::abs(exact - d[i]) / double_ulp));
      worst_s = std::max(worst_s, static_cast<double>(std::abs(exact - s[i]) / float_ulp));
    }
    CHECK_NEAR(worst_d, 0, 1.5);
    CHECK_NEAR(worst_s, 0, 1.0);
    CHECK(d[0] == 1.0 && s[0] == 1.0F);
  }
  set_isa(isa_name(available_isas().back()));
}

TEST_CASE(distances_keep_their_relative_accuracy_at_any_offset_on_every_instruction_set) {
  const std::ptrdiff_t shapes[][3] = {{1, 1, 1}, {5, 7, 3}, {50, 130, 40}, {70, 20, 1700}, {1160, 30, 20}};
  for (const Isa each : available_isas()) {
    set_isa(isa_name(each));
    for (const auto& [n, m, k] : shapes) {
      for (const double offset : {0.0, 100.0}) {
        CHECK_NEAR(distance_error<float>(n, m, k, static_cast<float>(offset)), 0, 5e-7);
        CHECK_NEAR(distance_error<double>(n, m, k, offset), 0, 2e-14);
      }
    }
  }
  set_isa(isa_name(available_isas().back()));
}

TEST_CASE(threads_change_no_bit_and_symmetry_is_exact) {
  const std::ptrdiff_t n = 1301, k = 33;
  const auto a = shifted<float>(n * k, 3, 100);
  const auto b = shifted<double>(n * k, 3, 100);
  for (const auto of : {Neighbours::any, Neighbours::other, Neighbours::same}) {
    set_num_threads(1);
    const auto one = everything<float>(row_major(a.data(), n, k), of);
    const auto one_d = everything<double>(row_major(b.data(), n, k), of);
    set_num_threads(3);
    CHECK(one == everything<float>(row_major(a.data(), n, k), of));
    CHECK(one_d == everything<double>(row_major(b.data(), n, k), of));
    bool symmetric = true;
    for (std::ptrdiff_t i = 0; i < n; ++i) {
      for (std::ptrdiff_t j = 0; j < n; ++j) {
        symmetric &= one.similarity[static_cast<std::size_t>(i * n + j)] ==
                     one.similarity[static_cast<std::size_t>(j * n + i)];
      }
    }
    CHECK(symmetric);
  }
}

TEST_CASE(class_sums_are_the_row_sums_of_the_matrix_without_its_diagonal) {
  const std::ptrdiff_t n = 1700, k = 5;
  const auto a = check::normal<double>(n * k, 4);
  const auto r = everything<double>(row_major(a.data(), n, k), Neighbours::any);
  double worst = 0;
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    double sums[3] = {};
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      if (j != i) sums[j * 7 % 3] += r.similarity[static_cast<std::size_t>(i * n + j)];
    }
    for (int c = 0; c < 3; ++c) {
      worst = std::max(worst, std::abs(sums[c] - r.sums[static_cast<std::size_t>(i * 3 + c)]));
    }
  }
  CHECK_NEAR(worst, 0, 1e-10);
}

TEST_CASE(equal_rows_are_neighbours_in_the_order_of_their_indices) {
  const std::ptrdiff_t n = 900, k = 4;
  const std::vector<float> same(static_cast<std::size_t>(n * 3), 7.5F);
  const auto r = everything<float>(row_major(same.data(), n, 3), Neighbours::any);
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    for (std::ptrdiff_t c = 0; c < k; ++c) {
      CHECK(r.indices[static_cast<std::size_t>(i * k + c)] == (c < i ? c : c + 1));
      CHECK(r.distances[static_cast<std::size_t>(i * k + c)] == 0.0F);
    }
  }
}

TEST_CASE(a_metric_runs_in_the_same_tiles) {
  Monitor monitor;
  const std::ptrdiff_t n = 300, k = 6;
  const auto a = check::normal<double>(n * k, 5);
  const MatrixView<const double> by_columns{a.data(), n, k, 1, n};
  std::vector<double> out(static_cast<std::size_t>(n * n));
  const auto d = row_major(out.data(), n, n);
  pairwise_distances<double>(by_columns, nullptr, Distance::euclidean, largest_difference, d, monitor);
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      double expected = 0;
      for (std::ptrdiff_t p = 0; p < k; ++p) {
        expected = std::max(expected, std::abs(by_columns(i, p) - by_columns(j, p)));
      }
      CHECK(d(i, j) == expected);
    }
  }
  const auto nothing = [](std::ptrdiff_t, const double*, const double*) { return std::nan(""); };
  CHECK_THROWS((pairwise_distances<double>(by_columns, nullptr, Distance::euclidean, nothing, d, monitor), 0),
               std::invalid_argument);
}

TEST_CASE(a_monitor_stops_the_work) {
  Impatient monitor;
  const auto a = check::normal<double>(40, 6);
  std::vector<double> out(100);
  CHECK_THROWS((pairwise_distances<double>(row_major(a.data(), 10, 4), nullptr, Distance::euclidean, nullptr,
                                           row_major(out.data(), 10, 10), monitor),
                0),
               Interrupted);
}
