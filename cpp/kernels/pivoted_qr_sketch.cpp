// Pivoted QR of a matrix with many more rows than pivots, read twice in chunks of rows.
//
// First reading: S = ΩA, where Ω has d = 2k rows (to a multiple of 8) and in each column, that is for each
// row of A, eight entries ±1/√8, one in each eighth of its rows (OSNAP: Nelson & Nguyên, FOCS 2013). S is a
// sum over the rows of A, so chunks may come in any order and from anywhere; a row that alone holds a
// direction keeps its full length in S, which is why matrices whose information sits in a few rows are no
// exception. Norms, and the search for NaN, come out of the same reading. The pivots are those of S, by the
// blocked method.
//
// Second reading: with R_S from the sketch, the chosen columns times R_S⁻¹ have a condition number of about 6
// whatever theirs is, so the Cholesky factor L of their Gram matrix gives the true R = LᵀR_S to working
// precision (Rokhlin & Tygert, PNAS 105, 2008).
//
// 16np flops and additions, 2·(2k)·p·k in the sketch, 3nk² in the second reading. Memory: 2kp numbers and a
// chunk.

#include <algorithm>
#include <cmath>
#include <limits>

#include "panel_qr.hpp"
#include "panel_triangles.hpp"
#include "pivoted_qr_parts.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

constexpr Index entries_a_row = 8;
constexpr Index slab = 64;          // columns whose sketch stays in the second-level cache
constexpr Index chunk_rows = 2048;  // of A between two looks at the clock

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

struct Bucket {
  Index row;
  double sign;
};

// Where row i of A goes: the e-th of its entries into the e-th eighth of the sketch.
void buckets_of(std::uint64_t seed, Index i, Index eighth, Bucket* out) {
  for (Index e = 0; e < entries_a_row; ++e) {
    const std::uint64_t bits = random_bits(seed, static_cast<std::uint64_t>(i * entries_a_row + e));
    out[e] = {e * eighth + static_cast<Index>((bits >> 1U) % static_cast<std::uint64_t>(eighth)),
              (bits & 1U) ? 1.0 : -1.0};
  }
}

// Adds rows [first, last) of A, each entry times 2^shift, to one slab of the sketch (d × slab by rows).
template <class T>
void add_rows(MatrixView<const T> a, Index first, Index last, int shift, const Bucket* buckets, T* sketch) {
  constexpr Index strip = 32;
  T rows[strip * slab];
  const T factor = std::ldexp(T(1), shift / 2), rest = std::ldexp(T(1), shift - shift / 2);
  for (Index i0 = first; i0 < last; i0 += strip) {
    const Index count = std::min(strip, last - i0);
    const bool direct = a.col_stride == 1 && shift == 0;
    if (!direct) {
      for (Index j = 0; j < a.cols; ++j) {
        for (Index i = 0; i < count; ++i) rows[i * slab + j] = a(i0 + i, j) * factor * rest;
      }
    }
    for (Index i = 0; i < count; ++i) {
      const T* source = direct ? &a(i0 + i, 0) : rows + i * slab;
      const Bucket* to = buckets + (i0 - first + i) * entries_a_row;
      for (Index e = 0; e < entries_a_row; ++e) {
        T* target = sketch + to[e].row * slab;
        const auto sign = static_cast<T>(to[e].sign);
        for (Index j = 0; j < a.cols; ++j) target[j] += sign * source[j];
      }
    }
  }
}

template <class T>
class RowSketch {
public:
  RowSketch(MatrixView<const T> a, Index k, std::uint64_t seed, Monitor& monitor)
      : a_(a), seed_(seed), eighth_((2 * k + entries_a_row - 1) / entries_a_row), monitor_(monitor) {}

  // Reads A once; the norms of its columns come with it. `shift`: see add_rows.
  void read(int shift) {
    const Index slabs = (a_.cols + slab - 1) / slab;
    entries_.assign(at(rows() * slabs * slab), T(0));
    sums_.assign(at(a_.cols), 0);
    std::vector<Bucket> buckets(at(chunk_rows * entries_a_row));
    for (Index first = 0; first < a_.rows; first += chunk_rows) {
      const Index count = std::min(chunk_rows, a_.rows - first);
      for (Index i = 0; i < count; ++i)
        buckets_of(seed_, first + i, eighth_, buckets.data() + i * entries_a_row);
      parallel_for(slabs, [&](Index s) {
        const Index cols = std::min(slab, a_.cols - s * slab);
        const auto part = a_.block(first, s * slab, count, cols);
        double sums[slab];
        sum_squares(part, 0, cols, sums);
        for (Index j = 0; j < cols; ++j) sums_[at(s * slab + j)] += sums[j];
        add_rows(part, 0, count, shift, buckets.data(), entries_.data() + s * slab * rows());
      });
      monitor_.tick(0.5 * static_cast<double>(first + count) / static_cast<double>(a_.rows));
    }
  }

  Index rows() const { return eighth_ * entries_a_row; }
  const std::vector<double>& sums() const { return sums_; }

  // The sketch by columns, times `factor`.
  std::vector<T> by_columns(T factor) const {
    std::vector<T> out(at(rows() * a_.cols));
    parallel_for(a_.cols, [&](Index j) {
      const T* source = entries_.data() + j / slab * slab * rows() + j % slab;
      for (Index i = 0; i < rows(); ++i) out[at(j * rows() + i)] = factor * source[i * slab];
    });
    return out;
  }

private:
  const MatrixView<const T> a_;
  const std::uint64_t seed_;
  const Index eighth_;
  Monitor& monitor_;
  std::vector<T> entries_;  // slab after slab, each by rows
  std::vector<double> sums_;
};

// The true R of the chosen columns, from the second reading; its order is as many columns as are independent.
template <class T>
std::vector<T> true_r(const ScaledMatrix<T>& a, const std::vector<Index>& pivots, MatrixView<T> r,
                      Monitor& monitor) {
  const Index k = r.cols;
  std::vector<T> inverse_entries(at(k * k)), gram_entries(at(k * k), T(0)), product(at(k * k));
  const auto inverse = column_major(inverse_entries.data(), k, k);
  const auto g = column_major(gram_entries.data(), k, k);
  panel_invert_upper<T>(r, inverse);
  std::vector<T> chosen(at(chunk_rows * k)), whitened(at(chunk_rows * k)), part(at(k * k));
  for (Index first = 0; first < a.view.rows; first += chunk_rows) {
    const Index count = std::min(chunk_rows, a.view.rows - first);
    ScaledMatrix<T> rows{a.view.block(first, 0, count, a.view.cols), a.factor, {}};
    const auto x = column_major(chosen.data(), count, k);
    const auto y = column_major(whitened.data(), count, k);
    gather_columns(rows, pivots.data(), a.factor, x);
    gemm<T>(T(1), x, inverse, T(0), y);
    gram<T>(T(1), y, column_major(part.data(), k, k));
    for (Index i = 0; i < k * k; ++i) gram_entries[at(i)] += part[at(i)];
    monitor.tick(0.5 + 0.5 * static_cast<double>(first + count) / static_cast<double>(a.view.rows));
  }
  const Index rank = panel_cholesky<T>(g, T(1000) * std::numeric_limits<T>::epsilon());
  for (Index j = 0; j < k; ++j) std::fill(&g(0, j), &g(0, j) + j, T(0));
  std::vector<T> out(at(rank * rank));
  gemm<T>(T(1), g.block(0, 0, rank, rank).transposed(), r.block(0, 0, rank, rank), T(0),
          column_major(out.data(), rank, rank));
  return out;
}

}  // namespace

template <class T>
Choice<T> choose_sketch(MatrixView<const T> a, Index k, double rtol, bool with_q, std::uint64_t seed,
                        Scaling<T>& scaling, Monitor& monitor) {
  RowSketch<T> sketch(a, k, seed, monitor);
  if (a.rows <= sketch.rows()) {
    scale_matrix(a, column_norms(a), scaling);
    return choose_blocked(scaling.matrix, k, rtol, seed, monitor);
  }
  sketch.read(0);
  const std::vector<Norm> norms = norms_of(a, sketch.sums().data());
  const int exponent = scaling_exponent(norms);
  const bool extreme = !scalable<T>(exponent);
  if (extreme) sketch.read(-exponent);
  scale_matrix(a, norms, scaling);

  std::vector<T> entries = sketch.by_columns(extreme ? T(1) : scaling.matrix.factor);
  Scaling<T> sketched;
  const MatrixView<const T> s = column_major(entries.data(), sketch.rows(), a.cols);
  scale_matrix(s, column_norms(s), sketched);
  // The sketch knows lengths to a few per cent: what lies near the limit is decided by the true R.
  Choice<T> choice = choose_blocked(sketched.matrix, k, rtol / 2, seed, monitor);
  const auto found = static_cast<Index>(choice.pivots.size());
  std::vector<T> r_entries(at(found * found));
  const auto r = column_major(r_entries.data(), found, found);
  const MatrixView<const T> q = column_major(choice.q.data(), sketch.rows(), found);
  gemm_columns<T>(T(1), q.transposed(), s, choice.pivots.data(), found, T(0), r);
  for (Index j = 0; j < found; ++j) std::fill(&r(0, j) + j + 1, &r(0, j) + found, T(0));

  const std::vector<T> truth = true_r(scaling.matrix, choice.pivots, r, monitor);
  const auto rank = static_cast<Index>(std::lround(std::sqrt(static_cast<double>(truth.size()))));
  choice.r_diag.clear();
  choice.q.clear();
  for (Index j = 0; j < rank; ++j) {
    const T length = truth[at(j * rank + j)];
    if (static_cast<double>(length) <=
            rtol * static_cast<double>(choice.r_diag.empty() ? length : choice.r_diag[0]) &&
        j > 0) {
      break;
    }
    choice.r_diag.push_back(length);
  }
  choice.pivots.resize(choice.r_diag.size());
  return with_q ? with_basis<T>(scaling.matrix, std::move(choice), seed, monitor) : choice;
}

#define WAVELENS_INSTANTIATE(T)                                                                          \
  template Choice<T> choose_sketch(MatrixView<const T>, Index, double, bool, std::uint64_t, Scaling<T>&, \
                                   Monitor&);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
