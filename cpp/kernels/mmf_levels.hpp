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

// A factorization in the making.
class MmfLevels {
public:
  using Index = std::ptrdiff_t;

  MmfLevels(MatrixView<const double> c, Index order, MmfRotation rotation, bool with_gram);

  MmfMatrix& matrix() { return matrix_; }
  const MmfMatrix& matrix() const { return matrix_; }
  Index order() const { return k_; }
  double tiny() const { return tiny_; }

  // How candidates are compared: the rule simE, (E + ε)·(1 − mean similarity), or E alone with similarity
  // only where there is no error.
  Candidate judge(WaveletFinder& finder, const Index* tuple, bool plain) const;
  Candidate judge(WaveletFinder& finder, const double* f, const double* g, bool plain) const;
  // Strictly better, beyond rounding.
  bool better(const Candidate& a, const Index* a_tuple, const Candidate& b, const Index* b_tuple) const;

  void finish(const Index* tuple);
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

  // Looks again at the tuples that a level may have changed. Call once before each choice.
  void update();
  const Index* best() const;
  // The tuple of one row, looked at now.
  const Index* of(Index i);
  void touched(const Index* tuple);

private:
  void look(const std::vector<Index>& rows);

  MmfLevels& levels_;
  std::vector<Index> tuples_;  // m × k
  std::vector<Candidate> candidates_;
  std::vector<char> stale_, mark_;
};

}  // namespace wavelens
