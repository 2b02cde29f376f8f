// The inner loops of an MMF over rows that are padded with zeros: every length is a multiple of 8.
#pragma once

#include <cstddef>

namespace wavelens {

struct MmfLeaf {
  // Σ x·y
  double (*dot)(std::ptrdiff_t n, const double* x, const double* y);
  // rows ← rotation (k × k by rows)·rows; `scratch` has 8·k entries.
  void (*mix)(std::ptrdiff_t n, std::ptrdiff_t k, double* const* rows, const double* rotation,
              double* scratch);
  // out = y − Σ factors[l]·row l, the rows `stride` apart
  void (*subtract)(std::ptrdiff_t n, std::ptrdiff_t count, const double* factors, const double* rows,
                   std::ptrdiff_t stride, const double* y, double* out);
  // diagonal −= x²; weights = diagonal^-½ where the diagonal is above `tiny`, else 0
  void (*shrink)(std::ptrdiff_t n, const double* x, double tiny, double* diagonal, double* weights);
  // The first i ≥ start with |values[i]|·weights[i] > bound, else n.
  std::ptrdiff_t (*next_above)(std::ptrdiff_t n, const double* values, const double* weights, double bound,
                               std::ptrdiff_t start);
};

}  // namespace wavelens
