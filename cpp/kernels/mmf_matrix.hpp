// A symmetric matrix under a growing product of rotations, and its Gram matrix on the rows that are left.
//
// A rotation combines k rows (contiguous) and k columns (one cache line for each row of the matrix: slow). So
// only the rows are combined at once. A row hears of the rotations of columns when it is next needed; its
// stamp says how many it has heard of, and entry (i, j) is true in that one of the rows i and j that has the
// later stamp. The Gram matrix loses c_s·c_sᵀ for every finished index s; these downdates are collected and
// made together, as one matrix product. Until then they are subtracted from what is read.
#pragma once

#include <vector>

#include "simd/leaf.hpp"
#include "simd/mmf_leaf.hpp"
#include "wavelens/buffer.hpp"
#include "wavelens/isa.hpp"
#include "wavelens/matrix_view.hpp"

namespace wavelens {

WAVELENS_CHOOSE_LEAF(MmfLeaf, mmf_leaf)

class MmfMatrix {
public:
  using Index = std::ptrdiff_t;

  // What a level leaves behind.
  struct Finished {
    double error = 0;
    double frequency = 0;
  };

  // Multiplied by 2^exponent.
  MmfMatrix(MatrixView<const double> c, Index order, int exponent, bool with_gram);

  const std::vector<Index>& active() const { return active_; }  // ascending
  bool is_active(Index i) const { return place_[i] >= 0 && alive_[place_[i]]; }
  double squared_norm() const { return squared_norm_; }

  // F = C_tt and G = C_Stᵀ·C_St of `count` indices. G needs the Gram matrix, or else fresh rows of C.
  void block(const Index* tuple, Index count, double* f) const;
  void gram_block(const Index* tuple, Index count, double* g) const;

  // Row i of C and of the Gram matrix hear of all rotations.
  void freshen(Index i) { freshen_row(c_, c_stamp_, place_[i]); }
  void freshen_gram(Index i) { freshen_row(g_, g_stamp_, place_[i]); }

  // The `count` active indices other than i that are most similar to i under |G| scaled to a unit diagonal,
  // most similar first, the lowest index first among equals. Row i of the Gram matrix must be fresh;
  // `scratch` has width() entries.
  void nearest(Index i, Index count, Index* out, double* scratch) const;
  // The same under |C_ij|/√|C_jj|; row i of C must be fresh.
  void nearest_in_c(Index i, Index count, Index* out) const;
  Index width() const { return stride_; }

  // A level: rotates the tuple and finishes tuple[at].
  Finished rotate(const Index* tuple, const double* rotation, Index at);

  // Forgets the places of finished indices and, from here on, keeps the Gram matrix.
  void begin_gram();

  // C on the active indices, by rows.
  std::vector<double> core();

private:
  double entry(const Buffer<double>& x, const std::vector<Index>& stamp, Index p, Index q) const;
  void freshen_row(Buffer<double>& x, std::vector<Index>& stamp, Index p);
  void freshen_all(Buffer<double>& x, std::vector<Index>& stamp);
  void rotate_rows(Buffer<double>& x, std::vector<Index>& stamp, const Index* places, const double* rotation);
  void rotate_entries(double* row, const Index* places, const double* rotation) const;
  void start_gram();
  void downdate();
  void compact();
  void compact(Buffer<double>& x, const std::vector<Index>& kept);
  void select(const double* values, const double* weights, Index self, Index count, Index* out) const;

  Index padded() const { return (n_ + 7) / 8 * 8; }
  void weigh(Index p);

  MmfLeaf leaf_;
  Index k_, n_, stride_;  // n_: rows and columns stored
  bool with_gram_;
  double squared_norm_ = 0, tiny_ = 0;
  Buffer<double> c_, g_;
  std::vector<Index> c_stamp_, g_stamp_;
  std::vector<Index> active_, place_, index_;  // place_[index] in the store, index_[place]
  std::vector<char> alive_;                    // by place
  std::vector<Index> past_places_;             // of the rotations since the last compaction
  std::vector<double> past_rotations_;
  std::vector<Index> past_finished_;
  Index n_past_ = 0;
  std::vector<double> pending_;  // rows c_s that the Gram matrix has yet to lose
  Index n_pending_ = 0;
  std::vector<double> diagonal_, weight_;  // of the Gram matrix, and diagonal^-½ (0: no similarity)
  std::vector<double> c_weight_;           // |C_jj|^-½ (0: no similarity)
  std::vector<double*> rows_;              // scratch of a rotation
  std::vector<double> lanes_;
};

}  // namespace wavelens
