#include <cmath>
#include <stdexcept>

#include "check.hpp"
#include "dense.hpp"
#include "triangular.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/ho_gsvd.hpp"

using namespace wavelens;
using Index = std::ptrdiff_t;

namespace {

template <class T>
Dense<T> random_matrix(Index rows, Index cols, unsigned seed) {
  Dense<T> out(rows, cols);
  const std::vector<T> x = check::normal<T>(rows * cols, seed);
  std::copy(x.begin(), x.end(), out.entries.begin());
  return out;
}

template <class T>
std::vector<MatrixView<const T>> views(const std::vector<Dense<T>>& matrices) {
  std::vector<MatrixView<const T>> out;
  for (const auto& each : matrices) out.push_back(each.view());
  return out;
}

template <class T>
HoGsvd<T> decompose(const std::vector<Dense<T>>& matrices, const HoGsvdOptions& options = {}) {
  Monitor monitor;
  return ho_gsvd(views(matrices), options, monitor);
}

// Largest entry of D_i − U_iΣ_iVᵀ.
template <class T>
double error(const HoGsvd<T>& d, const std::vector<Dense<T>>& matrices) {
  double largest = 0;
  for (std::size_t i = 0; i < matrices.size(); ++i) {
    const Index n = matrices[i].rows, m = matrices[i].cols;
    for (Index row = 0; row < n; ++row) {
      for (Index col = 0; col < m; ++col) {
        double sum = 0;
        for (Index k = 0; k < d.rank; ++k) {
          sum += static_cast<double>(d.u[i].data()[row + k * n]) *
                 static_cast<double>(d.sigma.data()[static_cast<Index>(i) * d.rank + k]) *
                 static_cast<double>(d.v.data()[col + k * m]);
        }
        largest = std::max(largest, std::abs(sum - static_cast<double>(matrices[i](row, col))));
      }
    }
  }
  return largest;
}

}  // namespace

TEST_CASE(cholesky_and_inverse_multiply_to_what_they_came_from) {
  for (const Index n : {1, 5, 64, 65, 200}) {
    const Dense<double> x = random_matrix<double>(n + 20, n, 1);
    Dense<double> a(n, n), inverse(n, n), product(n, n);
    gram<double>(1, x.view(), a.view());
    const Dense<double> before = a;
    CHECK(cholesky_with_inverse(a.view(), inverse.view()));
    gram<double>(1, a.view(), product.view());
    for (Index i = 0; i < n * n; ++i) CHECK_NEAR(product.data()[i], before.entries.data()[i], 1e-11);
    gemm<double>(1, a.view(), inverse.view(), 0, product.view());
    for (Index j = 0; j < n; ++j) {
      for (Index i = 0; i < n; ++i) CHECK_NEAR(product(i, j), i == j ? 1 : 0, 1e-11);
    }
  }
}

TEST_CASE(cholesky_refuses_an_indefinite_matrix) {
  Dense<double> a = Dense<double>::zeros(70, 70), inverse(70, 70);
  for (Index j = 0; j < 70; ++j) a(j, j) = j == 66 ? -1 : 1;
  CHECK(!cholesky_with_inverse(a.view(), inverse.view()));
}

TEST_CASE(triangular_solve_has_a_small_residual) {
  const Index n = 150, rows = 40;
  Dense<double> r = random_matrix<double>(n, n, 2), inverse(n, n);
  for (Index j = 0; j < n; ++j) {
    r(j, j) = 2 + std::abs(r(j, j));
    for (Index i = 0; i < n; ++i) r(i, j) = i > j ? 0 : r(i, j) / (i < j ? 15 : 1);
  }
  invert_upper<double>(r.view(), inverse.view());
  const Dense<double> b = random_matrix<double>(rows, n, 3);
  Dense<double> x = b, back(rows, n);
  solve_upper_right<double>(r.view(), inverse.view(), x.view());
  gemm<double>(1, x.view(), r.view(), 0, back.view());
  for (Index i = 0; i < rows * n; ++i) CHECK_NEAR(back.data()[i], b.entries.data()[i], 1e-13);
  Dense<double> twice(n, n), slow(n, n);
  multiply_upper_transposed<double>(r.view(), inverse.view(), twice.view());
  gemm<double>(1, r.view().transposed(), inverse.view(), 0, slow.view());
  for (Index i = 0; i < n * n; ++i) CHECK_NEAR(twice.data()[i], slow.data()[i], 1e-12);
}

TEST_CASE(rebuilds_its_input) {
  for (const std::size_t n : {2, 3, 5}) {
    for (const Index m : {1, 7, 70}) {
      std::vector<Dense<double>> matrices;
      for (std::size_t i = 0; i < n; ++i) {
        matrices.push_back(
            random_matrix<double>(3 + 40 * static_cast<Index>(i), m, static_cast<unsigned>(i)));
      }
      const HoGsvd<double> d = decompose(matrices);
      CHECK_NEAR(error(d, matrices), 0, 1e-14 * (1 + static_cast<double>(m)));
      for (Index k = 0; k < d.rank; ++k) {
        double sum = 0;
        for (std::size_t i = 0; i < n; ++i) {
          const double s = d.sigma.data()[static_cast<Index>(i) * d.rank + k];
          sum += s * s;
        }
        CHECK_NEAR(sum, 1, 1e-13);
        CHECK(k == 0 || d.tau.data()[k] >= d.tau.data()[k - 1]);
      }
    }
  }
}

TEST_CASE(float32_rebuilds_its_input) {
  const std::vector<Dense<float>> matrices{random_matrix<float>(20, 9, 1), random_matrix<float>(5, 9, 2),
                                           random_matrix<float>(30, 9, 3)};
  CHECK_NEAR(error(decompose(matrices), matrices), 0, 1e-5);
}

TEST_CASE(isolated_directions_have_an_owner) {
  for (const std::size_t n : {2, 3}) {
    std::vector<Dense<double>> matrices;
    for (std::size_t i = 0; i < n; ++i) {  // one column common, two of its own
      matrices.push_back(Dense<double>::zeros(10, 1 + 2 * static_cast<Index>(n)));
      const Dense<double> x = random_matrix<double>(10, 3, static_cast<unsigned>(i));
      for (Index row = 0; row < 10; ++row) {
        matrices[i](row, 0) = x(row, 0);
        for (Index k = 1; k < 3; ++k) matrices[i](row, 2 * static_cast<Index>(i) + k) = x(row, k);
      }
    }
    const HoGsvd<double> d = decompose(matrices);
    CHECK(d.rank == 1 + 2 * static_cast<Index>(n));
    CHECK(d.owner[0] == -1);
    for (Index k = 1; k < d.rank; ++k) CHECK(d.owner.data()[k] == (k - 1) / 2);
    CHECK_NEAR(error(d, matrices), 0, 1e-13);
  }
}

TEST_CASE(rows_follow_by_a_triangular_solve) {
  for (const Index rank : {6, 4}) {  // full, and deficient by a product with a wide factor
    std::vector<Dense<double>> matrices;
    const Dense<double> basis = random_matrix<double>(rank, 6, 9);
    for (unsigned i = 0; i < 3; ++i) {
      const Dense<double> x = random_matrix<double>(12, rank, i);
      matrices.emplace_back(12, 6);
      gemm<double>(1, x.view(), basis.view(), 0, matrices.back().view());
    }
    for (const bool unit : {false, true}) {
      HoGsvdOptions options;
      options.unit = unit;
      const HoGsvd<double> d = decompose(matrices, options);
      CHECK(d.rank == rank);
      Dense<double> rows(12, rank);
      ho_gsvd_rows<double>(view_of(d.solver, rank), matrices[1].view(), rows.view());
      for (Index k = 0; k < rank; ++k) {
        for (Index row = 0; row < 12; ++row) {
          CHECK_NEAR(rows(row, k), d.u[1].data()[row + 12 * k] * d.sigma.data()[rank + k], 1e-11);
        }
      }
    }
  }
}

TEST_CASE(ridge_zero_needs_full_column_rank) {
  HoGsvdOptions options;
  options.ridge = 0;
  for (const std::size_t n : {2, 3}) {
    std::vector<Dense<double>> matrices;
    for (std::size_t i = 0; i < n; ++i)
      matrices.push_back(random_matrix<double>(8, 5, static_cast<unsigned>(i)));
    CHECK_NEAR(error(decompose(matrices, options), matrices), 0, 1e-13);
    matrices[1] = random_matrix<double>(4, 5, 7);
    CHECK_THROWS(decompose(matrices, options), std::invalid_argument);
  }
}

TEST_CASE(bad_input_is_refused) {
  const Dense<double> a = random_matrix<double>(4, 3, 0);
  CHECK_THROWS(decompose<double>({a}), std::invalid_argument);
  CHECK_THROWS(decompose<double>({a, random_matrix<double>(4, 2, 0)}), std::invalid_argument);
  CHECK_THROWS(decompose<double>({Dense<double>::zeros(2, 3), Dense<double>::zeros(2, 3)}),
               std::invalid_argument);
  HoGsvdOptions options;
  options.weights = {1, -1};
  CHECK_THROWS(decompose<double>({a, a}, options), std::invalid_argument);
  options = {};
  options.ridge = -1;
  CHECK_THROWS(decompose<double>({a, a}, options), std::invalid_argument);
}

namespace {

// Counts ticks, and stops at one of them.
struct Impatient : Monitor {
  int stop_at = 0;
  std::vector<double> ticks;
  void tick(double done) override {
    ticks.push_back(done);
    if (static_cast<int>(ticks.size()) == stop_at) throw Interrupted();
  }
};

}  // namespace

TEST_CASE(every_stage_ticks_and_can_stop_the_call) {
  for (const int count : {2, 3}) {
    std::vector<Dense<double>> matrices;
    for (int i = 0; i < count; ++i) {
      const auto draws = check::normal<double>(40 * 12, static_cast<unsigned>(i + 1));
      matrices.emplace_back(copy_of<double>(column_major(draws.data(), 40, 12)));
    }
    Impatient patient;
    ho_gsvd(views(matrices), HoGsvdOptions{}, patient);
    CHECK(patient.ticks.size() >= 3);
    for (std::size_t i = 1; i < patient.ticks.size(); ++i) CHECK(patient.ticks[i] >= patient.ticks[i - 1]);
    for (int stop = 1; stop <= static_cast<int>(patient.ticks.size()); ++stop) {
      Impatient monitor;
      monitor.stop_at = stop;
      CHECK_THROWS(ho_gsvd(views(matrices), HoGsvdOptions{}, monitor), Interrupted);
      CHECK(static_cast<int>(monitor.ticks.size()) == stop);
    }
  }
}
