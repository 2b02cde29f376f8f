#include "check.hpp"
#include "eigh.hpp"

using namespace wavelens;

TEST_CASE(eigenvectors_diagonalise_and_are_orthonormal) {
  for (const std::ptrdiff_t n : {1, 2, 3, 64, 65, 66, 150}) {
    Dense<double> a(n, n);
    const auto draws = check::normal<double>(n * n, 1);
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      for (std::ptrdiff_t i = 0; i <= j; ++i) a(i, j) = a(j, i) = draws[static_cast<std::size_t>(i + j * n)];
    }
    const Dense<double> before = copy_of<double>(a.view());
    for (std::ptrdiff_t j = 0; j < n; ++j) {  // only the upper part may be read
      for (std::ptrdiff_t i = j + 1; i < n; ++i) a(i, j) = 1e300;
    }
    const std::vector<double> values = eigh(a);
    Dense<double> product(n, n), overlap(n, n);
    gemm<double>(1, before.view(), a.view(), 0, product.view());
    gram<double>(1, a.view(), overlap.view());
    for (std::ptrdiff_t j = 0; j < n; ++j) {
      if (j > 0) CHECK(values[static_cast<std::size_t>(j)] >= values[static_cast<std::size_t>(j - 1)]);
      for (std::ptrdiff_t i = 0; i < n; ++i) {
        CHECK_NEAR(product(i, j), values[static_cast<std::size_t>(j)] * a(i, j),
                   1e-12 * static_cast<double>(n));
        CHECK_NEAR(overlap(i, j), i == j ? 1 : 0, 1e-13 * static_cast<double>(n));
      }
    }
  }
}
