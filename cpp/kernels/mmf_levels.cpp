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
constexpr double bound_slack = 1e-9;    // rounding of an eigenvalue, relatively
constexpr Index always_looked_at = 64;  // with so few rows left all tuples are looked at in every level

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

MmfJudge::MmfJudge(Index order, MmfRotation rotation, double tiny, bool plain)
    : k_(order),
      family_(order >= mmf_screened_order && rotation == MmfRotation::opt ? MmfRotation::eigen : rotation),
      tiny_(tiny),
      plain_(plain),
      finder_(order, tiny),
      f_(order * order),
      g_(order * order),
      x_(order) {}

double MmfJudge::mean_similarity() const {
  double sum = 0;
  for (Index i = 0; i < k_; ++i) {
    for (Index j = 0; j < i; ++j) {
      const double a = g_[i * k_ + i], b = g_[j * k_ + j];
      if (a > tiny_ && b > tiny_)
        sum += std::min(1.0, std::abs(g_[i * k_ + j]) / (std::sqrt(a) * std::sqrt(b)));
    }
  }
  return 2 * sum / static_cast<double>(k_ * (k_ - 1));
}

Candidate MmfJudge::look(const MmfMatrix& matrix, const Index* tuple, double bar) {
  matrix.block(tuple, k_, f_.data());
  matrix.gram_block(tuple, k_, g_.data());
  const double apart = std::max(0.0, 1 - mean_similarity());
  // An eigenvalue of G − F² is cheaper than `opt`, but no cheaper than the other families.
  if (family_ == MmfRotation::opt && !plain_ && std::isfinite(bar)) {
    const double least = (finder_.least_error(f_.data(), g_.data()) + tiny_) * apart;
    if (least * (1 - bound_slack) > bar) return {least, 0};
  }
  const Wavelet wavelet = finder_.find(f_.data(), g_.data(), family_, x_.data());
  if (plain_ && wavelet.error > 0) return {wavelet.error, wavelet.mu};
  return {(wavelet.error + tiny_) * apart, wavelet.mu};
}

Candidate MmfJudge::look(const MmfMatrix& matrix, const Index* tuple) {
  return look(matrix, tuple, std::numeric_limits<double>::infinity());
}

bool MmfLevels::better(const Candidate& a, const Index* a_tuple, const Candidate& b,
                       const Index* b_tuple) const {
  const double margin = same * std::max(a.score, b.score) + same * tiny_;
  if (std::abs(a.score - b.score) > margin) return a.score < b.score;
  const double margin_mu = same * std::max(std::abs(a.mu), std::abs(b.mu)) + eps;
  if (std::abs(std::abs(a.mu) - std::abs(b.mu)) > margin_mu) return std::abs(a.mu) < std::abs(b.mu);
  return std::lexicographical_compare(a_tuple, a_tuple + k_, b_tuple, b_tuple + k_);
}

Index MmfLevels::finish(const Index* tuple) {
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
  return tuple[at];
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
    MmfJudge judge = levels_.new_judge();
    std::vector<double> scratch(matrix.width());
    for (Index r = begin; r < end; ++r) {
      const Index i = rows[r];
      Index* tuple = tuples_.data() + i * k;
      matrix.nearest(i, k - 1, tuple, scratch.data());
      tuple[k - 1] = i;
      std::sort(tuple, tuple + k);
      candidates_[i] = judge.look(matrix, tuple);
      stale_[i] = 0;
    }
  });
}

const Index* MmfNeighbours::of(Index i) {
  look({i});
  return tuples_.data() + i * levels_.order();
}

const Index* MmfNeighbours::best() {
  const Index k = levels_.order();
  const auto& active = levels_.matrix().active();
  const bool all = static_cast<Index>(active.size()) <= always_looked_at;
  std::vector<Index> rows;
  for (const Index i : active) {
    if (all || stale_[i]) rows.push_back(i);
  }
  look(rows);
  Index best = active.front();
  for (const Index i : active) {
    if (levels_.better(candidates_[i], &tuples_[i * k], candidates_[best], &tuples_[best * k])) best = i;
  }
  touch(&tuples_[best * k]);
  return &tuples_[best * k];
}

void MmfNeighbours::touch(const Index* tuple) {
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
