// The rows of one side of a matrix of distances: their order, their frame and their packed strips.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "distance_leaves.hpp"
#include "gemm_panels.hpp"
#include "wavelens/matrix_view.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {

template <class T>
double largest_entry(MatrixView<const T> a) {
  if (std::abs(a.row_stride) < std::abs(a.col_stride)) a = a.transposed();
  std::vector<T> largest(static_cast<std::size_t>(a.rows));
  parallel_ranges(a.rows, 64, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    for (std::ptrdiff_t i = begin; i < end; ++i) {
      // Sixteen maxima at a time, for one alone would wait for itself.
      T lanes[16] = {};
      std::ptrdiff_t j = 0;
      for (; a.col_stride == 1 && j + 16 <= a.cols; j += 16) {
        const T* entries = a.data + i * a.row_stride + j;
        for (int lane = 0; lane < 16; ++lane) {
          const T size = std::abs(entries[lane]);
          lanes[lane] = lanes[lane] < size ? size : lanes[lane];
        }
      }
      T most = *std::max_element(lanes, lanes + 16);
      for (; j < a.cols; ++j) most = std::max(most, std::abs(a(i, j)));
      largest[static_cast<std::size_t>(i)] = most;
    }
  });
  return largest.empty() ? 0 : *std::max_element(largest.begin(), largest.end());
}

// Memory that is not cleared: its pages are first touched by the threads that fill them.
template <class T>
class Room {
public:
  void reserve(std::ptrdiff_t n) {
    if (n <= size_) return;
    entries_.reset(new T[static_cast<std::size_t>(n)]);
    size_ = n;
  }
  T* data() const { return entries_.get(); }
  bool empty() const { return size_ == 0; }

private:
  std::unique_ptr<T[]> entries_;
  std::ptrdiff_t size_ = 0;
};

// Where the rows of a side come from: their order, and a contiguous copy of one where it is not contiguous.
template <class T>
struct Side {
  MatrixView<const T> view;
  std::vector<std::ptrdiff_t> order;

  Side(MatrixView<const T> rows, const std::ptrdiff_t* given) : view(rows) {
    order.resize(static_cast<std::size_t>(rows.rows));
    for (std::ptrdiff_t i = 0; i < rows.rows; ++i) order[static_cast<std::size_t>(i)] = given ? given[i] : i;
  }

  const std::ptrdiff_t* list(std::ptrdiff_t first) const { return order.data() + first; }

  const T* contiguous(std::ptrdiff_t i, std::vector<T>& copy) const {
    const T* row = view.data + order[static_cast<std::size_t>(i)] * view.row_stride;
    if (view.col_stride == 1) return row;
    copy.resize(static_cast<std::size_t>(view.cols));
    for (std::ptrdiff_t j = 0; j < view.cols; ++j)
      copy[static_cast<std::size_t>(j)] = row[j * view.col_stride];
    return copy.data();
  }
};

// A strip of one side, packed, centred and scaled, with the squared norms of its rows.
template <class T>
struct Strip {
  Room<T> panels;
  std::vector<double> norms;
  std::vector<double> factors;
  std::vector<double> largest_norms;  // of each panel
  std::vector<double> largest_factors;
  std::ptrdiff_t first = -1;
  std::ptrdiff_t count = 0;
};

// What makes the rows of both sides fit for products: centred, and scaled by a power of two to |entries| ≤ 1.
template <class T>
class Frame {
public:
  Frame(MatrixView<const T> x, const MatrixView<const T>* y) {
    find_scale(x, y);
    find_centre(x, y);
  }

  double unit() const { return unit_; }  // of the scaled entries
  T scale() const { return scale_; }     // 1/unit

  // Packs columns [p0, p0 + depth) of a strip; its norms grow with every call, from zero at p0 = 0.
  void pack(const Side<T>& side, Strip<T>& strip, std::ptrdiff_t first, std::ptrdiff_t count,
            std::ptrdiff_t width, std::ptrdiff_t p0, std::ptrdiff_t depth, const double* factors) const {
    const std::ptrdiff_t padded = round_up(count, width);
    if (p0 == 0) {
      strip.first = first;
      strip.count = count;
      strip.norms.assign(static_cast<std::size_t>(padded), 0.0);
      strip.factors.assign(static_cast<std::size_t>(padded), 0.0);
      strip.largest_norms.assign(static_cast<std::size_t>(padded / width), 0.0);
      strip.largest_factors.assign(static_cast<std::size_t>(padded / width), 0.0);
      strip.panels.reserve(padded * depth);
      for (std::ptrdiff_t i = 0; factors != nullptr && i < count; ++i) {
        // At most 1e150, so that no product of two of them and a square is infinite or NaN.
        const double factor = factors[side.order[static_cast<std::size_t>(first + i)]] * unit_;
        strip.factors[static_cast<std::size_t>(i)] = std::min(1e150, factor);
      }
    }
    const MatrixView<const T> columns = side.view.block(0, p0, side.view.rows, depth);
    const T* centre = centre_.data() + p0;
    parallel_for(padded / width, [&](std::ptrdiff_t panel) {
      const std::ptrdiff_t at = panel * width;
      T* out = strip.panels.data() + at * depth;
      double* norms = strip.norms.data() + at;
      MatrixView<const T> rows = columns;
      rows.rows = std::min(width, count - at);
      pack_panels(rows, side.list(first + at), width, out);
      leaf_.centre(out, centre, scale_, norms, width, depth);
      const double* multiples = strip.factors.data() + at;
      const auto at_panel = static_cast<std::size_t>(panel);
      strip.largest_norms[at_panel] = *std::max_element(norms, norms + width);
      strip.largest_factors[at_panel] = *std::max_element(multiples, multiples + width);
    });
  }

private:
  void find_scale(MatrixView<const T> x, const MatrixView<const T>* y) {
    const double largest = std::max(largest_entry(x), y == nullptr ? 0.0 : largest_entry(*y));
    int exponent = 0;
    if (largest > 0) std::frexp(largest, &exponent);
    // 2^−exponent itself must be a normal number of T.
    constexpr int limit = std::numeric_limits<T>::max_exponent - 3;
    exponent = std::min(limit, std::max(-limit, exponent));
    unit_ = std::ldexp(1.0, exponent);
    scale_ = static_cast<T>(std::ldexp(1.0, -exponent));
  }

  // The mean of at most 1,024 evenly spaced rows of either side: any point amid the data serves. So it is
  // rounded to a power of two of about a quarter of the spread, which keeps the centred entries of integer
  // data exact, and with them their products, distances and ties.
  void find_centre(MatrixView<const T> x, const MatrixView<const T>* y) {
    const auto k = static_cast<std::size_t>(x.cols);
    std::vector<double> sums(k), squares(k);
    std::ptrdiff_t count = 0;
    const auto collect = [&](MatrixView<const T> a) {
      const std::ptrdiff_t taken = std::min<std::ptrdiff_t>(1024, a.rows);
      parallel_ranges(a.cols, 64, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        for (std::ptrdiff_t i = 0; i < taken; ++i) {
          const std::ptrdiff_t row = i * a.rows / taken;
          for (std::ptrdiff_t j = begin; j < end; ++j) {
            // Relative to the first row, so that a large offset leaves the spread its digits.
            const double entry = scale_ * a(row, j) - scale_ * x(0, j);
            sums[static_cast<std::size_t>(j)] += entry;
            squares[static_cast<std::size_t>(j)] += entry * entry;
          }
        }
      });
      count += taken;
    };
    collect(x);
    if (y != nullptr) collect(*y);
    double spread = 0;
    for (std::size_t j = 0; j < k; ++j) {
      sums[j] /= static_cast<double>(count);
      spread += squares[j] / static_cast<double>(count) - sums[j] * sums[j];
    }
    spread = std::sqrt(std::max(0.0, spread) / static_cast<double>(k));
    int exponent = 0;
    std::frexp(spread, &exponent);
    const double grid = std::ldexp(1.0, exponent - 3);
    for (std::size_t j = 0; j < k; ++j) {
      const double mean = sums[j] + scale_ * x(0, static_cast<std::ptrdiff_t>(j));
      centre_.push_back(static_cast<T>(spread > 0 ? std::nearbyint(mean / grid) * grid : mean));
    }
  }

  double unit_ = 1;
  T scale_ = 1;
  std::vector<T> centre_;
  const DistanceLeaf<T> leaf_ = distance_leaf<T>();
};

}  // namespace wavelens
