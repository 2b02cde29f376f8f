#include "mmf_wavelet.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "mmf_eigen.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

double quadratic(Index k, const double* a, const double* x) {
  double sum = 0;
  for (Index i = 0; i < k; ++i) {
    double row = 0;
    for (Index j = 0; j < k; ++j) row += a[i * k + j] * x[j];
    sum += x[i] * row;
  }
  return sum;
}

// Of a k × k matrix, by elimination; only the sign is of interest.
bool negative_determinant(Index k, double* a) {
  bool negative = false;
  for (Index j = 0; j < k; ++j) {
    Index pivot = j;
    for (Index i = j + 1; i < k; ++i) pivot = std::abs(a[i * k + j]) > std::abs(a[pivot * k + j]) ? i : pivot;
    if (pivot != j) {
      std::swap_ranges(a + j * k, a + (j + 1) * k, a + pivot * k);
      negative = !negative;
    }
    if (a[j * k + j] < 0) negative = !negative;
    for (Index i = j + 1; i < k; ++i) {
      const double factor = a[i * k + j] / a[j * k + j];
      for (Index c = j; c < k; ++c) a[i * k + c] -= factor * a[j * k + c];
    }
  }
  return negative;
}

}  // namespace

// Shortest augmenting paths with potentials (Kuhn's Hungarian method in the form of Jonker and Volgenant,
// Computing 38, 1987), O(n³).
void best_assignment(Index n, const double* score, std::vector<Index>& match) {
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> row_price(static_cast<std::size_t>(n + 1)), price(row_price), slack(row_price);
  std::vector<Index> row_of(static_cast<std::size_t>(n + 1), 0), from(row_of);
  std::vector<char> seen(static_cast<std::size_t>(n + 1));
  for (Index row = 1; row <= n; ++row) {  // 0 stands for none
    row_of[0] = row;
    Index column = 0;
    std::fill(slack.begin(), slack.end(), infinity);
    std::fill(seen.begin(), seen.end(), 0);
    do {
      seen[column] = 1;
      const Index here = row_of[column];
      double least = infinity;
      Index next = 0;
      for (Index j = 1; j <= n; ++j) {
        if (seen[j]) continue;
        const double reduced = -score[(here - 1) * n + j - 1] - row_price[here] - price[j];
        if (reduced < slack[j]) {
          slack[j] = reduced;
          from[j] = column;
        }
        if (slack[j] < least) {
          least = slack[j];
          next = j;
        }
      }
      for (Index j = 0; j <= n; ++j) {
        if (seen[j]) {
          row_price[row_of[j]] += least;
          price[j] -= least;
        } else {
          slack[j] -= least;
        }
      }
      column = next;
    } while (row_of[column] != 0);
    while (column != 0) {
      row_of[column] = row_of[from[column]];
      column = from[column];
    }
  }
  match.resize(static_cast<std::size_t>(n));
  for (Index j = 1; j <= n; ++j) match[j - 1] = row_of[j] - 1;
}

WaveletFinder::WaveletFinder(Index order, double tiny)
    : k_(order),
      tiny_(tiny),
      best_x_(order),
      starts_(2 * order * order),
      work_(order * order),
      values_(order),
      vectors_(order * order),
      x_(order) {}

Wavelet WaveletFinder::error_of(const double* f, const double* g, const double* x) const {
  const double mu = quadratic(k_, f, x);
  const double error = 2 * (quadratic(k_, g, x) - mu * mu);
  return {error > tiny_ ? error : 0, mu};
}

void WaveletFinder::consider(const double* f, const double* g, const double* x) {
  const Wavelet here = error_of(f, g, x);
  if (here.error < best_.error ||
      (here.error == 0 && best_.error == 0 && std::abs(here.mu) < std::abs(best_.mu))) {
    best_ = here;
    std::copy_n(x, k_, best_x_.begin());
  }
}

// E/2 = min over μ of λ_min(G − 2μF) + μ²: alternate between the eigenvector and μ.
void WaveletFinder::descend(const double* f, const double* g, const double* start) {
  std::copy_n(start, k_, x_.begin());
  double mu = quadratic(k_, f, start), before = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 200; ++round) {
    for (Index i = 0; i < k_ * k_; ++i) work_[i] = g[i] - 2 * mu * f[i];
    small_eigen(k_, work_.data(), values_.data(), vectors_.data());
    const Wavelet here = error_of(f, g, vectors_.data());
    if (!(here.error < before * (1 - 1e-14))) break;
    std::copy_n(vectors_.begin(), k_, x_.begin());
    before = here.error;
    mu = here.mu;
  }
  consider(f, g, x_.data());
}

Wavelet WaveletFinder::find(const double* f, const double* g, MmfRotation rotation, double* x) {
  Index n_starts = 0;
  for (const bool of_gram : {false, true}) {
    if (rotation == (of_gram ? MmfRotation::eigen : MmfRotation::gram)) continue;
    std::copy_n(of_gram ? g : f, k_ * k_, work_.begin());
    small_eigen(k_, work_.data(), values_.data(), starts_.data() + n_starts * k_);
    n_starts += k_;
  }
  best_ = {std::numeric_limits<double>::infinity(), 0};
  for (Index i = 0; i < n_starts; ++i) consider(f, g, starts_.data() + i * k_);
  if (rotation == MmfRotation::opt && best_.error > 0) {
    for (Index i = 0; i < n_starts; ++i) descend(f, g, starts_.data() + i * k_);
  }
  std::copy_n(best_x_.begin(), k_, x);
  return best_;
}

Index WaveletFinder::complete(const double* f, const double* x, double* rotation) {
  const Index k = k_, n = k - 1;
  const Index at =
      std::max_element(x, x + k, [](double a, double b) { return std::abs(a) < std::abs(b); }) - x;
  // The reflection I − w·wᵀ/h that takes x to ±e_at; its other rows span the complement of x.
  std::vector<double> w(x, x + k), basis(n * k), projected(n * k), small(n * n), score(n * n);
  w[at] += x[at] < 0 ? -1 : 1;
  const double h = std::abs(w[at]);
  for (Index i = 0, row = 0; i < k; ++i) {
    if (i == at) continue;
    for (Index j = 0; j < k; ++j) basis[row * k + j] = (i == j) - w[i] * w[j] / h;
    ++row;
  }
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < k; ++j) {
      double sum = 0;
      for (Index p = 0; p < k; ++p) sum += basis[i * k + p] * f[p * k + j];
      projected[i * k + j] = sum;
    }
  }
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j <= i; ++j) {
      double sum = 0;
      for (Index p = 0; p < k; ++p) sum += projected[i * k + p] * basis[j * k + p];
      small[i * n + j] = small[j * n + i] = sum;
    }
  }
  small_eigen(n, small.data(), values_.data(), vectors_.data());
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < k; ++j) {
      double sum = 0;
      for (Index p = 0; p < n; ++p) sum += vectors_[i * n + p] * basis[p * k + j];
      projected[i * k + j] = sum;
      if (j != at) score[i * n + (j < at ? j : j - 1)] = std::abs(sum);
    }
  }
  best_assignment(n, score.data(), match_);
  for (Index i = 0; i < k; ++i) {
    const double* from = i == at ? x : projected.data() + match_[i < at ? i : i - 1] * k;
    const double sign = from[i] < 0 ? -1 : 1;
    for (Index j = 0; j < k; ++j) rotation[i * k + j] = sign * from[j];
  }
  std::copy_n(rotation, k * k, work_.begin());
  if (negative_determinant(k, work_.data())) {
    Index weakest = at == 0 ? 1 : 0;
    for (Index i = 0; i < k; ++i) {
      if (i != at && rotation[i * k + i] < rotation[weakest * k + weakest]) weakest = i;
    }
    for (Index j = 0; j < k; ++j) rotation[weakest * k + j] *= -1;
  }
  return at;
}

}  // namespace wavelens
