#include "check.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/isa.hpp"
#include "wavelens/thread_pool.hpp"

using namespace wavelens;

namespace {

template <class T>
double largest_error(MatrixView<const T> a, MatrixView<const T> b, const std::ptrdiff_t* columns, T alpha,
                     T beta, MatrixView<const T> before, MatrixView<const T> after) {
  double worst = 0;
  for (std::ptrdiff_t i = 0; i < after.rows; ++i) {
    for (std::ptrdiff_t j = 0; j < after.cols; ++j) {
      double sum = 0, size = 1;
      for (std::ptrdiff_t p = 0; p < a.cols; ++p) {
        const double term =
            static_cast<double>(a(i, p)) * static_cast<double>(b(p, columns ? columns[j] : j));
        sum += term;
        size += std::abs(term);
      }
      const double expected = alpha * sum + (beta == T(0) ? 0 : beta * before(i, j));
      worst = std::max(worst, std::abs(expected - after(i, j)) / size);
    }
  }
  return worst;
}

template <class T>
void products(double tolerance) {
  const std::ptrdiff_t shapes[][3] = {{1, 1, 1},     {5, 7, 3},   {25, 33, 17},  {130, 301, 200},
                                      {301, 9, 410}, {3, 1, 700}, {1200, 30, 20}};
  for (const auto& [m, n, k] : shapes) {
    const auto a = check::normal<T>(2 * m * k, 1), b = check::normal<T>(3 * k * n, 2),
               start = check::normal<T>(m * n, 3);
    std::vector<std::ptrdiff_t> columns;
    for (std::ptrdiff_t j = 0; j < n; ++j) columns.push_back((j * 7 + 3) % n);
    // Every second row of A, every third column of B; C by columns and by rows.
    const MatrixView<const T> a_view{a.data(), m, k, 2 * k, 1};
    const MatrixView<const T> b_view{b.data(), k, n, 3 * n, 3};
    const MatrixView<const T> b_by_columns{b.data(), k, n, 1, k};
    for (const bool by_rows : {false, true}) {
      auto c = start;
      const auto c_view = by_rows ? row_major(c.data(), m, n) : column_major(c.data(), m, n);
      auto before_copy = start;
      const MatrixView<const T> before =
          by_rows ? row_major(before_copy.data(), m, n) : column_major(before_copy.data(), m, n);
      gemm_columns<T>(T(2), a_view, b_view, columns.data(), n, T(-1), c_view);
      CHECK(largest_error<T>(a_view, b_view, columns.data(), T(2), T(-1), before, c_view) < tolerance);
      gemm<T>(T(1), a_view, b_by_columns, T(0), c_view);
      CHECK(largest_error<T>(a_view, b_by_columns, nullptr, T(1), T(0), before, c_view) < tolerance);
    }
  }
}

}  // namespace

TEST_CASE(products_agree_with_their_definition_on_every_instruction_set) {
  for (const Isa each : available_isas()) {
    set_isa(isa_name(each));
    products<double>(1e-14);
    products<float>(1e-5);
  }
}

TEST_CASE(threads_change_no_bit) {
  const std::ptrdiff_t m = 500, n = 700, k = 450;
  const auto a = check::normal<double>(m * k, 1), b = check::normal<double>(k * n, 2);
  std::vector<double> one(static_cast<std::size_t>(m * n)), many = one;
  set_num_threads(1);
  gemm<double>(1, row_major(a.data(), m, k), row_major(b.data(), k, n), 0, row_major(one.data(), m, n));
  set_num_threads(3);
  gemm<double>(1, row_major(a.data(), m, k), row_major(b.data(), k, n), 0, row_major(many.data(), m, n));
  CHECK(one == many);
}

TEST_CASE(gram_is_symmetric_to_the_bit) {
  const std::ptrdiff_t m = 130, n = 333;
  const auto a = check::normal<double>(m * n, 1);
  std::vector<double> g(static_cast<std::size_t>(n * n)), full = g;
  gram<double>(1, row_major(a.data(), m, n), row_major(g.data(), n, n));
  gemm<double>(1, row_major(a.data(), m, n).transposed(), row_major(a.data(), m, n), 0,
               row_major(full.data(), n, n));
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      CHECK(g[static_cast<std::size_t>(i * n + j)] == g[static_cast<std::size_t>(j * n + i)]);
      CHECK_NEAR(g[static_cast<std::size_t>(i * n + j)], full[static_cast<std::size_t>(i * n + j)], 1e-12);
    }
  }
}
