#include <algorithm>
#include <cmath>
#include <limits>

#include "check.hpp"
#include "mmf_eigen.hpp"
#include "mmf_wavelet.hpp"
#include "wavelens/isa.hpp"
#include "wavelens/mmf.hpp"
#include "wavelens/thread_pool.hpp"

using namespace wavelens;

namespace {

using Index = std::ptrdiff_t;

std::vector<double> symmetric(Index m, unsigned seed) {
  auto c = check::normal<double>(m * m, seed);
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < i; ++j) c[i * m + j] = c[j * m + i];
  }
  return c;
}

MatrixView<const double> square(const std::vector<double>& c, Index m) { return row_major(c.data(), m, m); }

MatrixView<const Index> tuples_of(const Mmf& mmf, Index k) {
  return row_major(mmf.tuples.data(), static_cast<Index>(mmf.wavelets.size()), k);
}

// ‖C − QᵀΛQ‖² and ΣE agree.
void errors_add_up(const std::vector<double>& c, Index m, Index k, const Mmf& mmf) {
  auto rotated = c;
  const auto view = row_major(rotated.data(), m, m);
  mmf_apply(tuples_of(mmf, k), mmf.rotations.data(), view, false);  // QC
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < i; ++j) std::swap(rotated[i * m + j], rotated[j * m + i]);
  }
  mmf_apply(tuples_of(mmf, k), mmf.rotations.data(), view, false);  // QCQᵀ
  const auto rest = static_cast<Index>(mmf.core_indices.size());
  for (Index i = 0; i < rest; ++i) {
    for (Index j = 0; j < rest; ++j) view(mmf.core_indices[i], mmf.core_indices[j]) -= mmf.core[i * rest + j];
  }
  double sum = 0, told = 0;
  for (std::size_t l = 0; l < mmf.wavelets.size(); ++l) {
    view(mmf.wavelets[l], mmf.wavelets[l]) -= mmf.frequencies[l];
    told += mmf.level_errors[l];
  }
  for (const double entry : rotated) sum += entry * entry;
  CHECK_NEAR(sum, told, 1e-11 * static_cast<double>(m * m));
}

}  // namespace

TEST_CASE(small_eigenvectors_are_eigenvectors) {
  for (const Index k : {1, 2, 3, 4, 5, 8, 17, 70}) {
    for (const int kind : {0, 1, 2, 3}) {
      auto a = symmetric(k, static_cast<unsigned>(k));
      for (Index i = 0; i < k; ++i) {
        for (Index j = 0; j < k; ++j) {
          double& entry = a[i * k + j];
          if (kind == 1) entry = i == j;
          if (kind == 2) entry = i / 2 == j / 2;
          if (kind == 3) entry *= std::pow(10.0, -3.0 * static_cast<double>(i + j));
        }
      }
      auto spent = a;
      std::vector<double> values(k), v(k * k);
      small_eigen(k, spent.data(), values.data(), v.data());
      CHECK(std::is_sorted(values.begin(), values.end()));
      for (Index i = 0; i < k; ++i) {
        for (Index j = 0; j < k; ++j) {
          double residual = -values[i] * v[i * k + j], product = i == j ? -1 : 0;
          for (Index p = 0; p < k; ++p) {
            residual += a[j * k + p] * v[i * k + p];
            product += v[i * k + p] * v[j * k + p];
          }
          CHECK_NEAR(residual, 0, 1e-13);
          CHECK_NEAR(product, 0, 1e-13);
        }
      }
    }
  }
}

TEST_CASE(assignment_is_the_best_of_all_permutations) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    for (const Index n : {1, 2, 5, 6}) {
      const auto score = check::normal<double>(n * n, seed);
      std::vector<Index> match, order(n);
      best_assignment(n, score.data(), match);
      for (Index j = 0; j < n; ++j) order[j] = j;
      const auto total = [&](const std::vector<Index>& rows) {
        double sum = 0;
        for (Index j = 0; j < n; ++j) sum += score[rows[j] * n + j];
        return sum;
      };
      double best = -std::numeric_limits<double>::infinity();
      do {
        best = std::max(best, total(order));
      } while (std::next_permutation(order.begin(), order.end()));
      CHECK_NEAR(total(match), best, 1e-12);
    }
  }
}

TEST_CASE(least_error_bounds_every_wavelet) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    const Index k = 2 + seed % 5, m = k + 4;
    const auto c = symmetric(m, seed);
    std::vector<double> f(k * k), g(k * k, 0.0), x(k);
    for (Index i = 0; i < k; ++i) {
      for (Index j = 0; j < k; ++j) {
        f[i * k + j] = c[i * m + j];
        for (Index p = 0; p < m; ++p) g[i * k + j] += c[p * m + i] * c[p * m + j];
      }
    }
    WaveletFinder finder(k, 1e-14);
    const double opt = finder.find(f.data(), g.data(), MmfRotation::opt, x.data()).error;
    CHECK(finder.least_error(f.data(), g.data()) <= opt + 1e-12);
    for (const auto other : {MmfRotation::eigen, MmfRotation::gram})
      CHECK(opt <= finder.find(f.data(), g.data(), other, x.data()).error);
  }
}

TEST_CASE(errors_add_up_for_every_method_rotation_and_instruction_set) {
  const Isa before = isa();
  for (const Isa each : available_isas()) {
    set_isa(isa_name(each));
    for (const Index k : {2, 3, 4, 6, 9}) {
      for (const auto method : {MmfMethod::exhaustive, MmfMethod::topk, MmfMethod::random}) {
        const Index m = method == MmfMethod::exhaustive ? 10 : 75;
        const auto c = symmetric(m, 4);
        for (const auto rotation : {MmfRotation::eigen, MmfRotation::gram, MmfRotation::opt}) {
          Monitor monitor;
          const auto mmf = mmf_factor(square(c, m), {k, m - k + 1, method, rotation, 1}, monitor);
          errors_add_up(c, m, k, mmf);
        }
      }
    }
  }
  set_isa(isa_name(before));
}

TEST_CASE(insertion_adds_levels_and_its_errors_add_up) {
  const Index m = 150, old = 90;
  const auto c = symmetric(m, 8);
  for (const Index k : {2, 3, 5, 8}) {
    Monitor monitor;
    MatrixView<const double> corner = square(c, m).block(0, 0, old, old);
    const auto first = mmf_factor(corner, {k, old - k + 1, MmfMethod::topk, MmfRotation::opt, 0}, monitor);
    const auto grown = mmf_insert(square(c, m), m - old, tuples_of(first, k), first.wavelets.data(),
                                  MmfRotation::opt, monitor);
    CHECK(grown.wavelets.size() == static_cast<std::size_t>(m - k + 1));
    errors_add_up(c, m, k, grown);
  }
}

TEST_CASE(results_do_not_depend_on_the_number_of_threads) {
  const Index m = 300;
  const auto c = symmetric(m, 2);
  const int before = num_threads();
  Monitor monitor;
  const MmfOptions options{3, 290, MmfMethod::topk, MmfRotation::opt, 0};
  set_num_threads(1);
  const auto one = mmf_factor(square(c, m), options, monitor);
  set_num_threads(3);
  const auto three = mmf_factor(square(c, m), options, monitor);
  set_num_threads(before);
  CHECK(one.tuples == three.tuples);
  CHECK(one.rotations == three.rotations);
  CHECK(one.core == three.core);
}

TEST_CASE(a_monitor_can_stop_it) {
  struct Impatient : Monitor {
    void tick(double) override { throw Interrupted(); }
  } impatient;
  const auto c = symmetric(40, 1);
  CHECK_THROWS(mmf_factor(square(c, 40), {3, 30}, impatient), Interrupted);
  Monitor monitor;
  const auto mmf = mmf_factor(square(c, 40), {3, 30}, monitor);
  CHECK_THROWS(
      mmf_insert(square(c, 40), 0, tuples_of(mmf, 3), mmf.wavelets.data(), MmfRotation::opt, impatient),
      Interrupted);
}

TEST_CASE(bad_input_is_refused) {
  const auto c = symmetric(6, 1);
  Monitor monitor;
  CHECK_THROWS(mmf_factor(square(c, 6), {1, 2}, monitor), std::invalid_argument);
  CHECK_THROWS(mmf_factor(square(c, 6), {7, 0}, monitor), std::invalid_argument);
  CHECK_THROWS(mmf_factor(square(c, 6), {3, 5}, monitor), std::invalid_argument);
  const std::vector<Index> tuple{0, 1, 2}, elsewhere{4};
  CHECK_THROWS(
      mmf_insert(square(c, 6), 1, row_major(tuple.data(), 1, 3), elsewhere.data(), MmfRotation::opt, monitor),
      std::invalid_argument);
}
