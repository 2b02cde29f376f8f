// One tuple of an MMF: which combination x of its rows becomes the wavelet, and the rotation around it.
//
// With F = C_tt and G = C_Stᵀ·C_St (S the active set) a unit vector x on the tuple t leaves the error
//
//   E(x) = 2·[xᵀGx − μ²] = 2·‖C_S·x̂ − μ·x̂‖²,  μ = xᵀFx,
//
// twice the squared Ritz residual of the k-sparse vector x̂: only the wavelet's row of the rotation matters.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "wavelens/mmf.hpp"

namespace wavelens {

struct Wavelet {
  double error = 0;  // not negative; zero where it is no more than rounding
  double mu = 0;
};

// Works on tuples of one order; one for each thread.
class WaveletFinder {
public:
  // Errors up to `tiny` are rounding and count as zero.
  WaveletFinder(std::ptrdiff_t order, double tiny);

  // The unit vector of least error in the family. Among those of no error the one with the least |μ|.
  // f and g are k × k; x receives k entries.
  Wavelet find(const double* f, const double* g, MmfRotation rotation, double* x);

  // No unit vector has a smaller error: twice the least eigenvalue of G − F².
  double least_error(const double* f, const double* g);

  // A rotation (k × k by rows) with determinant 1 that has ±x in row `return value`, where |x| is largest,
  // and in the others the eigenvectors of F on the complement of x, matched to the rows they resemble most.
  std::ptrdiff_t complete(const double* f, const double* x, double* rotation);

private:
  // λ_min(G − 2μF), its eigenvector's xᵀFx and how fast that grows with μ.
  struct Probe {
    double mu, least, value, growth;
  };
  struct Start {
    double error, mu;
  };

  Wavelet error_of(const double* f, const double* g, const double* x) const;
  Wavelet consider(const double* f, const double* g, const double* x);
  Probe probe(const double* f, const double* g, double mu);
  void descend(const double* f, const double* g, double start);
  bool may_improve(double mu) const;
  void search(const double* f, const double* g, double low, double high);

  std::ptrdiff_t k_;
  double tiny_;
  Wavelet best_;
  std::vector<double> best_x_, work_, values_, vectors_, x_;
  std::vector<Start> order_;
  std::vector<Probe> probes_;                      // ascending in mu
  std::vector<std::pair<double, double>> basins_;  // from a start to the minimum it leads to
  std::vector<std::ptrdiff_t> match_;
};

// match[j] = i such that the sum of score(i, j), n × n by rows, is greatest.
void best_assignment(std::ptrdiff_t n, const double* score, std::vector<std::ptrdiff_t>& match);

}  // namespace wavelens
