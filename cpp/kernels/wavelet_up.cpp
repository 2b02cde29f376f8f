// Up: `length / 2` rows of coefficients of two bands each give a pair of rows that are rebuilt downwards;
// across, the same filters give the entries at even and at odd places, which are then put together.

#include "wavelet_level.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

}  // namespace

template <class T>
void LevelUp<T>::run(const Level& level, const Bands<const T>& bands, const RowsOf<T>& plane, Index begin,
                     Index end) {
  const Side &rows = level.rows, &cols = level.cols;
  const Index width = cols.count, pad = cols.length / 2;
  const Index stride = width + 2 * pad;
  const auto needed = static_cast<std::size_t>(4 * stride + 2 * cols.n_pairs());
  if (rows_.size() < needed) rows_.resize(needed);
  streams_.resize(static_cast<std::size_t>(cols.length));
  T* low[2] = {rows_.data() + pad, rows_.data() + stride + pad};
  T* high[2] = {low[0] + 2 * stride, low[1] + 2 * stride};
  for (Index pair = rows.first_pair() + begin; pair < rows.first_pair() + end; ++pair) {
    filter_down(rows, width, pair, bands.approximation, bands.horizontal, low[0], low[1]);
    filter_down(rows, width, pair, bands.vertical, bands.diagonal, high[0], high[1]);
    for (int odd = 0; odd < 2; ++odd) {
      const Index row = 2 * pair - rows.lead + odd;
      if (row < 0 || row >= rows.size) continue;
      filter_across(cols, low[odd], high[odd], plane.data + row * plane.row_stride, plane.col_stride);
    }
  }
}

template <class T>
void LevelUp<T>::filter_down(const Side& side, Index width, Index pair, const T* low, const T* high, T* even,
                             T* odd) {
  const Index half = side.length / 2;
  for (Index j = 0; j < half; ++j) {
    Index k = pair - j;  // beyond [0, count) by periodization only
    while (k < 0) k += side.count;
    while (k >= side.count) k -= side.count;
    streams_[j] = low + k * width;
    streams_[half + j] = high + k * width;
  }
  leaf_.filter(side.length, streams_.data(), taps_.low.data(), taps_.high.data(), width, even, odd);
}

template <class T>
void LevelUp<T>::filter_across(const Side& side, T* low, T* high, T* out, Index stride) {
  if (side.periodized) {
    wrap(side, low);
    wrap(side, high);
  }
  const Index half = side.length / 2, pairs = side.n_pairs();
  for (Index j = 0; j < half; ++j) {
    streams_[j] = low + side.first_pair() - j;
    streams_[half + j] = high + side.first_pair() - j;
  }
  T* const first = rows_.data() + 4 * (side.count + 2 * half);
  T* const second = first + pairs;
  leaf_.filter(side.length, streams_.data(), taps_.low.data(), taps_.high.data(), pairs, first, second);
  // With an odd lead the first entry of the first pair lies before the row.
  const bool shifted = side.lead % 2 != 0;
  const T* even = shifted ? second : first;
  const T* odd = shifted ? first + 1 : second;
  if (stride == 1) return leaf_.merge(side.size, even, odd, out);
  for (Index i = 0; i < side.size; ++i) out[i * stride] = i % 2 == 0 ? even[i / 2] : odd[i / 2];
}

// A periodized row goes on past its ends as far as a filter reaches, entry by entry from the nearest one, so
// that rows shorter than that go round more than once.
template <class T>
void LevelUp<T>::wrap(const Side& side, T* row) const {
  const Index n = side.count;
  const Index before = side.length / 2 - 1 - side.first_pair();
  const Index after = side.first_pair() + side.n_pairs() - n;
  for (Index i = 1; i <= before; ++i) row[-i] = row[n - i];
  for (Index i = 0; i < after; ++i) row[n + i] = row[i];
}

template class LevelUp<float>;
template class LevelUp<double>;

}  // namespace wavelens
