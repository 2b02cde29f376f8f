#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "mmf_levels.hpp"
#include "wavelens/mmf.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

void check_replay(MatrixView<const double> c, Index n_new, MatrixView<const Index> tuples,
                  const Index* wavelets) {
  const Index k = tuples.cols;
  if (c.rows != c.cols) throw std::invalid_argument("`c` must be square");
  if (k < 2 || k > c.rows) {
    throw std::invalid_argument("`tuples` must have between 2 and " + std::to_string(c.rows) +
                                " columns, got " + std::to_string(k));
  }
  if (n_new < 0 || n_new > c.rows) {
    throw std::invalid_argument("`n_new` must be between 0 and " + std::to_string(c.rows) + ", got " +
                                std::to_string(n_new));
  }
  if (tuples.rows + n_new > c.rows - k + 1) throw std::invalid_argument("`tuples` has too many levels");
  std::vector<char> finished(c.rows, 0);
  for (Index l = 0; l < tuples.rows; ++l) {
    bool has_wavelet = false;
    for (Index j = 0; j < k; ++j) {
      const Index i = tuples(l, j);
      if (i < 0 || i >= c.rows - n_new || finished[i] || (j > 0 && i <= tuples(l, j - 1)))
        throw std::invalid_argument("`tuples` must hold ascending indices that are not finished, see level " +
                                    std::to_string(l));
      has_wavelet = has_wavelet || i == wavelets[l];
    }
    if (!has_wavelet)
      throw std::invalid_argument("a wavelet must be one of its tuple, see level " + std::to_string(l));
    finished[wavelets[l]] = 1;
  }
}

// The replay of one factorization on a matrix with more indices.
class Replay {
public:
  Replay(MmfLevels& levels, Index first_new) : levels_(levels), finder_(levels.order(), levels.tiny()) {
    const auto& active = levels.matrix().active();
    for (const Index i : active) {
      if (i >= first_new) pool_.push_back(i);
    }
    first_new_ = first_new;
  }

  // The winner among the k-subsets of (old tuple ∩ S) ∪ pool takes the level.
  void level(const Index* old_tuple, Index old_wavelet) {
    const Index k = levels_.order();
    MmfMatrix& matrix = levels_.matrix();
    std::vector<Index> members;
    for (Index j = 0; j < k; ++j) {
      if (matrix.is_active(old_tuple[j])) members.push_back(old_tuple[j]);
    }
    add_pool(members);
    std::sort(members.begin(), members.end());
    for (const Index i : members) matrix.freshen(i);
    best_.clear();
    consider_subsets(members);
    for (const Index z : pool_) {
      if (z < first_new_) continue;
      std::vector<Index> tuple(k);
      matrix.freshen(z);
      matrix.nearest_in_c(z, k - 1, tuple.data());
      tuple[k - 1] = z;
      std::sort(tuple.begin(), tuple.end());
      for (const Index i : tuple) matrix.freshen(i);
      consider_subsets(tuple);
      break;
    }
    const std::vector<Index> winner = best_;
    levels_.finish(winner.data());
    pool_.push_back(old_wavelet);
    std::sort(pool_.begin(), pool_.end());
    pool_.erase(std::unique(pool_.begin(), pool_.end()), pool_.end());
    pool_.erase(std::remove_if(pool_.begin(), pool_.end(), [&](Index i) { return !matrix.is_active(i); }),
                pool_.end());
  }

private:
  // The pool's members that are nearest to the tuple, as many as keep the subsets few.
  void add_pool(std::vector<Index>& members) {
    const Index k = levels_.order();
    const auto base = static_cast<Index>(members.size());
    Index room = std::max<Index>(1, k + 2 - base);
    if (static_cast<Index>(pool_.size()) <= room) {
      for (const Index i : pool_) {
        if (std::find(members.begin(), members.end(), i) == members.end()) members.push_back(i);
      }
      return;
    }
    std::vector<std::pair<double, Index>> order;
    for (const Index i : pool_) {
      double near = 0, f[4];
      for (Index j = 0; j < base; ++j) {
        const Index pair[2] = {i, members[j]};
        levels_.matrix().block(pair, 2, f);
        near = std::max(near, std::abs(f[1]) / std::sqrt(std::max(std::abs(f[0]), levels_.tiny())));
      }
      order.emplace_back(-near, i);
    }
    std::sort(order.begin(), order.end());
    for (Index j = 0; j < room; ++j) {
      if (std::find(members.begin(), members.end(), order[j].second) == members.end())
        members.push_back(order[j].second);
    }
  }

  void consider_subsets(const std::vector<Index>& members) {
    const Index k = levels_.order(), n = static_cast<Index>(members.size());
    std::vector<double> f(n * n), g(n * n), fs(k * k), gs(k * k);
    levels_.matrix().block(members.data(), n, f.data());
    levels_.matrix().gram_block(members.data(), n, g.data());
    std::vector<Index> picks(k), tuple(k);
    for (Index j = 0; j < k; ++j) picks[j] = j;
    for (;;) {
      for (Index i = 0; i < k; ++i) {
        tuple[i] = members[picks[i]];
        for (Index j = 0; j < k; ++j) {
          fs[i * k + j] = f[picks[i] * n + picks[j]];
          gs[i * k + j] = g[picks[i] * n + picks[j]];
        }
      }
      const Candidate here = levels_.judge(finder_, fs.data(), gs.data(), false);
      if (best_.empty() || levels_.better(here, tuple.data(), candidate_, best_.data())) {
        candidate_ = here;
        best_ = tuple;
      }
      Index j = k - 1;
      while (j >= 0 && picks[j] == n - k + j) --j;
      if (j < 0) break;
      ++picks[j];
      for (Index next = j + 1; next < k; ++next) picks[next] = picks[next - 1] + 1;
    }
  }

  MmfLevels& levels_;
  WaveletFinder finder_;
  Index first_new_ = 0;
  std::vector<Index> pool_, best_;
  Candidate candidate_;
};

}  // namespace

Mmf mmf_insert(MatrixView<const double> c, Index n_new, MatrixView<const Index> tuples, const Index* wavelets,
               MmfRotation rotation, Monitor& monitor) {
  check_replay(c, n_new, tuples, wavelets);
  const Index k = tuples.cols, total = tuples.rows + n_new;
  MmfLevels levels(c, k, rotation, false);
  Replay replay(levels, c.rows - n_new);
  std::vector<Index> tuple(k);
  for (Index l = 0; l < tuples.rows; ++l) {
    monitor.tick(static_cast<double>(l) / static_cast<double>(total));
    for (Index j = 0; j < k; ++j) tuple[j] = tuples(l, j);
    replay.level(tuple.data(), wavelets[l]);
  }
  if (n_new > 0) {
    levels.matrix().begin_gram();
    MmfNeighbours neighbours(levels);
    for (Index l = 0; l < n_new; ++l) {
      monitor.tick(static_cast<double>(tuples.rows + l) / static_cast<double>(total));
      neighbours.update();
      std::copy_n(neighbours.best(), k, tuple.begin());
      neighbours.touched(tuple.data());
      levels.finish(tuple.data());
    }
  }
  return levels.result();
}

}  // namespace wavelens
