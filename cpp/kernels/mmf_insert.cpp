// Insertion: the replay of a factorization on a matrix that has grown (Ithapu, Kondor, Johnson and Singh, The
// incremental multiresolution matrix factorization algorithm, CVPR 2017).
//
// At each level the candidates are the k-subsets of the old tuple and of the pool's members nearest to it
// (two of them for k < 5, else one: what keeps them few for any pool), and, for every i among all of these, i
// with the k − 1 nearest under |C_ij|/√|C_jj|. The best by the rule of `topk` takes the level. Where another
// index than the old wavelet is finished, the old wavelet takes its role in the tuples to come, or its place
// in the pool; so no tuple to come loses a member. (In the paper the pool may stay as it is and indices get
// lost. Putting the old wavelet into the pool while later tuples lack the other index degrades: after
// doubling a matrix by single insertions the error was 1.1 to 16 times that of a batch, in this way 0.8
// to 1.2 times.) The last levels, where few indices are left and everything bears on everything, are built as
// by `topk`, and so are the new ones. O(k²·m) a level.

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "mmf_levels.hpp"
#include "wavelens/mmf.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;
constexpr Index built_anew = 64;  // so many indices are left then

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
//
// Every index of the old factorization that is still to be finished has a role: the index that stands for it
// in the new one. Active indices without a role (at first the new ones) are the pool.
class Replay {
public:
  Replay(MmfLevels& levels, Index n_new)
      : levels_(levels), judge_(levels.new_judge()), role_(levels.matrix().active()), owner_(role_) {
    const Index n_old = static_cast<Index>(role_.size()) - n_new;
    pool_.assign(role_.begin() + n_old, role_.end());
    std::fill(owner_.begin() + n_old, owner_.end(), nobody);
  }

  void level(const std::vector<Index>& old_tuple, Index old_wavelet) {
    std::vector<Index> tuple = old_tuple;
    for (Index& i : tuple) i = role_[i];
    std::sort(tuple.begin(), tuple.end());
    choose(tuple);
    const Index finished = levels_.finish(best_.data());
    const Index freed = role_[old_wavelet];
    if (finished == freed) return;
    // What the old wavelet stood for goes on: in the place of the one that was finished instead.
    if (owner_[finished] == nobody) {
      pool_.erase(std::find(pool_.begin(), pool_.end(), finished));
      pool_.push_back(freed);
    } else {
      role_[owner_[finished]] = freed;
    }
    owner_[freed] = owner_[finished];
  }

private:
  static constexpr Index nobody = -1;

  void choose(const std::vector<Index>& tuple) {
    best_.clear();
    consider(tuple);
    if (pool_.empty()) return;  // nothing is new: the old tuples, turned anew
    std::vector<Index> members = tuple;
    add_from_pool(members);
    consider_subsets(members);
    const Index k = levels_.order();
    std::vector<Index> near(k), centres = tuple;
    for (const Index i : members) {
      if (!std::binary_search(tuple.begin(), tuple.end(), i)) centres.push_back(i);
    }
    for (const Index i : centres) {
      levels_.matrix().freshen(i);
      levels_.matrix().nearest_in_c(i, k - 1, near.data());
      near[k - 1] = i;
      std::sort(near.begin(), near.end());
      consider(near);
    }
  }

  // The pool's members that are nearest to the tuple.
  void add_from_pool(std::vector<Index>& members) {
    const auto base = static_cast<std::ptrdiff_t>(members.size());
    std::vector<std::pair<double, Index>> order;
    for (const Index i : pool_) {
      double nearest = 0, f[4];
      for (Index j = 0; j < base; ++j) {
        const Index pair[2] = {i, members[j]};
        levels_.matrix().block(pair, 2, f);
        nearest = std::max(nearest, std::abs(f[1]) / std::sqrt(std::max(std::abs(f[0]), levels_.tiny())));
      }
      order.emplace_back(-nearest, i);
    }
    std::sort(order.begin(), order.end());
    order.resize(std::min<std::size_t>(order.size(), levels_.order() < mmf_screened_order ? 2 : 1));
    for (const auto& each : order) members.push_back(each.second);
    std::sort(members.begin(), members.end());
  }

  void consider_subsets(const std::vector<Index>& members) {
    const Index k = levels_.order();
    std::vector<char> taken(members.size(), 0);
    std::fill_n(taken.begin(), k, 1);
    std::vector<Index> tuple(k);
    do {
      Index count = 0;
      for (std::size_t j = 0; j < members.size(); ++j) {
        if (taken[j]) tuple[count++] = members[j];
      }
      consider(tuple);
    } while (std::prev_permutation(taken.begin(), taken.end()));
  }

  void consider(const std::vector<Index>& tuple) {
    if (tuple == best_) return;
    for (const Index i : tuple) levels_.matrix().freshen(i);
    const double bar = best_.empty() ? std::numeric_limits<double>::infinity() : candidate_.score;
    const Candidate here = judge_.look(levels_.matrix(), tuple.data(), bar);
    if (best_.empty() || levels_.better(here, tuple.data(), candidate_, best_.data())) {
      candidate_ = here;
      best_ = tuple;
    }
  }

  MmfLevels& levels_;
  MmfJudge judge_;
  std::vector<Index> role_;   // of old indices
  std::vector<Index> owner_;  // whose role an index has
  std::vector<Index> pool_, best_;
  Candidate candidate_;
};

}  // namespace

Mmf mmf_insert(MatrixView<const double> c, Index n_new, MatrixView<const Index> tuples, const Index* wavelets,
               MmfRotation rotation, Monitor& monitor) {
  check_replay(c, n_new, tuples, wavelets);
  const Index k = tuples.cols, total = tuples.rows + n_new;
  MmfLevels levels(c, k, rotation, false);
  Replay replay(levels, n_new);
  std::vector<Index> tuple(k);
  Index level = 0;
  const auto tick = [&] { monitor.tick(static_cast<double>(level) / static_cast<double>(total)); };
  for (; level < tuples.rows && (n_new == 0 || c.rows - level > built_anew); ++level) {
    tick();
    for (Index j = 0; j < k; ++j) tuple[j] = tuples(level, j);
    replay.level(tuple, wavelets[level]);
  }
  if (level < total) levels.matrix().begin_gram();
  MmfNeighbours neighbours(levels);
  for (; level < total; ++level) {
    tick();
    levels.finish(neighbours.best());
  }
  return levels.result();
}

}  // namespace wavelens
