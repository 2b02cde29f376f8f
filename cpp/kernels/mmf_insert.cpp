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
    const Index m = static_cast<Index>(levels.matrix().active().size());
    in_pool_.assign(m, 0);
    for (Index i = 0; i < m; ++i) {
      role_.push_back(i);
      owner_.push_back(i);
      if (i >= first_new) {
        pool_.push_back(i);
        in_pool_[i] = 1;
        owner_[i] = -1;
      }
    }
    tuples_.resize(m * levels.order());
    scores_.resize(m);
    stale_.assign(m, 1);
  }

  static int var() { static int v = getenv("VAR") ? atoi(getenv("VAR")) : 7; return v; }
  static double hys() { static double v = getenv("HYS") ? atof(getenv("HYS")) : 1; return v; }
  static int q() { static int v = getenv("QQ") ? atoi(getenv("QQ")) : 2; return v; }

  void level(const Index* old_tuple, Index old_wavelet) {
    const Index k = levels_.order();
    MmfMatrix& matrix = levels_.matrix();
    std::vector<Index> t(k);
    for (;;) {
      best_.clear();
      for (Index j = 0; j < k; ++j) t[j] = role_[old_tuple[j]];
      std::sort(t.begin(), t.end());
      if (true) {
        for (const Index i : t) matrix.freshen(i);
        consider_subsets(t, hys());
      }
      if (var() & 1) {
        std::vector<Index> members = t;
        add_pool(members);
        std::sort(members.begin(), members.end());
        for (const Index i : members) matrix.freshen(i);
        consider_subsets(members, 1);
      }
      if (var() & 2) consider_nearest(role_[old_wavelet]);
      if (var() & 8) for (Index j = 0; j < k; ++j) consider_nearest(role_[old_tuple[j]]);
      if (!(var() & 4) || pool_.empty()) break;
      const std::vector<Index> winner = best_;
      const Candidate winners = candidate_;
      Index first = -1;
      for (const Index u : pool_) {
        if (stale_[u] || pool_.size() < 4) {
          best_.clear();
          consider_nearest(u);
          std::copy(best_.begin(), best_.end(), tuples_.begin() + u * k);
          scores_[u] = candidate_;
          stale_[u] = 0;
        }
        if (first < 0 || levels_.better(scores_[u], &tuples_[u * k], scores_[first], &tuples_[first * k])) first = u;
      }
      best_ = winner;
      candidate_ = winners;
      if (!levels_.better(scores_[first], &tuples_[first * k], candidate_, best_.data())) break;
      const std::vector<Index> tuple(&tuples_[first * k], &tuples_[first * k] + k);
      const Index s = finish(tuple);
      if (!in_pool_[s]) {
        role_[owner_[s]] = first;
        owner_[first] = owner_[s];
        drop(first);
      } else {
        drop(s);
      }
      ++extra_;
    }
    const std::vector<Index> winner = best_;
    const Index s = finish(winner);
    const Index freed = role_[old_wavelet];
    if (s == freed) return;
    if (in_pool_[s]) {
      drop(s);
      pool_.push_back(freed);
      in_pool_[freed] = 1;
      stale_[freed] = 1;
      owner_[freed] = -1;
    } else {
      role_[owner_[s]] = freed;
      owner_[freed] = owner_[s];
    }
  }
  Index extra() const { return extra_; }

private:
  void drop(Index i) {
    pool_.erase(std::find(pool_.begin(), pool_.end(), i));
    in_pool_[i] = 0;
  }
  Index finish(const std::vector<Index>& tuple) {
    const Index s = levels_.finish(tuple.data());
    for (const Index u : pool_) {
      const Index* mine = &tuples_[u * levels_.order()];
      for (const Index i : tuple) {
        if (std::find(mine, mine + levels_.order(), i) != mine + levels_.order()) stale_[u] = 1;
      }
    }
    return s;
  }
  void consider_nearest(Index z) {
    const Index k = levels_.order();
    MmfMatrix& matrix = levels_.matrix();
    std::vector<Index> tuple(k);
    matrix.freshen(z);
    matrix.nearest_in_c(z, k - 1, tuple.data());
    tuple[k - 1] = z;
    std::sort(tuple.begin(), tuple.end());
    for (const Index i : tuple) matrix.freshen(i);
    consider_subsets(tuple, 1);
  }
  // The pool's members that are nearest to the tuple, as many as keep the subsets few.
  void add_pool(std::vector<Index>& members) {
    const auto base = static_cast<Index>(members.size());
    const Index room = std::min<Index>(q(), pool_.size());
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
    for (Index j = 0; j < room; ++j) members.push_back(order[j].second);
  }

  void consider_subsets(const std::vector<Index>& members, double factor) {
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
      Candidate here = levels_.judge(finder_, fs.data(), gs.data(), getenv("PLAIN") != nullptr);
      here.score *= factor;
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
  std::vector<Index> role_, owner_, pool_, best_, tuples_;
  std::vector<char> in_pool_, stale_;
  std::vector<Candidate> scores_;
  Candidate candidate_;
  Index extra_ = 0;
};

}  // namespace

Mmf mmf_insert(MatrixView<const double> c, Index n_new, MatrixView<const Index> tuples, const Index* wavelets,
               MmfRotation rotation, Monitor& monitor) {
  check_replay(c, n_new, tuples, wavelets);
  const Index k = tuples.cols, total = tuples.rows + n_new;
  MmfLevels levels(c, k, rotation, false);
  Replay replay(levels, c.rows - n_new);
  std::vector<Index> tuple(k);
  const Index tail = n_new > 0 ? (getenv("TAIL") ? atoi(getenv("TAIL")) : 32) : 0;
  Index done = 0;
  for (Index l = 0; l < tuples.rows && done < total && c.rows - done > tail; ++l) {
    monitor.tick(static_cast<double>(l) / static_cast<double>(total));
    for (Index j = 0; j < k; ++j) tuple[j] = tuples(l, j);
    replay.level(tuple.data(), wavelets[l]);
    done = l + 1 + replay.extra();
  }
  if (done < total) {
    levels.matrix().begin_gram();
    MmfNeighbours neighbours(levels);
    for (Index l = done; l < total; ++l) {
      monitor.tick(static_cast<double>(l) / static_cast<double>(total));
      neighbours.update();
      std::copy_n(neighbours.best(), k, tuple.begin());
      neighbours.touched(tuple.data());
      levels.finish(tuple.data());
    }
  }
  return levels.result();
}

}  // namespace wavelens
