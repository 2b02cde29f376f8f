// Squared distances by products, without losing them to cancellation.
//
// ‖x − y‖² = ‖x‖² + ‖y‖² − 2x·y turns n·m distances into one matrix product, but its rounding error is
// ε·(‖x‖² + ‖y‖²), however small the distance. Four measures keep the relative error of float32 near its ε:
//
// 1. The rows are centred (on the mean of a sample) while they are packed, and scaled by a power of two to
//    |entries| ≤ 1, which is exact and keeps 1e200 from overflowing.
// 2. The float32 product runs over some 2.4√k to 4.2√k of the k terms at a time; these short sums are
//    collected in float64. The error of a chain of L roundings grows like √L relative to its sum, and the
//    chunks' errors are independent of one another. The flushes cost a twentieth of the time.
// 3. Norms come from the packed rows (so they fit the product to the last bit) and, as all that follows up to
//    the final rounding, in float64.
// 4. What then still cancels, d² < θ(‖x‖² + ‖y‖²), is computed again from the difference of the two rows, in
//    float64. θ = 1/4 for float32 and 1/64 for float64. Of the pairs of photographs, digits or CT images 0.1
//    to 0.3 % fall under a quarter, so this costs little; in data of far-apart clusters it is most of the
//    work.
//
// A Gaussian does not need a small d² to be relatively exact, only d²/2h² to be absolutely so: where
// (‖x‖² + ‖y‖²)/2h² ≤ 1 measure 4 begins at 2⁻¹⁰ (so that near-duplicates still come out exact).
//
// Tiles of 1,152 × 1,152 (768 × 768 in float64) share their packed rows between the threads; inside, a
// thread holds some panels of x in its second-level cache, lets those of y pass by and finishes each small
// block (norms, clamp, root or exponential) while it is in the first. The sums behind an entry run over the
// columns of the data alone and in a fixed order, so that neither threads nor the side of the diagonal change
// a bit.

#include "pairwise_tiles.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "distance_leaves.hpp"
#include "gemm_panels.hpp"
#include "pairwise_strips.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

template <class T>
struct Sizes {
  static constexpr bool single = std::is_same_v<T, float>;
  static constexpr std::ptrdiff_t tile = single ? 1152 : 768;    // a multiple of every mr and nr
  static constexpr std::ptrdiff_t depth = 1536;                  // of the packed panels
  static constexpr std::ptrdiff_t metric_tile = 128;             // side of a tile of a caller's metric
  static constexpr double cancelled = single ? 0.25 : 1.0 / 64;  // θ
};

// How many float32 terms to sum before a flush. The error of k terms in chunks of L is about 2.4e-8·L/√(3k)
// times Σ|xᵢyᵢ|. For distances it is held to 3.5e-8, so that the error of d² is below 1.4e-7·d² (one standard
// deviation) where θ is 1/4. Of a Gaussian it is (‖x‖² + ‖y‖²)/2h² that multiplies it, so 6e-8 will do.
std::ptrdiff_t chain_length(std::ptrdiff_t k, Entry entry) {
  const double factor = entry == Entry::gaussian ? 4.2 : 2.4;
  const auto longest = static_cast<std::ptrdiff_t>(factor * std::sqrt(static_cast<double>(k)));
  return std::clamp<std::ptrdiff_t>(longest, 16, 256);  // 256 products of 8-bit integers are summed exactly
}

constexpr std::ptrdiff_t part_bytes = 512 * 1024;  // of the panels of x that stay in the second-level cache
constexpr std::ptrdiff_t packed_bytes = 32 * 1024 * 1024;  // of all packed panels of x

constexpr double nearly_equal = 0x1p-10;  // θ where a Gaussian is flat

template <class T>
class Tiles {
public:
  using Sink = std::function<void(const PairTile<T>&)>;
  using Wanted = std::function<bool(std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t)>;

  explicit Tiles(const PairProblem<T>& problem)
      : problem_(problem),
        x_(problem.x, problem.x_order),
        y_(problem.y, problem.y_order),
        depth_(std::max<std::ptrdiff_t>(1, std::min(problem.x.cols, Sizes<T>::depth))),
        side_(problem.metric ? Sizes<T>::metric_tile : Sizes<T>::tile) {
    rows_ = std::min(side_, round_up(problem.x.rows, product_.nr));
    cols_ = std::min(side_, round_up(problem.y.rows, product_.mr));
    values_.reserve(rows_ * cols_);
    if (problem.metric == nullptr) {
      frame_ = std::make_unique<Frame<T>>(problem.x, problem.same ? nullptr : &problem.y);
      if (problem.x.cols > depth_) sums_.reserve(rows_ * cols_);
      if (Sizes<T>::single) chunk_ = chain_length(problem.x.cols, problem.entry);
    }
    // One strip of x at a time where the depth comes in pieces, for these are packed each time.
    const std::ptrdiff_t strip_bytes = side_ * depth_ * static_cast<std::ptrdiff_t>(sizeof(T));
    const std::ptrdiff_t fitting = std::max<std::ptrdiff_t>(1, packed_bytes / strip_bytes);
    const bool one_pass = problem.metric == nullptr && problem.x.cols <= depth_;
    xs_.resize(static_cast<std::size_t>(one_pass ? std::min<std::ptrdiff_t>(4, fitting) : 1));
  }

  double unit() const { return frame_ ? frame_->unit() : 1.0; }

  void run(const Wanted& wanted, const Sink& sink, Monitor& monitor) {
    const std::ptrdiff_t n = problem_.x.rows;
    const std::ptrdiff_t m = problem_.y.rows;
    double done = 0;
    const double all = static_cast<double>(problem_.symmetric ? n * (n + side_) / 2 : n * m);
    // A strip of y serves a group of strips of x before it is packed anew.
    const std::ptrdiff_t group = static_cast<std::ptrdiff_t>(xs_.size()) * side_;
    for (std::ptrdiff_t g = 0; g < n; g += group) {
      for (std::ptrdiff_t j = problem_.symmetric ? g : 0; j < m; j += side_) {
        for (std::ptrdiff_t i = g; i < std::min(n, g + group); i += side_) {
          if (problem_.symmetric && i > j) break;
          const std::ptrdiff_t rows = std::min(side_, n - i);
          const std::ptrdiff_t cols = std::min(side_, m - j);
          if (!wanted || wanted(i, rows, j, cols)) {
            fill(i, rows, j, cols, xs_[static_cast<std::size_t>((i - g) / side_)]);
            sink({i, rows, j, cols, values_.data(), cols_, problem_.symmetric && i != j});
          }
          done += static_cast<double>(rows * cols);
          monitor.tick(std::min(1.0, done / all));
        }
      }
    }
  }

private:
  void fill(std::ptrdiff_t i, std::ptrdiff_t rows, std::ptrdiff_t j, std::ptrdiff_t cols, Strip<T>& xs) {
    if (problem_.metric != nullptr) {
      call_metric(i, rows, j, cols, xs);
    } else {
      multiply(i, rows, j, cols, xs);
    }
    if (problem_.symmetric && i == j) mirror(rows);
    if (problem_.same) fill_diagonal(i, rows, j, cols);
  }

  void multiply(std::ptrdiff_t i0, std::ptrdiff_t rows, std::ptrdiff_t j0, std::ptrdiff_t cols,
                Strip<T>& xs) {
    const std::ptrdiff_t k = problem_.x.cols;
    const bool one_pass = k <= depth_;
    for (std::ptrdiff_t p0 = 0; p0 < k; p0 += depth_) {
      const std::ptrdiff_t depth = std::min(depth_, k - p0);
      if (!one_pass || xs.first != i0)
        frame_->pack(x_, xs, i0, rows, product_.nr, p0, depth, problem_.x_factors);
      if (!one_pass || ys_.first != j0)
        frame_->pack(y_, ys_, j0, cols, product_.mr, p0, depth, problem_.y_factors);
      const std::ptrdiff_t x_panels = (rows + product_.nr - 1) / product_.nr;
      const std::ptrdiff_t y_panels = (cols + product_.mr - 1) / product_.mr;
      // A part of x's panels fills half of a second-level cache; panels of y pass by it.
      const std::ptrdiff_t panel_bytes = product_.nr * depth * static_cast<std::ptrdiff_t>(sizeof(T));
      const std::ptrdiff_t part = std::max<std::ptrdiff_t>(1, part_bytes / panel_bytes);
      const std::ptrdiff_t parts = (x_panels + part - 1) / part;
      parallel_for(y_panels * parts, [&](std::ptrdiff_t task) {
        const std::ptrdiff_t y_panel = task % y_panels;
        const std::ptrdiff_t start = task / y_panels * part;
        for (std::ptrdiff_t x_panel = start; x_panel < std::min(x_panels, start + part); ++x_panel) {
          const bool below = x_panel * product_.nr > (y_panel + 1) * product_.mr - 1;
          if (problem_.symmetric && i0 == j0 && below) continue;
          block(xs, x_panel, y_panel, depth, p0 == 0, p0 + depth == k);
        }
      });
    }
  }

  // One block of nr rows by mr columns: the product over this depth, and after the last depth all the rest.
  void block(const Strip<T>& xs, std::ptrdiff_t x_panel, std::ptrdiff_t y_panel, std::ptrdiff_t depth,
             bool start, bool last) {
    const std::ptrdiff_t mr = product_.mr;
    const std::ptrdiff_t nr = product_.nr;
    thread_local std::vector<double> own;
    own.resize(static_cast<std::size_t>(mr * nr));
    double* sums = own.data();
    if (!sums_.empty()) sums = sums_.data() + (y_panel * (rows_ / nr) + x_panel) * mr * nr;
    const T* a = ys_.panels.data() + y_panel * mr * depth;
    const T* b = xs.panels.data() + x_panel * nr * depth;
    product_.collect(depth, chunk_, a, b, !start, sums);
    if (!last) return;
    const std::ptrdiff_t here = std::min(nr, xs.count - x_panel * nr);
    for (std::ptrdiff_t r = 0; r < here; ++r) finish(xs, x_panel * nr + r, y_panel, sums + r * mr);
  }

  // Products of one row with mr columns become entries.
  void finish(const Strip<T>& xs, std::ptrdiff_t row, std::ptrdiff_t y_panel, double* products) {
    const std::ptrdiff_t mr = product_.mr;
    const std::ptrdiff_t col = y_panel * mr;
    const double* norms = ys_.norms.data() + col;
    const double* factors = ys_.factors.data() + col;
    const double norm = xs.norms[static_cast<std::size_t>(row)];
    const double factor = xs.factors[static_cast<std::size_t>(row)];
    double threshold = Sizes<T>::cancelled;
    if (problem_.entry == Entry::gaussian) {
      const double steepest = ys_.largest_factors[static_cast<std::size_t>(y_panel)] * factor / 2;
      const double size = ys_.largest_norms[static_cast<std::size_t>(y_panel)] + norm;
      if (size * steepest <= 1) threshold = nearly_equal;
    }
    if (leaf_.squared(products, norms, norm, threshold, mr)) {
      recompute(xs, row, col, threshold, products);
    }
    T* out = values_.data() + row * cols_ + col;
    switch (problem_.entry) {
      case Entry::distance:
        return leaf_.root(products, frame_->unit(), out, mr);
      case Entry::squared_distance:
        return leaf_.scaled(products, frame_->unit(), out, mr);
      case Entry::scaled_square:
        return leaf_.scaled(products, 1.0, out, mr);
      case Entry::gaussian:
        return leaf_.gaussian(products, factors, factor / 2, out, mr);
    }
  }

  void recompute(const Strip<T>& xs, std::ptrdiff_t row, std::ptrdiff_t col, double threshold,
                 double* squares) const {
    thread_local std::vector<T> x_copy, y_copy;
    const std::ptrdiff_t count = std::min<std::ptrdiff_t>(product_.mr, ys_.count - col);
    const double* norms = ys_.norms.data() + col;
    const T* x = nullptr;
    for (std::ptrdiff_t c = 0; c < count; ++c) {
      const double size = xs.norms[static_cast<std::size_t>(row)] + norms[c];
      if (!(squares[c] < threshold * size)) continue;
      const bool on_diagonal = problem_.same && xs.first + row == ys_.first + col + c;
      if (on_diagonal) continue;  // filled later
      if (x == nullptr) x = x_.contiguous(xs.first + row, x_copy);
      squares[c] =
          leaf_.direct(x, y_.contiguous(ys_.first + col + c, y_copy), frame_->scale(), problem_.x.cols);
    }
  }

  void call_metric(std::ptrdiff_t i0, std::ptrdiff_t rows, std::ptrdiff_t j0, std::ptrdiff_t cols,
                   Strip<T>& xs) {
    const std::ptrdiff_t k = problem_.x.cols;
    const T* x_rows[Sizes<T>::metric_tile];
    const T* y_rows[Sizes<T>::metric_tile];
    const auto gather = [k](const Side<T>& side, std::ptrdiff_t first, std::ptrdiff_t count, Room<T>& copies,
                            const T** out) {
      const bool copied = side.view.col_stride != 1;
      if (copied) copies.reserve(count * k);
      parallel_for(count, [&](std::ptrdiff_t i) {
        thread_local std::vector<T> copy;
        const T* row = side.contiguous(first + i, copy);
        out[i] = copied ? std::copy(row, row + k, copies.data() + i * k) - k : row;
      });
    };
    gather(x_, i0, rows, xs.panels, x_rows);
    gather(y_, j0, cols, ys_.panels, y_rows);
    parallel_for(rows, [&](std::ptrdiff_t i) {
      for (std::ptrdiff_t j = problem_.symmetric && i0 == j0 ? i + 1 : 0; j < cols; ++j) {
        const double value = problem_.metric(k, x_rows[i], y_rows[j]);
        check_interrupted();  // a caller's function may take any time
        if (std::isnan(value)) {
          throw std::invalid_argument("`metric` must return a number, got NaN or an exception for rows " +
                                      std::to_string(*x_.list(i0 + i)) + " and " +
                                      std::to_string(*y_.list(j0 + j)));
        }
        values_.data()[i * cols_ + j] = static_cast<T>(value);
      }
    });
  }

  // The lower half of a tile on the diagonal from its upper half.
  void mirror(std::ptrdiff_t rows) {
    T* values = values_.data();
    const std::ptrdiff_t stride = cols_;
    parallel_ranges(rows, 32, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
      for (std::ptrdiff_t j = 0; j < end; ++j) {
        for (std::ptrdiff_t i = std::max(begin, j + 1); i < end; ++i) {
          values[i * stride + j] = values[j * stride + i];
        }
      }
    });
  }

  void fill_diagonal(std::ptrdiff_t i0, std::ptrdiff_t rows, std::ptrdiff_t j0, std::ptrdiff_t cols) {
    for (std::ptrdiff_t i = std::max(i0, j0); i < std::min(i0 + rows, j0 + cols); ++i) {
      values_.data()[(i - i0) * cols_ + i - j0] = problem_.diagonal;
    }
  }

  const PairProblem<T>& problem_;
  Side<T> x_, y_;
  const GemmLeaf<T> product_ = gemm_leaf<T>();
  const DistanceLeaf<T> leaf_ = distance_leaf<T>();
  std::ptrdiff_t depth_, side_;
  std::ptrdiff_t rows_ = 0, cols_ = 0;  // of the room for a tile
  std::unique_ptr<Frame<T>> frame_;     // none for a caller's metric
  std::vector<Strip<T>> xs_;
  Strip<T> ys_;
  std::ptrdiff_t chunk_ = 256;  // terms of the products between two flushes
  Room<double> sums_;           // of a tile, block by block, where its depth comes in several pieces
  Room<T> values_;
};

}  // namespace

template <class T>
double for_each_tile(
    const PairProblem<T>& problem,
    const std::function<bool(std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t)>& wanted,
    const std::function<void(const PairTile<T>&)>& sink, Monitor& monitor) {
  Tiles<T> tiles(problem);
  tiles.run(wanted, sink, monitor);
  return tiles.unit();
}

#define WAVELENS_INSTANTIATE(T)                                                                   \
  template double for_each_tile<T>(                                                               \
      const PairProblem<T>&,                                                                      \
      const std::function<bool(std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t, std::ptrdiff_t)>&, \
      const std::function<void(const PairTile<T>&)>&, Monitor&);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
