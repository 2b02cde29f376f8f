// Greedy Householder pivoting that touches a column only when it has to.
//
// A column's residual norm can only fall as pivots are taken. So the norm a column had when it was last
// brought up to date bounds what it has now, and a column whose bound lies under the best current residual
// need not be touched at all. When it is, all reflectors it has missed are applied, in order, and the norm of
// the remaining entries is summed anew: nothing is ever downdated, so nothing cancels; and the pivots are the
// same, bit for bit, as if every column had been kept up to date. Columns may join later: they catch up in
// the same way.
//
// Ties go to the lowest name. Cost: at most 4·rows·columns·pivots flops; for decaying or random columns a
// fraction of it.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "wavelens/matrix_view.hpp"

namespace wavelens {

template <class T>
class GreedyColumns {
public:
  explicit GreedyColumns(std::ptrdiff_t rows);

  // Residuals shorter than this count as zero: their squares have lost digits to underflow.
  static T vanished() { return std::sqrt(std::numeric_limits<T>::min() / std::numeric_limits<T>::epsilon()); }

  // Adds columns of these names, all zero; the caller fills the view, then calls measure().
  MatrixView<T> append(const std::ptrdiff_t* names, std::ptrdiff_t count);
  void measure();

  // Position of the column with the largest residual, or −1 if all are zero. Its norm is then exact.
  std::ptrdiff_t best();
  // Brings one column up to date.
  void refresh(std::ptrdiff_t position);
  // Makes the column at `position`, which is up to date, the next pivot.
  void take(std::ptrdiff_t position);

  std::ptrdiff_t rows() const { return rows_; }
  std::ptrdiff_t steps() const { return steps_; }
  std::ptrdiff_t size() const { return static_cast<std::ptrdiff_t>(names_.size()); }
  std::ptrdiff_t name(std::ptrdiff_t position) const { return names_[static_cast<std::size_t>(position)]; }
  bool taken(std::ptrdiff_t position) const { return squares_[static_cast<std::size_t>(position)] < T(0); }
  // Norm of the residual when the column had seen `level` pivots.
  T residual(std::ptrdiff_t position) const;
  std::ptrdiff_t level(std::ptrdiff_t position) const { return levels_[static_cast<std::size_t>(position)]; }
  // A taken column: its entries up to its own step are its column of R.
  const T* column(std::ptrdiff_t position) const { return columns_[static_cast<std::size_t>(position)]; }

  // x ← H₀·…·H_{steps−1}·x for a column of `rows` entries (padded to stride()).
  void apply_q(T* x) const;
  std::ptrdiff_t stride() const { return stride_; }

private:
  void bring_up_to_date(const std::vector<std::ptrdiff_t>& positions);
  static T purged(T square) { return square < vanished() * vanished() ? T(0) : square; }
  void update_group(const std::ptrdiff_t* positions, std::ptrdiff_t count);

  std::ptrdiff_t rows_, stride_, steps_ = 0, measured_ = 0;
  std::vector<std::vector<T>> batches_;
  std::vector<T*> columns_;
  std::vector<std::ptrdiff_t> names_, levels_, stale_;
  std::vector<T> squares_;  // of the residual norms at `levels_`; −1 once taken
  std::vector<T> reflectors_;
};

}  // namespace wavelens
