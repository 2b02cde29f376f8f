// One side of a plane at one level of the wavelet transform: how many entries and coefficients it has, and
// what stands past its ends.
#pragma once

#include <cstddef>
#include <vector>

#include "wavelens/wavelet.hpp"

namespace wavelens {

// An entry past an end: weight·x[from] + last·x[size − 1] + slope·(x[here] − x[there]). Differences come
// first, as neighbours are often nearly equal and slopes large.
struct PastEnd {
  std::ptrdiff_t at = 0;  // where it stands in the extended signal
  std::ptrdiff_t from = 0;
  double weight = 0, last = 0, slope = 0;
  std::ptrdiff_t here = 0, there = 0;

  bool copy() const { return weight == 1 && last == 0 && slope == 0; }
  bool zero() const { return weight == 0 && last == 0 && slope == 0; }
};

struct Side {
  std::ptrdiff_t size = 0;    // entries
  std::ptrdiff_t count = 0;   // coefficients
  std::ptrdiff_t length = 0;  // taps of a filter
  // x[e] stands at e + lead in the extended signal, which has 2·count + length − 2 entries. The same number
  // shifts the rebuilt signal: x[i] = Σ_k g[i + lead − 2k] c[k].
  std::ptrdiff_t lead = 0;
  bool periodized = false;
  std::vector<PastEnd> past;  // in order of `at`; none for synthesis

  std::ptrdiff_t extended() const { return 2 * count + length - 2; }

  // Rebuilt entries come in pairs: pair m is x[2m − lead] and the next one.
  std::ptrdiff_t first_pair() const { return lead / 2; }
  std::ptrdiff_t n_pairs() const { return (size - 1 + lead) / 2 - first_pair() + 1; }

  // What stands at `at` if that is past an end, else null.
  const PastEnd* past_end(std::ptrdiff_t at) const;
};

enum class Use { forward, inverse, adjoint };

Side make_side(std::ptrdiff_t size, std::ptrdiff_t length, Extension mode, Use use);

}  // namespace wavelens
