// Down: each row of the extended plane is filtered across into a ring; every second row, `length` rows of the
// ring are filtered down into one row of each band.

#include "wavelet_level.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

template <class T>
void at_least(std::vector<T>& buffer, Index size) {
  if (static_cast<Index>(buffer.size()) < size) buffer.resize(static_cast<std::size_t>(size));
}

}  // namespace

template <class T>
template <class Source>
void LevelDown<T>::run(const Level& level, const RowsOf<const Source>& plane, const Bands<T>& out,
                       Index begin, Index end) {
  const Side& cols = level.cols;
  length_ = cols.length;
  half_ = cols.count + length_ / 2;
  width_ = cols.count;
  at_least(halves_, 2 * half_);
  at_least(ring_, length_ * 2 * width_);
  at_least(other_, 2 * half_);
  at_least(third_, 2 * half_);
  across_.resize(static_cast<std::size_t>(length_));
  below_.resize(static_cast<std::size_t>(length_));
  for (Index j = 0; j < length_; ++j) across_[j] = extended(halves_, j);
  list_copies(cols);
  Index ready = 2 * begin;
  for (Index k = begin; k < end; ++k) {
    for (; ready < 2 * k + length_; ++ready) extended_row(level, plane, ready, ring_row(ready));
    const T* below = ring_row(2 * k);
    for (Index j = 0; j < length_; ++j) {
      below_[j] = below;
      below += 2 * width_;
      if (below == ring_.data() + length_ * 2 * width_) below = ring_.data();
    }
    const Index to = k * width_;
    leaf_.filter(length_, below_.data(), taps_.low.data(), taps_.high.data(), width_, out.approximation + to,
                 out.horizontal + to);
    for (const T*& row : below_) row += width_;
    leaf_.filter(length_, below_.data(), taps_.low.data(), taps_.high.data(), width_, out.vertical + to,
                 out.diagonal + to);
  }
}

template <class T>
template <class Source>
void LevelDown<T>::extended_row(const Level& level, const RowsOf<const Source>& plane, Index at, T* low) {
  const PastEnd* past = level.rows.past_end(at);
  if (past != nullptr && past->zero()) {
    std::fill(low, low + 2 * width_, T(0));
    return;
  }
  if (past == nullptr) {
    load(level.cols, plane, at - level.rows.lead, halves_);
  } else {
    row_past_end(level, plane, *past);
  }
  extend_across(level.cols);
  leaf_.filter(length_, across_.data(), taps_.low.data(), taps_.high.data(), width_, low, low + width_);
}

template <class T>
template <class Source>
void LevelDown<T>::row_past_end(const Level& level, const RowsOf<const Source>& plane, const PastEnd& past) {
  load(level.cols, plane, past.from, halves_);
  if (past.copy()) return;
  const auto weight = static_cast<T>(past.weight), last = static_cast<T>(past.last);
  const auto slope = static_cast<T>(past.slope);
  for (Index i = 0; i < 2 * half_; ++i) halves_[i] *= weight;
  if (past.last != 0) {
    load(level.cols, plane, level.rows.size - 1, other_);
    for (Index i = 0; i < 2 * half_; ++i) halves_[i] += last * other_[i];
  }
  if (past.slope != 0) {
    load(level.cols, plane, past.here, other_);
    load(level.cols, plane, past.there, third_);
    for (Index i = 0; i < 2 * half_; ++i) halves_[i] += slope * (other_[i] - third_[i]);
  }
}

template <class T>
template <class Source>
void LevelDown<T>::load(const Side& cols, const RowsOf<const Source>& plane, Index row,
                        std::vector<T>& into) {
  const Source* from = plane.data + row * plane.row_stride;
  const Index n = cols.size, stride = plane.col_stride;
  T* const even = extended(into, cols.lead);
  T* const odd = extended(into, cols.lead + 1);
  if (stride == 1) {
    if constexpr (sizeof(Source) == 1) {
      leaf_.split_bytes(n, from, even, odd);
    } else {
      leaf_.split(n, from, even, odd);
    }
    return;
  }
  for (Index i = 0; i < n; i += 2) even[i / 2] = static_cast<T>(from[i * stride]);
  for (Index i = 1; i < n; i += 2) odd[i / 2] = static_cast<T>(from[i * stride]);
}

// Nearly all modes only copy entries past the ends, or zero.
template <class T>
void LevelDown<T>::list_copies(const Side& side) {
  static const T zero = 0;
  copies_.clear();
  for (const PastEnd& past : side.past) {
    if (!past.zero() && !past.copy()) continue;
    const T* from = past.zero() ? &zero : extended(halves_, side.lead + past.from);
    copies_.emplace_back(extended(halves_, past.at), from);
  }
}

template <class T>
void LevelDown<T>::extend_across(const Side& side) {
  for (const auto& [to, from] : copies_) *to = *from;
  if (copies_.size() == side.past.size()) return;
  const auto entry = [&](Index e) { return *extended(halves_, side.lead + e); };
  for (const PastEnd& past : side.past) {
    if (past.zero() || past.copy()) continue;
    *extended(halves_, past.at) = static_cast<T>(past.weight) * entry(past.from) +
                                  static_cast<T>(past.last) * entry(side.size - 1) +
                                  static_cast<T>(past.slope) * (entry(past.here) - entry(past.there));
  }
}

template class LevelDown<float>;
template class LevelDown<double>;
template void LevelDown<float>::run(const Level&, const RowsOf<const float>&, const Bands<float>&, Index,
                                    Index);
template void LevelDown<double>::run(const Level&, const RowsOf<const double>&, const Bands<double>&, Index,
                                     Index);
template void LevelDown<double>::run(const Level&, const RowsOf<const unsigned char>&, const Bands<double>&,
                                     Index, Index);

}  // namespace wavelens
