// Multiresolution matrix factorization (MMF) of a symmetric matrix: C ≈ QᵀΛQ.
//
// Q is a product of rotations of k rows each, one a level; every level finishes one index, its wavelet, with
// an entry of Λ's diagonal. What is left after the last level, the core, is dense in Λ. The matrix is scaled
// by a power of two inside, so that scaling C by one scales the result and changes nothing else, bit for bit.
#pragma once

#include <cstdint>
#include <vector>

#include "wavelens/matrix_view.hpp"
#include "wavelens/monitor.hpp"

namespace wavelens {

// Which k-tuples a level looks at.
enum class MmfMethod {
  exhaustive,  // all of them
  topk,        // every row with the k − 1 most similar ones
  random,      // one row, drawn, with the k − 1 most similar ones
};

// From which family the wavelet of a tuple comes (F, G and the error are defined in mmf_wavelet.hpp).
enum class MmfRotation {
  eigen,  // eigenvectors of F
  gram,   // eigenvectors of G
  opt,    // all unit vectors
};

struct MmfOptions {
  std::ptrdiff_t order = 3;
  std::ptrdiff_t n_levels = 0;
  MmfMethod method = MmfMethod::topk;
  MmfRotation rotation = MmfRotation::opt;
  std::uint64_t seed = 0;
};

struct Mmf {
  std::vector<std::ptrdiff_t> tuples;        // levels × k, each ascending
  std::vector<std::ptrdiff_t> wavelets;      // levels; the member of its tuple that is finished
  std::vector<double> rotations;             // levels × k × k by rows, which follow the tuple
  std::vector<double> level_errors;          // levels; they sum up to ‖C − QᵀΛQ‖²
  std::vector<double> core;                  // s × s
  std::vector<std::ptrdiff_t> core_indices;  // s, ascending
  std::vector<double> frequencies;           // levels; Λ at the wavelets
};

// `c` (m × m) must be symmetric and finite; it is read only. Workspace: two m × m matrices (C and its Gram
// matrix) and O((k² + 64)·m) entries besides.
// std::invalid_argument unless 2 ≤ k ≤ m and 0 ≤ n_levels ≤ m − k + 1.
Mmf mmf_factor(MatrixView<const double> c, const MmfOptions& options, Monitor& monitor);

// The factorization of c[:m, :m] with the tuples (levels × k) and wavelets given, replayed on `c` with its
// n_new further indices, and n_new levels more. With none, the tuples' rotations are recomputed. Workspace:
// one matrix of the size of `c`, the Gram matrix of what is left for the last levels (64 indices, or n_new
// and the core where that is more), and O((k² + 64)·m) entries.
Mmf mmf_insert(MatrixView<const double> c, std::ptrdiff_t n_new, MatrixView<const std::ptrdiff_t> tuples,
               const std::ptrdiff_t* wavelets, MmfRotation rotation, Monitor& monitor);

// x ← Q·x, or Qᵀ·x where `transpose`, in place. tuples: levels × k, rotations: (levels·k) × k.
void mmf_apply(MatrixView<const std::ptrdiff_t> tuples, const double* rotations, MatrixView<double> x,
               bool transpose);

}  // namespace wavelens
