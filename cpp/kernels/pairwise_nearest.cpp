// The k nearest rows of every row, without the matrix of distances.
//
// Each row keeps a heap of the k nearest found so far. A tile's row is compared, vector by vector, with the
// worst distance in its heap, and only what is nearer is looked at. After the first tiles next to nothing is,
// so that the search costs little beside the distances. Off the diagonal, a tile of x against itself serves
// its columns too. Order among equals is by index, so the result does not depend on the order of the work.
//
// For neighbours of another (or the same) class the rows are taken in the order of their classes: in any tile
// the excluded ones are one run of neighbours, and a tile without any candidate is not computed.

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "distance_leaves.hpp"
#include "pairwise_classes.hpp"
#include "pairwise_tiles.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

template <class T>
class Nearest {
public:
  struct Found {
    T value;
    std::ptrdiff_t index;
    bool operator<(const Found& other) const {
      return value < other.value || (value == other.value && index < other.index);
    }
  };

  // The k nearest of `candidates` rows, for n rows.
  Nearest(std::ptrdiff_t n, std::ptrdiff_t k, std::ptrdiff_t candidates)
      : k_(static_cast<std::size_t>(k)),
        heaps_(static_cast<std::size_t>(n)),
        worst_(static_cast<std::size_t>(n), std::numeric_limits<T>::max()) {
    for (auto& heap : heaps_) heap.reserve(static_cast<std::size_t>(std::min(k, candidates)));
  }

  T worst(std::ptrdiff_t row) const { return worst_[static_cast<std::size_t>(row)]; }
  const T* worsts(std::ptrdiff_t row) const { return worst_.data() + row; }

  void offer(std::ptrdiff_t row, Found candidate) {
    auto& heap = heaps_[static_cast<std::size_t>(row)];
    if (heap.size() == k_) {
      if (!(candidate < heap.front())) return;
      std::pop_heap(heap.begin(), heap.end());
      heap.back() = candidate;
    } else {
      heap.push_back(candidate);
    }
    std::push_heap(heap.begin(), heap.end());
    if (heap.size() == k_) worst_[static_cast<std::size_t>(row)] = heap.front().value;
  }

  const std::vector<Found>& sorted(std::ptrdiff_t row) {
    auto& heap = heaps_[static_cast<std::size_t>(row)];
    std::sort_heap(heap.begin(), heap.end());
    return heap;
  }

private:
  std::size_t k_;
  std::vector<std::vector<Found>> heaps_;
  std::vector<T> worst_;  // of a full heap; the largest number of T until then
};

// Calls visit(begin, end) for the parts of [0, count) outside or inside a run.
template <class Visit>
void candidates(Neighbours of, const ByClass::Run& own, std::ptrdiff_t count, Visit visit) {
  switch (of) {
    case Neighbours::any:
      return visit(std::ptrdiff_t{0}, count);
    case Neighbours::same:
      return visit(own.begin, own.end);
    case Neighbours::other:
      visit(std::ptrdiff_t{0}, own.begin);
      visit(own.end, count);
  }
}

}  // namespace

template <class T>
void k_nearest(MatrixView<const T> x, const MatrixView<const T>* y, std::ptrdiff_t k, Neighbours of,
               const std::int64_t* x_classes, const std::int64_t* y_classes, Metric<T> metric,
               MatrixView<std::int64_t> indices, MatrixView<T> distances, Monitor& monitor) {
  const bool by_class = of != Neighbours::any;
  const ByClass rows(by_class ? x_classes : nullptr, x.rows);
  const ByClass cols(by_class ? y_classes : nullptr, y ? y->rows : x.rows);
  PairProblem<T> problem;
  problem.x = x;
  problem.y = y ? *y : x;
  problem.same = problem.symmetric = y == nullptr;
  problem.entry = Entry::scaled_square;
  problem.diagonal = std::numeric_limits<T>::infinity();  // a row is no neighbour of itself
  problem.metric = metric;
  problem.x_order = rows.order();
  problem.y_order = cols.order();
  Nearest<T> nearest(x.rows, k, problem.y.rows);
  const DistanceLeaf<T> leaf = distance_leaf<T>();

  const auto search_row = [&](const PairTile<T>& tile, std::ptrdiff_t i) {
    const std::ptrdiff_t row = tile.row + i;
    const T* values = tile.line(i);
    const auto own = cols.equal(tile.col, tile.cols, rows.code(row));
    candidates(of, own, tile.cols, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
      std::ptrdiff_t j = begin;
      while ((j = leaf.next_within(values, nearest.worst(row), j, end)) < end) {
        nearest.offer(row, {values[j], cols.order()[tile.col + j]});
        ++j;
      }
    });
  };
  // Columns [begin, end) as rows of their own, against the tile's row i.
  const auto search_columns = [&](const PairTile<T>& tile, std::ptrdiff_t i, std::ptrdiff_t begin,
                                  std::ptrdiff_t end) {
    const T* values = tile.line(i) + begin;
    const std::ptrdiff_t first = tile.col + begin;
    const auto own = rows.equal(first, end - begin, rows.code(tile.row + i));
    candidates(of, own, end - begin, [&](std::ptrdiff_t from, std::ptrdiff_t to) {
      std::ptrdiff_t j = from;
      while ((j = leaf.next_within_each(values, nearest.worsts(first), j, to)) < to) {
        nearest.offer(first + j, {values[j], rows.order()[tile.row + i]});
        ++j;
      }
    });
  };
  const auto search = [&](const PairTile<T>& tile) {
    over_tile(
        tile,
        [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
          for (std::ptrdiff_t i = begin; i < end; ++i) search_row(tile, i);
        },
        [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
          for (std::ptrdiff_t i = 0; i < tile.rows; ++i) search_columns(tile, i, begin, end);
        });
  };
  const auto wanted = [&](std::ptrdiff_t i, std::ptrdiff_t n_rows, std::ptrdiff_t j, std::ptrdiff_t n_cols) {
    const std::int64_t low = rows.code(i), high = rows.code(i + n_rows - 1);
    const std::int64_t other_low = cols.code(j), other_high = cols.code(j + n_cols - 1);
    if (of == Neighbours::same) return low <= other_high && other_low <= high;
    if (of == Neighbours::other) return !(low == high && other_low == other_high && low == other_low);
    return true;
  };
  const double unit = for_each_tile<T>(problem, wanted, search, monitor);

  parallel_ranges(x.rows, 256, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    for (std::ptrdiff_t at = begin; at < end; ++at) {
      const std::ptrdiff_t row = rows.order()[at];
      const auto& found = nearest.sorted(at);
      const auto count = static_cast<std::ptrdiff_t>(found.size());
      for (std::ptrdiff_t c = 0; c < k; ++c) {
        indices(row, c) = -1;
        distances(row, c) = std::numeric_limits<T>::infinity();
        if (c >= count) continue;
        const auto& each = found[static_cast<std::size_t>(c)];
        indices(row, c) = each.index;
        const double root = std::sqrt(static_cast<double>(each.value)) * unit;
        distances(row, c) = metric ? each.value : static_cast<T>(root);
      }
    }
  });
}

#define WAVELENS_INSTANTIATE(T)                                                                             \
  template void k_nearest<T>(MatrixView<const T>, const MatrixView<const T>*, std::ptrdiff_t, Neighbours,   \
                             const std::int64_t*, const std::int64_t*, Metric<T>, MatrixView<std::int64_t>, \
                             MatrixView<T>, Monitor&);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
