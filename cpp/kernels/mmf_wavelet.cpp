#include "mmf_wavelet.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "mmf_eigen.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

double dot(Index n, const double* x, const double* y) {
  double sum = 0;
  for (Index i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

double quadratic(Index k, const double* a, const double* x) {
  double sum = 0;
  for (Index i = 0; i < k; ++i) {
    sum += x[i] * dot(k, a + i * k, x);
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

      work_(order * order),
      values_(order),
      vectors_(order * order),
      x_(order) {}

Wavelet WaveletFinder::error_of(const double* f, const double* g, const double* x) const {
  const double mu = quadratic(k_, f, x);
  const double error = 2 * (quadratic(k_, g, x) - mu * mu);
  return {error > tiny_ ? error : 0, mu};
}

Wavelet WaveletFinder::consider(const double* f, const double* g, const double* x) {
  const Wavelet here = error_of(f, g, x);
  if (here.error < best_.error ||
      (here.error == 0 && best_.error == 0 && std::abs(here.mu) < std::abs(best_.mu))) {
    best_ = here;
    std::copy_n(x, k_, best_x_.begin());
  }
  return here;
}

WaveletFinder::Probe WaveletFinder::probe(const double* f, const double* g, double mu) {
  for (Index i = 0; i < k_ * k_; ++i) work_[i] = g[i] - 2 * mu * f[i];
  small_eigen(k_, work_.data(), values_.data(), vectors_.data());
  Probe here{mu, values_[0], 0, 0};
  for (Index i = 0; i < k_; ++i) {
    x_[i] = dot(k_, f + i * k_, vectors_.data());
    here.value += x_[i] * vectors_[i];
  }
  for (Index j = 1; j < k_; ++j) {
    const double turn = dot(k_, vectors_.data() + j * k_, x_.data());
    here.growth += 4 * turn * turn / (values_[j] - values_[0]);
  }
  probes_.insert(std::upper_bound(probes_.begin(), probes_.end(), mu,
                                  [](double value, const Probe& each) { return value < each.mu; }),
                 here);
  return here;
}

// Newton's method for μ = xᵀFx inside the bracket that the signs leave, else the plain alternation, which
// never increases the error.
void WaveletFinder::descend(const double* f, const double* g, double start) {
  const double infinity = std::numeric_limits<double>::infinity();
  double low = -infinity, high = infinity, mu = start;
  for (int round = 0; round < 100; ++round) {
    const Probe here = probe(f, g, mu);
    const Wavelet found = consider(f, g, vectors_.data());
    const double step = here.value - mu;
    if (found.error == 0 || step * step <= 1e-15 * found.error || std::abs(step) <= 1e-16 * std::abs(mu))
      break;
    (step > 0 ? low : high) = mu;
    double next = here.growth < 0.95 ? mu + step / (1 - here.growth) : here.value;
    if (!(next > low && next < high)) next = here.value;
    if (!(next > low && next < high)) next = (low + high) / 2;
    if (!std::isfinite(next) || next == mu) break;
    mu = next;
  }
  basins_.emplace_back(std::min(start, mu), std::max(start, mu));
}

// λ_min(G − 2μF) is concave in μ: between two probes it lies above the chord.
bool WaveletFinder::may_improve(double mu) const {
  for (const auto& [low, high] : basins_) {
    if (mu >= low && mu <= high) return false;
  }
  const auto right = std::upper_bound(probes_.begin(), probes_.end(), mu,
                                      [](double value, const Probe& each) { return value < each.mu; });
  if (right == probes_.begin() || right == probes_.end()) return true;
  const Probe &a = *(right - 1), &b = *right;
  const double slope = (b.least - a.least) / (b.mu - a.mu);
  const double lowest = std::min(std::max(-slope / 2, a.mu), b.mu);
  const double bound = a.least + slope * (lowest - a.mu) + lowest * lowest;
  return 2 * bound < best_.error * (1 - 1e-13);
}

// E/2 = min over μ of λ_min(G − 2μF) + μ². The alternation of x ← the eigenvector and μ ← xᵀFx moves μ
// monotonically, so that all starts between one start and its limit lead to the same limit.
void WaveletFinder::search(const double* f, const double* g, double low, double high) {
  std::sort(order_.begin(), order_.end(), [](const Start& a, const Start& b) {
    return a.error < b.error || (a.error == b.error && a.mu < b.mu);
  });
  probes_.clear();
  basins_.clear();
  for (const double mu : {low, high}) {
    probe(f, g, mu);
    if (consider(f, g, vectors_.data()).error == 0) return;
  }
  for (const Start& each : order_) {
    if (basins_.empty() || may_improve(each.mu)) descend(f, g, each.mu);
    if (best_.error == 0) return;
  }
}

Wavelet WaveletFinder::find(const double* f, const double* g, MmfRotation rotation, double* x) {
  best_ = {std::numeric_limits<double>::infinity(), 0};
  order_.clear();
  double low = 0, high = 0;
  for (const bool of_gram : {false, true}) {
    if (rotation == (of_gram ? MmfRotation::eigen : MmfRotation::gram)) continue;
    std::copy_n(of_gram ? g : f, k_ * k_, work_.begin());
    small_eigen(k_, work_.data(), values_.data(), vectors_.data());
    for (Index i = 0; i < k_; ++i) {
      const Wavelet here = consider(f, g, vectors_.data() + i * k_);
      order_.push_back({here.error, here.mu});
    }
    if (!of_gram) {
      low = values_[0];
      high = values_[k_ - 1];
    }
  }
  if (rotation == MmfRotation::opt && best_.error > 0) search(f, g, low, high);
  std::copy_n(best_x_.begin(), k_, x);
  return best_;
}

double WaveletFinder::least_error(const double* f, const double* g) {
  for (Index i = 0; i < k_; ++i) {
    for (Index j = 0; j <= i; ++j) {
      work_[i * k_ + j] = work_[j * k_ + i] = g[i * k_ + j] - dot(k_, f + i * k_, f + j * k_);
    }
  }
  small_eigen(k_, work_.data(), values_.data(), vectors_.data());
  return std::max(0.0, 2 * values_[0]);
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
