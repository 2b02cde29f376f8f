// A wavelet transform splits a signal into a coarse half (low-pass filter, every second entry kept) and what
// is missing in it (high-pass), and the coarse half again, level by level. A plane is split along both sides:
// one level gives an approximation of a quarter of the size and three bands of details, those that answer to
// horizontal edges (high-pass downwards), to vertical ones (across) and to both. With filters of F taps a
// level costs 2F multiplications and additions per pixel, all levels 8F/3; far less than the time that
// reading the pixels takes, so the aim is to read and write everything once.
//
// Each row is filtered across once, into a ring of F rows; after every second row the ring is filtered
// downwards into one row of each band. The details go straight to their place among the plane's coefficients,
// the approximation into a buffer that the next level reads while it is in the cache. Up goes the same way
// back: rows of two bands together give rows, these give pairs of pixels. Both passes, both ways, are one
// inner loop: two filters over the same rows.
//
// Rebuilding a signal x = Σ_k g[i + o − 2k] c[k] does not know how the signal was extended (but for
// periodization, where indices wrap). Its adjoint, c[k] = Σ_i g[i + o − 2k] x[i], is the filtering of x,
// extended by zeros, with g read backwards: the forward loop with other taps. For orthogonal filters and the
// modes zero and periodization at even sizes it is the forward transform itself; for others the two differ at
// the edges.
//
// Many planes are shared out among the threads; few large ones are cut into strips of rows, level by level.
//
// I. Daubechies, Ten Lectures on Wavelets, SIAM 1992, §5.6 and §10.7; S. Mallat, IEEE Transactions on Pattern
// Analysis and Machine Intelligence 11 (1989), 674–693; G. Strang and T. Nguyen, Wavelets and Filter Banks,
// 1996, chapter 8 for the extensions.

#include "wavelens/wavelet.hpp"

#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <type_traits>

#include "wavelens/buffer.hpp"
#include "wavelens/thread_pool.hpp"
#include "wavelet_level.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

constexpr Index pixels_of_task = 16384;
constexpr Index pixels_between_ticks = 4194304;
constexpr Index pixels_worth_threads = 262144;
// From here on a plane is worth cutting into strips, if there are few of them or it is very large.
constexpr Index pixels_of_strips = 131072;
constexpr Index planes_without_strips = 64;
constexpr Index pixels_of_huge_plane = 4194304;

// Sizes of all levels, the finest first, and where their bands lie among the coefficients of a plane.
struct Pyramid {
  std::vector<Level> levels;
  std::vector<Index> details;  // where the details of a level begin
  Index size = 0;

  Pyramid(Index rows, Index cols, Index length, const WaveletOptions& options, Use use) {
    for (int i = 0; i < options.level; ++i) {
      levels.push_back(
          {make_side(rows, length, options.mode, use), make_side(cols, length, options.mode, use)});
      rows = levels.back().rows.count;
      cols = levels.back().cols.count;
    }
    size = rows * cols;
    details.resize(levels.size());
    for (std::size_t i = levels.size(); i-- > 0;) {
      details[i] = size;
      size += 3 * area(i);
    }
  }

  Index area(std::size_t i) const { return levels[i].rows.count * levels[i].cols.count; }

  // A level whose approximation, if it isn't the coarsest, is elsewhere.
  template <class T>
  Bands<T> bands(std::size_t i, T* coefficients, T* approximation) const {
    T* const at = coefficients + details[i];
    return {i + 1 == levels.size() ? coefficients : approximation, at, at + area(i), at + 2 * area(i)};
  }
};

// Approximations of a plane between its levels, and the level's own buffers.
template <class T, class LevelStep>
struct Workspace {
  LevelStep step;
  std::vector<Buffer<T>> approximations;

  Workspace(const Pyramid& pyramid, const WaveletLeaf<T>& leaf, const Taps<T>& taps) : step(leaf, taps) {
    for (std::size_t i = 0; i + 1 < pyramid.levels.size(); ++i)
      approximations.emplace_back(static_cast<std::size_t>(pyramid.area(i)));
  }
  T* approximation(std::size_t i) { return i < approximations.size() ? approximations[i].data() : nullptr; }
};

// Lends workspaces to tasks, so that there are no more of them than run at once.
template <class W>
class Lender {
public:
  template <class Make>
  std::unique_ptr<W> take(Make make) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!free_.empty()) {
        std::unique_ptr<W> found = std::move(free_.back());
        free_.pop_back();
        return found;
      }
    }
    return make();
  }
  void give_back(std::unique_ptr<W> workspace) {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(std::move(workspace));
  }

private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<W>> free_;
};

// What the two directions have in common: one level of one plane, from row (or pair of rows) to row.
template <class T, class Source>
struct Down {
  using Step = LevelDown<T>;
  Planes<const Source> images;
  PlaneCoefficients<T> out;

  static Index steps(const Level& level) { return level.rows.count; }

  void run(const Pyramid& pyramid, Workspace<T, Step>& own, Step& step, Index plane, std::size_t i,
           Index begin, Index end) const {
    const Index image = plane / images.channels, channel = plane % images.channels;
    T* const to = out.data + image * out.image_stride + channel * out.channel_stride;
    const Bands<T> bands = pyramid.bands<T>(i, to, own.approximation(i));
    if (i == 0) {
      const Source* from = images.data + image * images.image_stride + channel * images.channel_stride;
      step.run(pyramid.levels[0], RowsOf<const Source>{from, images.row_stride, images.col_stride}, bands,
               begin, end);
    } else {
      step.run(pyramid.levels[i], RowsOf<const T>{own.approximation(i - 1), pyramid.levels[i].cols.size, 1},
               bands, begin, end);
    }
  }
};

template <class T>
struct Up {
  using Step = LevelUp<T>;
  Planes<T> images;
  PlaneCoefficients<const T> coefficients;

  static Index steps(const Level& level) { return level.rows.n_pairs(); }

  void run(const Pyramid& pyramid, Workspace<T, Step>& own, Step& step, Index plane, std::size_t i,
           Index begin, Index end) const {
    const Index image = plane / images.channels, channel = plane % images.channels;
    const T* from =
        coefficients.data + image * coefficients.image_stride + channel * coefficients.channel_stride;
    const Bands<const T> bands = pyramid.bands<const T>(i, from, own.approximation(i));
    RowsOf<T> to{own.approximation(i - 1), pyramid.levels[i].cols.size, 1};
    if (i == 0) {
      to = {images.data + image * images.image_stride + channel * images.channel_stride, images.row_stride,
            images.col_stride};
    }
    step.run(pyramid.levels[i], bands, to, begin, end);
  }
};

template <class T, class Way>
class Transform {
  using Step = typename Way::Step;
  using Space = Workspace<T, Step>;

public:
  Transform(const Pyramid& pyramid, const Taps<T>& taps, const Way& way, bool finest_first)
      : pyramid_(pyramid), taps_(taps), way_(way), finest_first_(finest_first) {}

  void run(Monitor& monitor) {
    const Index planes = way_.images.images * way_.images.channels;
    const Index pixels = way_.images.rows * way_.images.cols;
    const bool threads = planes * pixels >= pixels_worth_threads;
    const bool strips = threads && (pixels >= pixels_of_huge_plane ||
                                    (pixels >= pixels_of_strips && planes < planes_without_strips));
    const Index at_once = std::max<Index>(1, pixels_between_ticks / pixels);
    for (Index begin = 0; begin < planes; begin += at_once) {
      const Index end = std::min(planes, begin + at_once);
      if (strips) {
        by_strips(begin, end);
      } else {
        by_planes(begin, end, threads ? std::max<Index>(1, pixels_of_task / pixels) : planes);
      }
      monitor.tick(static_cast<double>(end) / static_cast<double>(planes));
    }
  }

private:
  std::size_t level_at(std::size_t step) const {
    return finest_first_ ? step : pyramid_.levels.size() - 1 - step;
  }
  std::unique_ptr<Space> make() const {
    return std::make_unique<Space>(pyramid_, wavelet_leaf<T>(leaves_), taps_);
  }

  void by_planes(Index begin, Index end, Index grain) {
    parallel_ranges(end - begin, grain, [&](Index first, Index last) {
      std::unique_ptr<Space> space = lender_.take([&] { return make(); });
      for (Index plane = begin + first; plane < begin + last; ++plane) {
        for (std::size_t s = 0; s < pyramid_.levels.size(); ++s) {
          const std::size_t i = level_at(s);
          way_.run(pyramid_, *space, space->step, plane, i, 0, Way::steps(pyramid_.levels[i]));
        }
      }
      lender_.give_back(std::move(space));
    });
  }

  void by_strips(Index begin, Index end) {
    while (static_cast<Index>(spaces_.size()) < end - begin) spaces_.push_back(make());
    for (std::size_t s = 0; s < pyramid_.levels.size(); ++s) {
      const std::size_t i = level_at(s);
      const Level& level = pyramid_.levels[i];
      const Index steps = Way::steps(level);
      const Index grain = std::max(level.rows.length, pixels_of_task / level.cols.size);
      const Index strips = (steps + grain - 1) / grain;
      parallel_for((end - begin) * strips, [&](Index task) {
        Space& space = *spaces_[static_cast<std::size_t>(task / strips)];
        Step step(wavelet_leaf<T>(leaves_), taps_);
        const Index first = task % strips * grain;
        way_.run(pyramid_, space, step, begin + task / strips, i, first, std::min(steps, first + grain));
      });
    }
  }

  const Pyramid& pyramid_;
  const Taps<T>& taps_;
  Way way_;
  bool finest_first_;
  WaveletLeaves leaves_ = wavelet_leaves();
  Lender<Space> lender_;
  std::vector<std::unique_ptr<Space>> spaces_;
};

template <class T>
std::vector<T> cast(const std::vector<double>& taps, bool backwards) {
  std::vector<T> out(taps.begin(), taps.end());
  if (backwards) std::reverse(out.begin(), out.end());
  return out;
}

// Taps of the pairs' first and second entries, over the rows of the low band and then those of the high one.
template <class T>
Taps<T> rebuilding_taps(const Wavelet& wavelet) {
  Taps<T> taps;
  for (const std::vector<double>* filter : {&wavelet.rec_lo, &wavelet.rec_hi}) {
    for (std::size_t j = 0; j < filter->size(); ++j)
      (j % 2 == 0 ? taps.low : taps.high).push_back(static_cast<T>((*filter)[j]));
  }
  return taps;
}

Index check(const Wavelet& wavelet, Index rows, Index cols, const WaveletOptions& options) {
  const std::size_t length = wavelet.dec_lo.size();
  if (length < 2 || length % 2 != 0 || wavelet.dec_hi.size() != length || wavelet.rec_lo.size() != length ||
      wavelet.rec_hi.size() != length) {
    throw std::invalid_argument("the four filters of a wavelet must have one even length");
  }
  if (rows < 1 || cols < 1) throw std::invalid_argument("images must have at least one row and one column");
  wavelet_coefficients(rows, cols, static_cast<Index>(length), options);
  return static_cast<Index>(length);
}

template <class T>
bool coarsest_is_finite(const Pyramid& pyramid, Index images, Index channels,
                        const PlaneCoefficients<T>& out) {
  const Index n = pyramid.area(pyramid.levels.size() - 1);
  for (Index i = 0; i < images; ++i) {
    for (Index c = 0; c < channels; ++c) {
      const T* from = out.data + i * out.image_stride + c * out.channel_stride;
      if (!std::all_of(from, from + n, [](T x) { return std::isfinite(x); })) return false;
    }
  }
  return true;
}

}  // namespace

std::ptrdiff_t wavelet_coefficients(Index rows, Index cols, Index filter_length,
                                    const WaveletOptions& options) {
  if (options.level < 1) throw std::invalid_argument("the level must be at least 1");
  const Index most = std::numeric_limits<Index>::max() / 64;
  Index all = 0;
  for (int i = 0; i < options.level; ++i) {
    if (rows > most / std::max<Index>(cols, 1)) throw std::invalid_argument("the images are too large");
    rows = wavelet_count(rows, filter_length, options.mode);
    cols = wavelet_count(cols, filter_length, options.mode);
    all += 3 * rows * cols;
  }
  return all + rows * cols;
}

template <class T, class Source>
bool wavelet_forward(const Wavelet& wavelet, const WaveletOptions& options,
                     const Planes<const Source>& images, const PlaneCoefficients<T>& out, Monitor& monitor) {
  const Index length = check(wavelet, images.rows, images.cols, options);
  const Pyramid pyramid(images.rows, images.cols, length, options, Use::forward);
  const Taps<T> taps{cast<T>(wavelet.dec_lo, true), cast<T>(wavelet.dec_hi, true)};
  Transform<T, Down<T, Source>>(pyramid, taps, {images, out}, true).run(monitor);
  return std::is_integral_v<Source> || coarsest_is_finite<T>(pyramid, images.images, images.channels, out);
}

template <class T>
void wavelet_inverse(const Wavelet& wavelet, const WaveletOptions& options,
                     const PlaneCoefficients<const T>& coefficients, const Planes<T>& images,
                     Monitor& monitor) {
  const Index length = check(wavelet, images.rows, images.cols, options);
  const Pyramid pyramid(images.rows, images.cols, length, options, Use::inverse);
  const Taps<T> taps = rebuilding_taps<T>(wavelet);
  Transform<T, Up<T>>(pyramid, taps, {images, coefficients}, false).run(monitor);
}

template <class T>
void wavelet_inverse_adjoint(const Wavelet& wavelet, const WaveletOptions& options,
                             const Planes<const T>& images, const PlaneCoefficients<T>& out,
                             Monitor& monitor) {
  const Index length = check(wavelet, images.rows, images.cols, options);
  const Pyramid pyramid(images.rows, images.cols, length, options, Use::adjoint);
  const Taps<T> taps{cast<T>(wavelet.rec_lo, false), cast<T>(wavelet.rec_hi, false)};
  Transform<T, Down<T, T>>(pyramid, taps, {images, out}, true).run(monitor);
}

#define WAVELENS_INSTANTIATE(T)                                                                              \
  template bool wavelet_forward<T, T>(const Wavelet&, const WaveletOptions&, const Planes<const T>&,         \
                                      const PlaneCoefficients<T>&, Monitor&);                                \
  template void wavelet_inverse<T>(const Wavelet&, const WaveletOptions&, const PlaneCoefficients<const T>&, \
                                   const Planes<T>&, Monitor&);                                              \
  template void wavelet_inverse_adjoint<T>(const Wavelet&, const WaveletOptions&, const Planes<const T>&,    \
                                           const PlaneCoefficients<T>&, Monitor&);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)
#undef WAVELENS_INSTANTIATE
template bool wavelet_forward<double, unsigned char>(const Wavelet&, const WaveletOptions&,
                                                     const Planes<const unsigned char>&,
                                                     const PlaneCoefficients<double>&, Monitor&);

}  // namespace wavelens
