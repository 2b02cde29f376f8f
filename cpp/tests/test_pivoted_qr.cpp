#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "check.hpp"
#include "greedy_columns.hpp"
#include "panel_qr.hpp"
#include "panel_triangles.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/isa.hpp"
#include "wavelens/pivoted_qr.hpp"
#include "wavelens/thread_pool.hpp"

using namespace wavelens;

namespace {

using Index = std::ptrdiff_t;
constexpr PivotedQrMethod methods[] = {PivotedQrMethod::blocked, PivotedQrMethod::exact,
                                       PivotedQrMethod::strong, PivotedQrMethod::sketch};

template <class T>
double off_identity(MatrixView<const T> q) {
  double worst = 0;
  for (Index i = 0; i < q.cols; ++i) {
    for (Index j = 0; j <= i; ++j) {
      double sum = i == j ? -1 : 0;
      for (Index row = 0; row < q.rows; ++row) {
        sum += static_cast<double>(q(row, i)) * static_cast<double>(q(row, j));
      }
      worst = std::max(worst, std::abs(sum));
    }
  }
  return worst;
}

// |A[:, permutation] − QR| in the chosen columns and |QᵀA − R| in all.
template <class T>
double residual(MatrixView<const T> a, const PivotedQr<T>& qr) {
  const MatrixView<const T> q = column_major(qr.q.data(), a.rows, qr.rank);
  const MatrixView<const T> r = row_major(qr.r.data(), qr.rank, a.cols);
  double worst = 0;
  for (Index j = 0; j < a.cols; ++j) {
    const Index from = qr.permutation[static_cast<std::size_t>(j)];
    for (Index i = 0; j < qr.rank && i < a.rows; ++i) {
      double sum = -static_cast<double>(a(i, from));
      for (Index p = 0; p <= j; ++p) sum += static_cast<double>(q(i, p)) * static_cast<double>(r(p, j));
      worst = std::max(worst, std::abs(sum));
    }
    for (Index p = 0; p < qr.rank; ++p) {
      double sum = -static_cast<double>(r(p, j));
      for (Index i = 0; i < a.rows; ++i)
        sum += static_cast<double>(q(i, p)) * static_cast<double>(a(i, from));
      worst = std::max(worst, std::abs(sum));
    }
  }
  return worst;
}

template <class T>
void factors(Index n, Index p, Index k, double tolerance) {
  const auto entries = check::normal<T>(4 * n * p, 7);
  const MatrixView<const T> layouts[] = {{entries.data(), n, p, p, 1},
                                         {entries.data(), n, p, 1, n},
                                         {entries.data(), n, p, 2 * p, 2},
                                         {entries.data() + n * p - 1, n, p, -p, -1}};
  for (const auto& a : layouts) {
    for (const auto method : methods) {
      PivotedQrOptions options;
      options.method = method;
      options.with_q = options.with_r = true;
      options.rtol = 1e-6;
      Monitor monitor;
      const auto qr = pivoted_qr(a, k, options, monitor);
      CHECK(qr.rank == k);
      CHECK(std::set<Index>(qr.permutation.begin(), qr.permutation.end()).size() ==
            static_cast<std::size_t>(p));
      CHECK(off_identity<T>(column_major(qr.q.data(), n, qr.rank)) < tolerance);
      CHECK(residual(a, qr) < tolerance);
    }
  }
}

}  // namespace

TEST_CASE(factors_of_every_layout_method_and_instruction_set) {
  const Isa before = isa();
  for (const Isa each : available_isas()) {
    set_isa(isa_name(each));
    for (const auto& [n, p, k] : {std::array<Index, 3>{1, 1, 1}, {7, 5, 5}, {40, 60, 33}, {300, 40, 20}}) {
      factors<double>(n, p, k, 1e-12);
      factors<float>(n, p, k, 2e-4);
    }
  }
  set_isa(isa_name(before));
  factors<double>(330, 400, 210, 1e-12);
}

TEST_CASE(greedy_columns_agree_with_keeping_every_column_up_to_date) {
  const Index rows = 50, cols = 80;
  const auto entries = check::normal<double>(rows * cols, 3);
  std::vector<Index> names;
  for (Index j = 0; j < cols; ++j) names.push_back(j);
  GreedyColumns<double> lazy(rows), eager(rows);
  for (auto* each : {&lazy, &eager}) {
    const auto view = each->append(names.data(), cols);
    for (Index j = 0; j < cols; ++j) {
      for (Index i = 0; i < rows; ++i)
        view(i, j) = entries[static_cast<std::size_t>(j * rows + i)] / (1.0 + static_cast<double>(j % 9));
    }
    each->measure();
  }
  while (lazy.steps() < rows) {
    for (Index j = 0; j < cols; ++j) {
      if (!eager.taken(j)) eager.refresh(j);
    }
    const Index one = lazy.best(), other = eager.best();
    CHECK(one == other);
    CHECK(lazy.residual(one) == eager.residual(other));
    lazy.take(one);
    eager.take(other);
  }
}

TEST_CASE(panels_stay_orthonormal_whatever_their_condition) {
  const Index n = 400, b = 60;
  auto entries = check::normal<double>(n * b, 5);
  const auto panel = column_major(entries.data(), n, b);
  for (Index j = 1; j < b; ++j) {  // every column nearly the one before, in scales from 1 to 1e-180
    for (Index i = 0; i < n; ++i) panel(i, j) = (panel(i, j - 1) * 1e3 + 1e-4 * panel(i, j)) * 1e-6;
  }
  std::vector<double> q(static_cast<std::size_t>(n * b));
  std::vector<Index> names(static_cast<std::size_t>(b));
  for (Index j = 0; j < b; ++j) names[static_cast<std::size_t>(j)] = j;
  const auto qr = panel_qr<double>({q.data(), n, 0, 1, n}, panel, names.data(), 0, false, 1,
                                   column_major(q.data(), n, b));
  const auto kept = static_cast<Index>(qr.order.size());
  CHECK(kept > 1);
  CHECK(off_identity<double>(column_major(q.data(), n, kept)) < 1e-13);
  for (Index j = 0; j < kept; ++j) CHECK(qr.r[static_cast<std::size_t>(j * kept + j)] > 0);
}

TEST_CASE(triangles_are_inverted_and_factored) {
  const Index n = 70;
  auto entries = check::normal<double>(n * n, 1);
  std::vector<double> g(static_cast<std::size_t>(n * n)), x(g), product(g);
  const auto a = column_major(entries.data(), n, n), gv = column_major(g.data(), n, n);
  const auto xv = column_major(x.data(), n, n), pv = column_major(product.data(), n, n);
  gram<double>(1, a, gv);
  for (Index i = 0; i < n; ++i) gv(i, i) += n;
  const auto original = g;
  CHECK(panel_cholesky<double>(gv, 1e-12) == n);
  for (Index j = 0; j < n; ++j) std::fill(&gv(0, j), &gv(0, j) + j, 0.0);
  gemm<double>(1, gv, gv.transposed(), 0, pv);
  double worst = 0;
  for (std::size_t i = 0; i < g.size(); ++i) worst = std::max(worst, std::abs(product[i] - original[i]));
  CHECK(worst < 1e-11);
  panel_invert_lower<double>(gv, xv);
  gemm<double>(1, gv, xv, 0, pv);
  for (Index i = 0; i < n; ++i) pv(i, i) -= 1;
  for (const double entry : product) CHECK_NEAR(entry, 0, 1e-12);
}

TEST_CASE(pivots_do_not_depend_on_the_number_of_threads) {
  const Index n = 900, p = 500;
  const auto entries = check::normal<float>(n * p, 9);
  const MatrixView<const float> a{entries.data(), n, p, p, 1};
  const int before = num_threads();
  for (const auto method : methods) {
    PivotedQrOptions options;
    options.method = method;
    options.with_r = true;
    Monitor monitor;
    set_num_threads(1);
    const auto one = pivoted_qr(a, 200, options, monitor);
    set_num_threads(3);
    const auto three = pivoted_qr(a, 200, options, monitor);
    CHECK(one.permutation == three.permutation);
    CHECK(one.r == three.r);
  }
  set_num_threads(before);
}

TEST_CASE(a_monitor_can_stop_it) {
  struct Impatient : Monitor {
    void tick(double) override { throw Interrupted(); }
  } monitor;
  const auto entries = check::normal<double>(300 * 300);
  const MatrixView<const double> a{entries.data(), 300, 300, 300, 1};
  for (const auto method : methods) {
    PivotedQrOptions options;
    options.method = method;
    CHECK_THROWS(pivoted_qr(a, 100, options, monitor), Interrupted);
  }
}

TEST_CASE(bad_input_is_refused) {
  auto entries = check::normal<double>(60 * 50);
  const MatrixView<const double> a{entries.data(), 60, 50, 50, 1};
  Monitor monitor;
  CHECK_THROWS(pivoted_qr(a, 0, {}, monitor), std::invalid_argument);
  CHECK_THROWS(pivoted_qr(a, 51, {}, monitor), std::invalid_argument);
  for (const double value : {std::numeric_limits<double>::infinity(), std::nan("")}) {
    entries[777] = value;
    for (const auto method : methods) {
      PivotedQrOptions options;
      options.method = method;
      CHECK_THROWS(pivoted_qr(a, 5, options, monitor), std::domain_error);
    }
  }
}
