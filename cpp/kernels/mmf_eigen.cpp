// Jacobi's method, by rows: both the matrix and its eigenvectors are kept so that a rotation combines two
// rows that lie one after the other in memory (Golub and Van Loan, Matrix Computations, section 8.5).

#include "mmf_eigen.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace wavelens {
namespace {

void combine(std::ptrdiff_t k, double* x, double* y, double c, double s) {
  for (std::ptrdiff_t i = 0; i < k; ++i) {
    const double a = x[i], b = y[i];
    x[i] = c * a - s * b;
    y[i] = s * a + c * b;
  }
}

}  // namespace

void small_eigen(std::ptrdiff_t k, double* a, double* values, double* v) {
  for (std::ptrdiff_t i = 0; i < k * k; ++i) v[i] = i % (k + 1) == 0 ? 1 : 0;
  double total = 0;
  for (std::ptrdiff_t i = 0; i < k * k; ++i) total += a[i] * a[i];
  const double eps = std::numeric_limits<double>::epsilon();
  const double small = eps * eps * total / 16;
  for (int sweep = 0; sweep < 60; ++sweep) {
    double off = 0;
    for (std::ptrdiff_t p = 0; p < k; ++p) {
      for (std::ptrdiff_t q = p + 1; q < k; ++q) off += a[p * k + q] * a[p * k + q];
    }
    if (off <= small) break;
    for (std::ptrdiff_t p = 0; p < k; ++p) {
      for (std::ptrdiff_t q = p + 1; q < k; ++q) {
        const double apq = a[p * k + q];
        if (apq == 0) continue;
        const double theta = (a[q * k + q] - a[p * k + p]) / (2 * apq);
        const double t = (theta >= 0 ? 1 : -1) / (std::abs(theta) + std::hypot(theta, 1.0));
        const double c = 1 / std::sqrt(1 + t * t), s = t * c;
        const double app = a[p * k + p] - t * apq, aqq = a[q * k + q] + t * apq;
        combine(k, a + p * k, a + q * k, c, s);
        for (std::ptrdiff_t i = 0; i < k; ++i) {
          a[i * k + p] = a[p * k + i];
          a[i * k + q] = a[q * k + i];
        }
        a[p * k + p] = app;
        a[q * k + q] = aqq;
        a[p * k + q] = a[q * k + p] = 0;
        combine(k, v + p * k, v + q * k, c, s);
      }
    }
  }
  for (std::ptrdiff_t i = 0; i < k; ++i) values[i] = a[i * k + i];
  for (std::ptrdiff_t i = 0; i < k; ++i) {
    std::ptrdiff_t least = i;
    for (std::ptrdiff_t j = i + 1; j < k; ++j) least = values[j] < values[least] ? j : least;
    if (least == i) continue;
    std::swap(values[i], values[least]);
    std::swap_ranges(v + i * k, v + (i + 1) * k, v + least * k);
  }
}

}  // namespace wavelens
