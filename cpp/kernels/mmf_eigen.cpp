// Orders 2 and 3: Jacobi's method, which the compiler unrolls. Above: Householder's reduction to a
// tridiagonal matrix and QL steps with implicit shifts. (Golub and Van Loan, Matrix Computations, sections
// 8.3 and 8.5.) Eigenvectors are kept as rows, so that every rotation combines two rows that lie whole in
// memory. The caller's matrices are scaled to about 1: squares may underflow without harm.

#include "mmf_eigen.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;
constexpr double eps = std::numeric_limits<double>::epsilon();

// x, y ← c·x − s·y, s·x + c·y
inline void combine(Index k, double* x, double* y, double c, double s) {
  for (Index i = 0; i < k; ++i) {
    const double a = x[i], b = y[i];
    x[i] = c * a - s * b;
    y[i] = s * a + c * b;
  }
}

template <int k>
void jacobi(double* a, double* values, double* v) {
  for (int i = 0; i < k * k; ++i) v[i] = i % (k + 1) == 0 ? 1 : 0;
  double total = 0;
  for (int i = 0; i < k * k; ++i) total += a[i] * a[i];
  const double small = eps * eps * total / 16;
  for (int sweep = 0; sweep < 60; ++sweep) {
    double off = 0;
    for (int p = 0; p < k; ++p) {
      for (int q = p + 1; q < k; ++q) off += a[p * k + q] * a[p * k + q];
    }
    if (off <= small) break;
    for (int p = 0; p < k; ++p) {
      for (int q = p + 1; q < k; ++q) {
        const double apq = a[p * k + q];
        if (apq == 0) continue;
        const double gap = (a[q * k + q] - a[p * k + p]) / 2;
        const double t = (gap >= 0 ? apq : -apq) / (std::abs(gap) + std::sqrt(gap * gap + apq * apq));
        if (!(std::abs(t) <= 1)) continue;  // everything underflowed
        const double c = 1 / std::sqrt(1 + t * t), s = t * c;
        const double app = a[p * k + p] - t * apq, aqq = a[q * k + q] + t * apq;
        combine(k, a + p * k, a + q * k, c, s);
        for (int i = 0; i < k; ++i) {
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
  for (int i = 0; i < k; ++i) values[i] = a[i * k + i];
}

double dot(Index n, const double* x, const double* y) {
  double sum = 0;
  for (Index i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

// a = Q·T·Qᵀ: T's diagonal goes to d, what stands beside it to e (k entries, the last one zero), Qᵀ to v.
void tridiagonalize(Index k, double* a, double* d, double* e, double* v) {
  for (Index j = 0; j + 2 < k; ++j) {
    double* x = a + j * k;  // row j right of the diagonal; becomes the reflector's vector
    const double tail = dot(k - j - 2, x + j + 2, x + j + 2);
    if (tail == 0) {
      e[j] = x[j + 1];
      x[j + 1] = 0;
      d[j] = 0;
      continue;
    }
    const double length = std::sqrt(x[j + 1] * x[j + 1] + tail);
    e[j] = x[j + 1] > 0 ? -length : length;
    x[j + 1] -= e[j];
    const double beta = 2 / (x[j + 1] * x[j + 1] + tail);
    d[j] = beta;    // until the reflectors are multiplied out
    double* w = v;  // not in use yet
    for (Index i = j + 1; i < k; ++i) w[i] = beta * dot(k - j - 1, a + i * k + j + 1, x + j + 1);
    const double half = beta / 2 * dot(k - j - 1, w + j + 1, x + j + 1);
    for (Index i = j + 1; i < k; ++i) w[i] -= half * x[i];
    for (Index i = j + 1; i < k; ++i) {
      for (Index c = j + 1; c < k; ++c) a[i * k + c] -= x[i] * w[c] + w[i] * x[c];
    }
  }
  e[k - 2] = a[(k - 2) * k + k - 1];
  e[k - 1] = 0;
  std::fill_n(v, k * k, 0.0);
  for (Index i = 0; i < k; ++i) v[i * k + i] = 1;
  for (Index j = k - 3; j >= 0; --j) {
    const double* x = a + j * k;
    for (Index i = j + 1; i < k; ++i) {
      const double factor = d[j] * dot(k - j - 1, v + i * k + j + 1, x + j + 1);
      for (Index c = j + 1; c < k; ++c) v[i * k + c] -= factor * x[c];
    }
  }
  for (Index j = 0; j < k; ++j) d[j] = a[j * k + j];
}

// One QL step on the unreduced part from `first` to `last`.
void ql_step(Index k, Index first, Index last, double* d, double* e, double* v) {
  const double gap = (d[first + 1] - d[first]) / 2;
  const double root = std::sqrt(gap * gap + e[first] * e[first]);
  const double shift = d[first] - e[first] * (e[first] / (gap < 0 ? gap - root : gap + root));
  double bulge = d[last] - shift, c = 1, s = 1, moved = 0;
  for (Index i = last - 1; i >= first; --i) {
    const double up = s * e[i], along = c * e[i];
    const double length = std::sqrt(up * up + bulge * bulge);
    e[i + 1] = length;
    if (length == 0) {  // it fell apart on the way
      d[i + 1] -= moved;
      e[last] = 0;
      return;
    }
    s = up / length;
    c = bulge / length;
    const double here = d[i + 1] - moved;
    const double slope = (d[i] - here) * s + 2 * c * along;
    moved = s * slope;
    d[i + 1] = here + moved;
    bulge = c * slope - along;
    combine(k, v + i * k, v + (i + 1) * k, c, s);
  }
  d[first] -= moved;
  e[first] = bulge;
  e[last] = 0;
}

void ql(Index k, double* d, double* e, double* v) {
  double size = 0;
  for (Index i = 0; i < k; ++i) size = std::max(size, std::abs(d[i]) + std::abs(e[i]));
  for (Index first = 0; first < k; ++first) {
    for (int step = 0; step < 100; ++step) {
      Index last = first;
      while (last + 1 < k && std::abs(e[last]) > eps / 4 * (std::abs(d[last]) + std::abs(d[last + 1])) &&
             std::abs(e[last]) > eps * eps * size)
        ++last;
      if (last == first) break;
      ql_step(k, first, last, d, e, v);
    }
  }
}

}  // namespace

void small_eigen(Index k, double* a, double* values, double* v) {
  if (k == 1) {
    values[0] = a[0];
    v[0] = 1;
  } else if (k == 2) {
    jacobi<2>(a, values, v);
  } else if (k == 3) {
    jacobi<3>(a, values, v);
  } else {
    thread_local std::vector<double> beside;
    beside.resize(std::max(beside.size(), static_cast<std::size_t>(k)));
    tridiagonalize(k, a, values, beside.data(), v);
    ql(k, values, beside.data(), v);
  }
  for (Index i = 0; i < k; ++i) {
    const Index least = std::min_element(values + i, values + k) - values;
    if (least == i) continue;
    std::swap(values[i], values[least]);
    std::swap_ranges(v + i * k, v + (i + 1) * k, v + least * k);
  }
}

}  // namespace wavelens
