// Multiresolution matrix factorization (Kondor, Teneva and Garg, ICML 2014) by batch.
//
// A level takes k of the active rows and columns of C, rotates them, and finishes one of them: its
// off-diagonal entries are dropped, its diagonal entry stays. What a level drops, twice the squared norm of
// the finished row, depends on that row alone (mmf_wavelet.hpp gives the formula and how it is minimised).
// After L levels C ≈ QᵀΛQ with Q the product of the rotations and Λ a diagonal beside a small dense core.
//
// Which k: `topk` compares, for every row, the tuple of it and the k − 1 rows most similar to it (|G| scaled
// to a unit diagonal, G the Gram matrix of the active rows) by (E + ε)·(1 − mean similarity). The error alone
// rewards one good direction and takes free riders; with the similarity the first tuples lie inside one block
// of planted blocks. After a level only tuples that share a row with it are looked at again, and all of them
// once 64 rows are left: on small matrices that gains up to a tenth, and it costs next to nothing.
//
// Cost: m³ flops for G and m³/3 for its downdates, as matrix products (mmf_matrix.hpp); O(k·m) a level for
// rotations; some k² tuples a level, of O(k³) and O(m) for the neighbours each.

#include "wavelens/mmf.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "mmf_levels.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

void check_arguments(MatrixView<const double> c, const MmfOptions& options) {
  if (c.rows != c.cols) throw std::invalid_argument("`c` must be square");
  const Index m = c.rows, k = options.order;
  if (k < 2 || k > m) {
    throw std::invalid_argument("`order` must be between 2 and " + std::to_string(m) + ", got " +
                                std::to_string(k));
  }
  if (options.n_levels < 0 || options.n_levels > m - k + 1) {
    throw std::invalid_argument("`n_levels` must be between 0 and " + std::to_string(m - k + 1) + ", got " +
                                std::to_string(options.n_levels));
  }
}

// A stream of numbers from a seed (Steele, Lea and Flood, OOPSLA 2014).
std::uint64_t split_mix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30u)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27u)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31u);
}

// The best of all tuples, in parallel over their first member.
std::vector<Index> best_of_all(MmfLevels& levels) {
  const Index k = levels.order();
  const auto& active = levels.matrix().active();
  const auto n = static_cast<Index>(active.size());
  for (const Index i : active) levels.matrix().freshen_gram(i);
  struct Best {
    Candidate candidate;
    std::vector<Index> tuple;
  };
  std::vector<Best> bests(n - k + 1);
  parallel_for(n - k + 1, [&](Index first) {
    MmfJudge judge = levels.new_judge(true);
    std::vector<Index> picks(k), tuple(k);
    for (Index j = 0; j < k; ++j) picks[j] = first + j;
    for (;;) {
      for (Index j = 0; j < k; ++j) tuple[j] = active[picks[j]];
      const Candidate here = judge.look(levels.matrix(), tuple.data());
      check_interrupted();
      Best& best = bests[first];
      if (best.tuple.empty() || levels.better(here, tuple.data(), best.candidate, best.tuple.data()))
        best = {here, tuple};
      Index j = k - 1;
      while (j > 0 && picks[j] == n - k + j) --j;
      if (j == 0) break;
      ++picks[j];
      for (Index next = j + 1; next < k; ++next) picks[next] = picks[next - 1] + 1;
    }
  });
  Best* best = &bests[0];
  for (Best& each : bests) {
    if (levels.better(each.candidate, each.tuple.data(), best->candidate, best->tuple.data())) best = &each;
  }
  return best->tuple;
}

}  // namespace

Mmf mmf_factor(MatrixView<const double> c, const MmfOptions& options, Monitor& monitor) {
  check_arguments(c, options);
  const Index k = options.order;
  MmfLevels levels(c, k, options.rotation, true);
  MmfNeighbours neighbours(levels);
  std::uint64_t state = options.seed;
  for (Index level = 0; level < options.n_levels; ++level) {
    monitor.tick(static_cast<double>(level) / static_cast<double>(options.n_levels));
    std::vector<Index> tuple(k);
    if (options.method == MmfMethod::exhaustive) {
      tuple = best_of_all(levels);
    } else if (options.method == MmfMethod::random) {
      const auto& active = levels.matrix().active();
      std::copy_n(neighbours.of(active[split_mix(state) % active.size()]), k, tuple.begin());
    } else {
      std::copy_n(neighbours.best(), k, tuple.begin());
    }
    levels.finish(tuple.data());
  }
  return levels.result();
}

}  // namespace wavelens
