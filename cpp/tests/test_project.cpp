#include <cmath>

#include "check.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/project.hpp"
#include "wavelens/thread_pool.hpp"

using namespace wavelens;

namespace {

using Index = std::ptrdiff_t;

// Orthonormal columns by Gram and Schmidt, twice.
template <class T>
std::vector<T> orthonormal(Index n, Index k) {
  auto q = check::normal<T>(n * k, 7);
  for (Index j = 0; j < k; ++j) {
    T* column = q.data() + j * n;
    for (int round = 0; round < 2; ++round) {
      for (Index i = 0; i < j; ++i) {
        const T* other = q.data() + i * n;
        double along = 0;
        for (Index p = 0; p < n; ++p) along += static_cast<double>(other[p]) * static_cast<double>(column[p]);
        for (Index p = 0; p < n; ++p) column[p] -= static_cast<T>(along) * other[p];
      }
      double norm = 0;
      for (Index p = 0; p < n; ++p) norm += static_cast<double>(column[p]) * static_cast<double>(column[p]);
      for (Index p = 0; p < n; ++p) column[p] = static_cast<T>(column[p] / std::sqrt(norm));
    }
  }
  return q;
}

template <class T>
struct Parts {
  std::vector<T> inside, outside;
  std::vector<double> inside_energy, outside_energy;

  Parts(MatrixView<const T> q, MatrixView<const T> x, bool parts)
      : inside_energy(static_cast<std::size_t>(x.rows)), outside_energy(inside_energy) {
    ProjectedRows<T> out;
    if (parts) {
      inside.resize(static_cast<std::size_t>(x.rows * x.cols));
      outside = inside;
      out.inside = row_major(inside.data(), x.rows, x.cols);
      out.outside = column_major(outside.data(), x.rows, x.cols);
    }
    out.inside_energy = inside_energy.data();
    out.outside_energy = outside_energy.data();
    Monitor monitor;
    project<T>(q, x, out, monitor);
  }
};

template <class T>
void splits(double tolerance) {
  const Index shapes[][3] = {{1, 1, 0}, {1, 5, 5}, {40, 17, 3}, {1600, 33, 20}};
  for (const auto& [m, n, k] : shapes) {
    const auto basis = orthonormal<T>(n, k);
    const MatrixView<const T> q{basis.data(), n, k, 1, n};
    const auto entries = check::normal<T>(2 * m * n, 3);
    const MatrixView<const T> x{entries.data(), m, n, 2 * n, 1};
    const Parts<T> found(q, x, true), energies(q, x, false);
    for (Index i = 0; i < m; ++i) {
      double total = 0;
      for (Index j = 0; j < n; ++j) {
        double expected = 0;
        for (Index p = 0; p < k; ++p) {
          double c = 0;
          for (Index l = 0; l < n; ++l) c += static_cast<double>(q(l, p)) * static_cast<double>(x(i, l));
          expected += c * static_cast<double>(q(j, p));
        }
        const auto at = static_cast<std::size_t>(i * n + j), across = static_cast<std::size_t>(j * m + i);
        CHECK_NEAR(found.inside[at], expected, tolerance);
        CHECK_NEAR(found.inside[at] + found.outside[across], x(i, j), tolerance);
        total += static_cast<double>(x(i, j)) * static_cast<double>(x(i, j));
      }
      const auto row = static_cast<std::size_t>(i);
      CHECK_NEAR(found.inside_energy[row] + found.outside_energy[row], total, tolerance * total);
      CHECK_NEAR(found.inside_energy[row], energies.inside_energy[row], tolerance * total);
      CHECK_NEAR(found.outside_energy[row], energies.outside_energy[row], tolerance * total);
    }
  }
}

}  // namespace

TEST_CASE(parts_agree_with_their_definition) {
  splits<double>(1e-13);
  splits<float>(1e-5);
}

TEST_CASE(what_little_is_outside_is_orthogonal_to_the_basis) {
  const Index n = 40, k = 30;
  const auto basis = orthonormal<double>(n, n);
  const MatrixView<const double> q{basis.data(), n, k, 1, n};
  // Every second row lies in the span but for 1e-10 of its length.
  const Index m = 6;
  std::vector<double> x(static_cast<std::size_t>(m * n));
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < n; ++j)
      x[static_cast<std::size_t>(i * n + j)] =
          basis[static_cast<std::size_t>(j + i * n)] +
          (i % 2 ? 1.0 : 1e-10) * basis[static_cast<std::size_t>(j + (k + i) * n)];
  }
  const Parts<double> found(q, row_major<const double>(x.data(), m, n), true);
  const Parts<double> energies(q, row_major<const double>(x.data(), m, n), false);
  for (Index i = 0; i < m; ++i) {
    const auto row = static_cast<std::size_t>(i);
    const double size = std::sqrt(found.outside_energy[row]);
    CHECK_NEAR(size / (i % 2 ? 1.0 : 1e-10), 1, 1e-5);
    CHECK_NEAR(std::sqrt(energies.outside_energy[row]) / size, 1, 1e-9);
    for (Index p = 0; p < k; ++p) {
      double along = 0;
      for (Index j = 0; j < n; ++j) along += q(j, p) * found.outside[static_cast<std::size_t>(j * m + i)];
      CHECK(std::abs(along) <= 1e-14 * size);
    }
  }
}

TEST_CASE(threads_change_no_bit) {
  const Index m = 3000, n = 50, k = 20;
  const auto basis = orthonormal<double>(n, k);
  const auto entries = check::normal<double>(m * n, 3);
  const MatrixView<const double> q{basis.data(), n, k, 1, n};
  set_num_threads(1);
  const Parts<double> one(q, row_major(entries.data(), m, n), true);
  set_num_threads(3);
  const Parts<double> many(q, row_major(entries.data(), m, n), true);
  CHECK(one.inside == many.inside);
  CHECK(one.outside == many.outside);
  CHECK(one.outside_energy == many.outside_energy);
}

TEST_CASE(what_does_not_fit_is_refused) {
  const auto entries = check::normal<double>(12, 3);
  ProjectedRows<double> out;
  Monitor monitor;
  const MatrixView<const double> q{entries.data(), 3, 1, 1, 3};
  CHECK_THROWS(project<double>(q, row_major(entries.data(), 3, 4), out, monitor), std::invalid_argument);
  CHECK_THROWS(project<double>(q, row_major(entries.data(), 4, 3), out, monitor), std::invalid_argument);
}
