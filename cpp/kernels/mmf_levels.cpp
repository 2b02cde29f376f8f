#include "mmf_levels.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;
constexpr double eps = std::numeric_limits<double>::epsilon();
constexpr double same = 1e-12;          // scores closer than this, relatively, are equal
constexpr Index always_looked_at = 64;  // with so few rows left all tuples are looked at in every level

double mean_similarity(Index k, const double* g, double tiny) {
  double sum = 0;
  for (Index i = 0; i < k; ++i) {
    for (Index j = 0; j < i; ++j) {
      const double a = g[i * k + i], b = g[j * k + j];
      if (a > tiny && b > tiny) sum += std::min(1.0, std::abs(g[i * k + j]) / (std::sqrt(a) * std::sqrt(b)));
    }
  }
  return 2 * sum / static_cast<double>(k * (k - 1));
}

}  // namespace

int mmf_exponent(MatrixView<const double> c) {
  double top = 0;
  for (Index i = 0; i < c.rows; ++i) {
    for (Index j = 0; j < c.cols; ++j) top = std::max(top, std::abs(c(i, j)));
  }
  return top > 0 ? -std::ilogb(top) : 0;
}

MmfLevels::MmfLevels(MatrixView<const double> c, Index order, MmfRotation rotation, bool with_gram)
    : k_(order),
      rotation_(rotation),
      exponent_(mmf_exponent(c)),
      matrix_(c, order, exponent_, with_gram),
      tiny_(eps * matrix_.squared_norm()),
      finder_(order, tiny_) {}

Candidate MmfLevels::judge(WaveletFinder& finder, const Index* tuple, bool plain) const {
  std::vector<double> f(k_ * k_), g(k_ * k_);
  matrix_.block(tuple, k_, f.data());
  matrix_.gram_block(tuple, k_, g.data());
  return judge(finder, f.data(), g.data(), plain);
}

Candidate MmfLevels::judge(WaveletFinder& finder, const double* f, const double* g, bool plain) const {
  std::vector<double> x(k_);
  const MmfRotation family =
      k_ >= mmf_screened_order && rotation_ == MmfRotation::opt ? MmfRotation::eigen : rotation_;
  const Wavelet wavelet = finder.find(f, g, family, x.data());
  const double apart = std::max(0.0, 1 - mean_similarity(k_, g, tiny_));
  const bool weighted = !plain || wavelet.error == 0;
  return {plain && wavelet.error > 0 ? wavelet.error : (wavelet.error + tiny_) * (weighted ? apart : 1),
          wavelet.mu};
}

bool MmfLevels::better(const Candidate& a, const Index* a_tuple, const Candidate& b,
                       const Index* b_tuple) const {
  const double margin = same * std::max(a.score, b.score) + same * tiny_;
  if (std::abs(a.score - b.score) > margin) return a.score < b.score;
  const double margin_mu = same * std::max(std::abs(a.mu), std::abs(b.mu)) + eps;
  if (std::abs(std::abs(a.mu) - std::abs(b.mu)) > margin_mu) return std::abs(a.mu) < std::abs(b.mu);
  return std::lexicographical_compare(a_tuple, a_tuple + k_, b_tuple, b_tuple + k_);
}

void MmfLevels::finish(const Index* tuple) {
  std::vector<double> f(k_ * k_), g(k_ * k_), x(k_), rotation(k_ * k_);
  matrix_.block(tuple, k_, f.data());
  matrix_.gram_block(tuple, k_, g.data());
  finder_.find(f.data(), g.data(), rotation_, x.data());
  const Index at = finder_.complete(f.data(), x.data(), rotation.data());
  const auto done = matrix_.rotate(tuple, rotation.data(), at);
  out_.tuples.insert(out_.tuples.end(), tuple, tuple + k_);
  out_.wavelets.push_back(tuple[at]);
  out_.rotations.insert(out_.rotations.end(), rotation.begin(), rotation.end());
  out_.level_errors.push_back(std::ldexp(done.error, -2 * exponent_));
  out_.frequencies.push_back(std::ldexp(done.frequency, -exponent_));
}

Mmf MmfLevels::result() {
  out_.core = matrix_.core();
  for (double& entry : out_.core) entry = std::ldexp(entry, -exponent_);
  out_.core_indices = matrix_.active();
  return std::move(out_);
}

MmfNeighbours::MmfNeighbours(MmfLevels& levels) : levels_(levels) {
  const Index m = levels.matrix().active().empty() ? 0 : levels.matrix().active().back() + 1;
  tuples_.resize(m * levels.order());
  candidates_.resize(m);
  stale_.assign(m, 1);
  mark_.assign(m, 0);
}

void MmfNeighbours::look(const std::vector<Index>& rows) {
  const Index k = levels_.order();
  const auto count = static_cast<Index>(rows.size());
  MmfMatrix& matrix = levels_.matrix();
  parallel_ranges(count, 16, [&](Index begin, Index end) {
    for (Index r = begin; r < end; ++r) matrix.freshen_gram(rows[r]);
  });
  parallel_ranges(count, 16, [&](Index begin, Index end) {
    WaveletFinder finder(k, levels_.tiny());
    std::vector<double> scratch(matrix.width());
    for (Index r = begin; r < end; ++r) {
      const Index i = rows[r];
      Index* tuple = tuples_.data() + i * k;
      matrix.nearest(i, k - 1, tuple, scratch.data());
      tuple[k - 1] = i;
      std::sort(tuple, tuple + k);
      candidates_[i] = levels_.judge(finder, tuple, false);
      stale_[i] = 0;
    }
  });
}

void MmfNeighbours::update() {
  const auto& active = levels_.matrix().active();
  std::vector<Index> rows;
  const bool all = static_cast<Index>(active.size()) <= always_looked_at;
  for (const Index i : active) {
    if (all || stale_[i]) rows.push_back(i);
  }
  look(rows);
}

const Index* MmfNeighbours::of(Index i) {
  look({i});
  return tuples_.data() + i * levels_.order();
}

const Index* MmfNeighbours::best() const {
  const Index k = levels_.order();
  Index best = -1;
  for (const Index i : levels_.matrix().active()) {
    if (best < 0 ||
        levels_.better(candidates_[i], tuples_.data() + i * k, candidates_[best], tuples_.data() + best * k))
      best = i;
  }
  return tuples_.data() + best * k;
}

void MmfNeighbours::touched(const Index* tuple) {
  const Index k = levels_.order();
  for (Index j = 0; j < k; ++j) mark_[tuple[j]] = 1;
  for (const Index i : levels_.matrix().active()) {
    for (Index j = 0; j < k; ++j) {
      if (mark_[tuples_[i * k + j]]) stale_[i] = 1;
    }
  }
  for (Index j = 0; j < k; ++j) mark_[tuple[j]] = 0;
}

}  // namespace wavelens
