// Column-pivoted (rank-revealing) QR: the k most influential columns of a matrix.
//
// A[:, permutation] = Q·R with the chosen columns first, Q (n × rank) orthonormal, R upper triangular in its
// first rank columns, diagonal positive. A is read where it lies, in any strides, and never written.
//
//   blocked  randomized sketches choose a block of columns at a time; all the work is matrix products
//   exact    the greedy choice of LAPACK's geqp3, one column at a time; ties go to the lowest index
//   strong   Gu and Eisenstat's exchanges after blocked: |R₁₁⁻¹R₁₂| ≤ f, f = 2
//   sketch   for n ≫ k: two passes over the rows of A, memory for a sketch of 2k rows
//
// Every method stops where the best remaining column is at most rtol·R₁₁ long. Scaling A by a power of two
// scales R and changes nothing else, bit for bit; so does the number of threads change nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wavelens/matrix_view.hpp"
#include "wavelens/monitor.hpp"

namespace wavelens {

enum class PivotedQrMethod { blocked, exact, strong, sketch };

struct PivotedQrOptions {
  PivotedQrMethod method = PivotedQrMethod::blocked;
  double rtol = -1;  // negative: max(n, p)·eps
  bool with_q = false;
  bool with_r = false;
  std::uint64_t seed = 0;
};

template <class T>
struct PivotedQr {
  std::ptrdiff_t rank = 0;
  std::vector<std::ptrdiff_t> permutation;  // all p columns: the pivots, then the others in their order
  std::vector<T> r_diag;                    // rank
  std::vector<T> q;                         // n × rank by columns; empty unless wanted
  std::vector<T> r;  // rank × p by rows, columns as in `permutation`; empty unless wanted
};

// std::invalid_argument unless 1 ≤ k ≤ min(n, p); std::domain_error if A holds NaN or infinities.
template <class T>
PivotedQr<T> pivoted_qr(MatrixView<const T> a, std::ptrdiff_t k, const PivotedQrOptions& options,
                        Monitor& monitor);

}  // namespace wavelens
