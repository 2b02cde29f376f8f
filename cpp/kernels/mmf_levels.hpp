// What batch and insertion share: the scale, a level's bookkeeping, the comparison of candidates and the
// search of the topk rule.
#pragma once

#include <cstdint>
#include <vector>

#include "mmf_matrix.hpp"
#include "mmf_wavelet.hpp"

namespace wavelens {

// The exponent e such that the largest |c|·2^e lies in [1, 2); zero for a zero matrix.
int mmf_exponent(MatrixView<const double> c);

// From this order on candidates are compared by their best eigenvector, and only the winner's wavelet is
// `opt`.
constexpr std::ptrdiff_t mmf_screened_order = 5;

struct Candidate {
  double score = 0;  // the least wins
  double mu = 0;
};

// Looks at tuples; one for each thread. Similarity is |G| scaled to a unit diagonal, averaged over the pairs.
class MmfJudge {
public:
  // `plain`: by the error alone, and only where there is none by similarity. Else the rule simE,
  // (E + tiny)·(1 − similarity).
  MmfJudge(std::ptrdiff_t order, MmfRotation rotation, double tiny, bool plain);

  // A score above `bar` need not be exact, but is above it.
  Candidate look(const MmfMatrix& matrix, const std::ptrdiff_t* tuple, double bar);
  Candidate look(const MmfMatrix& matrix, const std::ptrdiff_t* tuple);

private:
  double mean_similarity() const;

  std::ptrdiff_t k_;
  MmfRotation family_;
  double tiny_;
  bool plain_;
  WaveletFinder finder_;
  std::vector<double> f_, g_, x_;
};

// A factorization in the making.
class MmfLevels {
public:
  using Index = std::ptrdiff_t;

  MmfLevels(MatrixView<const double> c, Index order, MmfRotation rotation, bool with_gram);

  MmfMatrix& matrix() { return matrix_; }
  const MmfMatrix& matrix() const { return matrix_; }
  Index order() const { return k_; }
  double tiny() const { return tiny_; }

  MmfJudge new_judge(bool plain = false) const { return {k_, rotation_, tiny_, plain}; }
  // Strictly better, beyond rounding.
  bool better(const Candidate& a, const Index* a_tuple, const Candidate& b, const Index* b_tuple) const;

  // The wavelet.
  Index finish(const Index* tuple);
  Mmf result();

private:
  Index k_;
  MmfRotation rotation_;
  int exponent_;
  MmfMatrix matrix_;
  double tiny_;
  WaveletFinder finder_;
  Mmf out_;
};

// For each active row, it and the k − 1 most similar ones.
class MmfNeighbours {
public:
  using Index = std::ptrdiff_t;

  explicit MmfNeighbours(MmfLevels& levels);

  // The best tuple of all rows. Looks again where the last choice may have changed something: at tuples that
  // share a member with it; at all while few rows are left.
  const Index* best();
  // The tuple of one row.
  const Index* of(Index i);

private:
  void look(const std::vector<Index>& rows);
  void touch(const Index* tuple);

  MmfLevels& levels_;
  std::vector<Index> tuples_;  // m × k
  std::vector<Candidate> candidates_;
  std::vector<char> stale_, mark_;
};

}  // namespace wavelens
