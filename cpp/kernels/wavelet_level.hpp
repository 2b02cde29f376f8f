// One level of the wavelet transform on one plane, down and up. Rows are filtered across as they are needed
// and columns right after, from a ring of rows that stays in the innermost cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "simd/leaf.hpp"
#include "simd/wavelet_leaf.hpp"
#include "wavelens/isa.hpp"
#include "wavelet_side.hpp"

namespace wavelens {

WAVELENS_CHOOSE_LEAF(WaveletLeaves, wavelet_leaves)

template <class T>
const WaveletLeaf<T>& wavelet_leaf(const WaveletLeaves& leaves) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return leaves.s;
  } else {
    return leaves.d;
  }
}

struct Level {
  Side rows, cols;
};

// The bands of one level, each row by row, without gaps.
template <class T>
struct Bands {
  T *approximation, *horizontal, *vertical, *diagonal;
};

// Rows of a plane of any type and strides.
template <class Source>
struct RowsOf {
  Source* data;
  std::ptrdiff_t row_stride, col_stride;
};

// c[k] = Σ_j low[j]·x[2k + j] over the extended signal, and the same with `high`.
template <class T>
struct Taps {
  std::vector<T> low, high;
};

template <class T>
class LevelDown {
public:
  LevelDown(const WaveletLeaf<T>& leaf, const Taps<T>& taps) : leaf_(leaf), taps_(taps) {}

  // Rows [begin, end) of the four bands.
  template <class Source>
  void run(const Level& level, const RowsOf<const Source>& plane, const Bands<T>& out, std::ptrdiff_t begin,
           std::ptrdiff_t end);

private:
  template <class Source>
  void extended_row(const Level& level, const RowsOf<const Source>& plane, std::ptrdiff_t at, T* low);
  template <class Source>
  void row_past_end(const Level& level, const RowsOf<const Source>& plane, const PastEnd& past);
  template <class Source>
  void load(const Side& cols, const RowsOf<const Source>& plane, std::ptrdiff_t row, std::vector<T>& into);
  void extend_across(const Side& side);
  void list_copies(const Side& side);
  T* extended(std::vector<T>& halves, std::ptrdiff_t at) {
    return halves.data() + (at % 2 == 0 ? 0 : half_) + at / 2;
  }
  T* ring_row(std::ptrdiff_t at) { return ring_.data() + at % length_ * 2 * width_; }

  const WaveletLeaf<T>& leaf_;
  const Taps<T>& taps_;
  std::ptrdiff_t length_ = 0, half_ = 0, width_ = 0;
  std::vector<T> halves_;                 // the extended row: entries at even places, entries at odd ones
  std::vector<T> ring_;                   // filtered rows, low pass and high pass
  std::vector<T> other_, third_;          // rows that are added to `halves_`
  std::vector<const T*> across_, below_;  // what the filters run over
  std::vector<std::pair<T*, const T*>> copies_;  // to past the ends of `halves_`, from within
};

template <class T>
class LevelUp {
public:
  LevelUp(const WaveletLeaf<T>& leaf, const Taps<T>& taps) : leaf_(leaf), taps_(taps) {}

  // Pairs [begin, end) of rows, counted from the first pair (see Side).
  void run(const Level& level, const Bands<const T>& bands, const RowsOf<T>& plane, std::ptrdiff_t begin,
           std::ptrdiff_t end);

private:
  void filter_down(const Side& side, std::ptrdiff_t width, std::ptrdiff_t pair, const T* low, const T* high,
                   T* even, T* odd);
  void filter_across(const Side& side, T* low, T* high, T* out, std::ptrdiff_t stride);
  void wrap(const Side& side, T* row) const;

  const WaveletLeaf<T>& leaf_;
  const Taps<T>& taps_;  // of even places and of odd ones, each low pass then high pass
  std::vector<T> rows_;  // two pairs of rows between the passes, and the two halves of the rebuilt row
  std::vector<const T*> streams_;
};

}  // namespace wavelens
