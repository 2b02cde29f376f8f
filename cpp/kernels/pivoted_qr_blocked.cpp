// Randomized, left-looking pivoted QR in blocks (after Martinsson et al., SISC 39, 2017; Duersch & Gu, SISC
// 39, 2017), for a matrix that is read and never written.
//
// With Q a basis of the columns chosen so far, a block is chosen from a sketch B = Ω(I − QQᵀ)A, Ω Gaussian
// with 16 to 64 more rows than the block: pivoting B greedily picks, up to the noise of the sketch, the
// columns that pivoting (I − QQᵀ)A would pick. Those columns of A are projected, orthogonalised and pivoted
// once more among themselves (panel_qr), which yields the true diagonal of R.
//
// Two ideas keep the cost under the 2npk flops of QᵀA. The sketch is made afresh for every block, as Ω' = Ω −
// (ΩQ)Qᵀ times A: no R is needed to downdate an old one, and a column costs nothing in a block that does not
// look at it. And few columns are looked at: a column's residual only falls, so what is known of it — its
// norm at first, later its residual in the last sketch that held it — bounds it; columns join the sketch, in
// batches, when the best residual falls to their bound. On wavelet coefficients of images an eighth of the
// products remains; on white noise all of them.
//
// Where A has no more rows than a sketch has, the residual itself takes the sketch's place.

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "greedy_columns.hpp"
#include "panel_qr.hpp"
#include "pivoted_qr_parts.hpp"
#include "wavelens/gemm.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

constexpr Index block_size = 128;
constexpr Index whole_rows = 192;  // at most: sketches would save nothing
constexpr Index smallest_batch = 192;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

template <class T>
class BlockedChoice {
public:
  BlockedChoice(const ScaledMatrix<T>& a, Index k, double rtol, std::uint64_t seed, Monitor& monitor)
      : a_(a), k_(k), rtol_(rtol), seed_(seed), monitor_(monitor), bounds_(a.norms) {
    choice_.q.resize(at(a.view.rows * k));
  }

  Choice<T> run() {
    while (rank() < k_ && choose_block()) {
      monitor_.tick(static_cast<double>(rank()) / static_cast<double>(k_));
    }
    choice_.q.resize(at(a_.view.rows * rank()));
    return std::move(choice_);
  }

private:
  Index rank() const { return static_cast<Index>(choice_.pivots.size()); }
  MatrixView<const T> basis() const { return {choice_.q.data(), a_.view.rows, rank(), 1, a_.view.rows}; }

  // Rows of the sketch. Late pivots of a block see few sketch rows and are chosen with noise; that matters
  // where residuals fall within the block, and little where all columns are about as long.
  Index sketch_rows(Index block) const { return block + (flat_ ? 16 : 64); }

  // How long a sketched residual of unit length is after `step` pivots.
  double sketch_length(Index step) const {
    return whole_ ? 1 : std::sqrt(static_cast<double>(std::max<Index>(sketch_rows_ - step, 1)));
  }

  bool choose_block();
  void start_block(Index block);
  std::vector<Index> pick(Index block);
  void join(Index step, double best, Index block);
  void learn_bounds();

  const ScaledMatrix<T>& a_;
  const Index k_;
  const double rtol_;
  const std::uint64_t seed_;
  Monitor& monitor_;
  Choice<T> choice_;
  std::vector<double> bounds_;  // on the residual norm of every column; −1 once chosen
  double first_ = 0;            // R₁₁
  bool flat_ = false;
  Index blocks_ = 0;

  // Of the present block.
  bool whole_ = false;
  Index sketch_rows_ = 0;
  T unit_ = T(1);  // the power of two that brings the largest residual near 1
  std::vector<T> omega_;
  std::vector<Index> waiting_;  // columns outside the sketch, longest bound first
  std::size_t next_ = 0;
  std::unique_ptr<GreedyColumns<T>> sketch_;
};

template <class T>
void BlockedChoice<T>::start_block(Index block) {
  const Index n = a_.view.rows;
  waiting_.clear();
  for (Index j = 0; j < a_.view.cols; ++j) {
    if (bounds_[at(j)] > 0) waiting_.push_back(j);
  }
  std::sort(waiting_.begin(), waiting_.end(), [&](Index i, Index j) {
    return bounds_[at(i)] != bounds_[at(j)] ? bounds_[at(i)] > bounds_[at(j)] : i < j;
  });
  next_ = 0;
  if (waiting_.empty()) return;
  // Not so large that rounding errors of columns that were long overflow.
  unit_ = std::ldexp(
      T(1), std::min(-std::ilogb(bounds_[at(waiting_.front())]), std::numeric_limits<T>::max_exponent / 3));

  sketch_rows_ = sketch_rows(block);
  whole_ = n <= std::max(sketch_rows_, whole_rows);
  if (whole_) sketch_rows_ = n;
  sketch_ = std::make_unique<GreedyColumns<T>>(sketch_rows_);
  if (whole_) return;
  omega_.resize(at(sketch_rows_ * n));
  const auto omega = column_major(omega_.data(), sketch_rows_, n);
  fill_random(seed_ * 0x9E3779B97F4A7C15u + static_cast<std::uint64_t>(blocks_), omega);
  project_out<T>(basis(), omega.transposed());
}

// Lets columns into the sketch: all whose bound is near `best`, the largest residual inside.
template <class T>
void BlockedChoice<T>::join(Index step, double best, Index block) {
  const auto remaining = static_cast<Index>(waiting_.size() - next_);
  // The last pivot of a block is not longer than the block's worth of longest bounds.
  const double level = best > 0 ? 0.85 * best / sketch_length(step)
                                : 0.7 * bounds_[at(waiting_[next_ + at(std::min(block, remaining)) - 1])];
  Index count = std::min(smallest_batch, remaining);
  while (count < remaining && bounds_[at(waiting_[next_ + at(count)])] >= level) ++count;
  // In the order of A, so that it is read along its lines.
  Index* names = waiting_.data() + next_;
  std::sort(names, names + count);
  const auto target = sketch_->append(names, count);
  if (whole_) {
    gather_columns(a_, names, unit_ * a_.factor, target);
    project_out<T>(basis(), target);
  } else {
    const MatrixView<const T> omega{omega_.data(), sketch_rows_, a_.view.rows, 1, sketch_rows_};
    gemm_columns<T>(unit_ * a_.factor, omega, a_.view, names, count, T(0), target);
  }
  sketch_->measure();
  next_ += at(count);
}

// The positions in the sketch of the next block's columns.
template <class T>
std::vector<Index> BlockedChoice<T>::pick(Index block) {
  std::vector<Index> positions;
  const double stop = rtol_ * first_ * static_cast<double>(unit_) / 4;
  while (static_cast<Index>(positions.size()) < block && sketch_->steps() < sketch_rows_) {
    const Index step = sketch_->steps();
    const Index best = sketch_->best();
    const double residual = best < 0 ? 0 : static_cast<double>(sketch_->residual(best));
    if (next_ < waiting_.size() &&
        residual < bounds_[at(waiting_[next_])] * static_cast<double>(unit_) * sketch_length(step)) {
      join(step, residual / static_cast<double>(unit_), block);
      continue;
    }
    if (best < 0 || !(residual > stop * sketch_length(step))) break;
    sketch_->take(best);
    positions.push_back(best);
  }
  return positions;
}

// A sketched residual is an estimate; two standard deviations above it is as good as a bound. A residual of
// zero may be one whose square vanished: the next block, in another unit, will tell.
template <class T>
void BlockedChoice<T>::learn_bounds() {
  for (Index c = 0; c < sketch_->size(); ++c) {
    if (sketch_->taken(c)) continue;
    const double length = sketch_length(sketch_->level(c));
    const double doubt = whole_ ? 1 : 1 + std::sqrt(2.0) / length;
    const auto residual = static_cast<double>(std::max(sketch_->residual(c), GreedyColumns<T>::vanished()));
    double& bound = bounds_[at(sketch_->name(c))];
    bound = std::min(bound, doubt * residual / (length * static_cast<double>(unit_)));
  }
}

template <class T>
bool BlockedChoice<T>::choose_block() {
  const Index n = a_.view.rows;
  const Index block = std::min({block_size, k_ - rank(), n - rank()});
  start_block(block);
  if (waiting_.empty()) return false;
  ++blocks_;
  const std::vector<Index> positions = pick(block);
  learn_bounds();
  if (positions.empty()) return false;

  std::vector<Index> names;
  names.reserve(positions.size());
  for (const Index position : positions) names.push_back(sketch_->name(position));
  const auto count = static_cast<Index>(names.size());
  std::vector<T> panel_entries(at(n * count));
  const auto panel = column_major(panel_entries.data(), n, count);
  gather_columns(a_, names.data(), unit_ * a_.factor, panel);
  const double threshold = rtol_ * first_ * static_cast<double>(unit_);
  // Residuals seen whole are in the right order, ties and all.
  const auto q_new = column_major(choice_.q.data() + n * rank(), n, count);
  const PanelQr<T> qr =
      panel_qr<T>(basis(), panel, names.data(), threshold, whole_, seed_ ^ at(blocks_), q_new);
  const auto kept = static_cast<Index>(qr.order.size());
  for (Index j = 0; j < kept; ++j) {
    const T length = qr.r[at(j * kept + j)] / unit_;
    if (first_ == 0) first_ = static_cast<double>(length);
    if (static_cast<double>(length) <= rtol_ * first_) return j > 0;
    const Index name = names[at(qr.order[at(j)])];
    choice_.pivots.push_back(name);
    choice_.r_diag.push_back(length);
    bounds_[at(name)] = -1;
  }
  flat_ = kept == count && qr.r.back() > T(0.5) * qr.r.front();
  return kept > 0;
}

}  // namespace

template <class T>
Choice<T> choose_blocked(const ScaledMatrix<T>& a, Index k, double rtol, std::uint64_t seed,
                         Monitor& monitor) {
  return BlockedChoice<T>(a, k, rtol, seed, monitor).run();
}

#define WAVELENS_INSTANTIATE(T) \
  template Choice<T> choose_blocked(const ScaledMatrix<T>&, Index, double, std::uint64_t, Monitor&);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
