// Pivoted QR of a matrix with many more rows than pivots, read twice in chunks of rows.
//
// First reading: the sketch S = ΩA of row_sketch.cpp with d = 2k rows (to a multiple of 8). A row that alone
// holds a direction keeps its full length in S, which is why matrices whose information sits in a few rows
// are no exception. Norms, and the search for NaN, come out of the same reading. The pivots are those of S,
// by the blocked method.
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
#include "wavelens/row_sketch.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

constexpr Index chunk_rows = 2048;  // of A between two looks at the clock
constexpr Index read_rows = 256;    // that are still in the cache when they are read for the second time

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Sums of the sketch (row_sketch.hpp) and of the squares in the columns of A.
template <class T>
struct SketchSums {
  std::vector<T> sketch;
  std::vector<double> squares;
};

// Reads A once, each entry times 2^shift in the sketch.
template <class T>
SketchSums<T> read_sums(MatrixView<const T> a, Index n_rows, std::uint64_t seed, int shift,
                        Monitor& monitor) {
  SketchSums<T> out;
  out.sketch.assign(at(row_sketch_slabs<T>(a.cols) * n_rows * row_sketch_slab<T>), T(0));
  out.squares.assign(at(a.cols), 0);
  for (Index first = 0; first < a.rows; first += read_rows) {
    const auto rows = a.block(first, 0, std::min(read_rows, a.rows - first), a.cols);
    row_sketch_squares<T, T>(rows, out.squares.data());
    row_sketch_add<T, T>(rows, static_cast<std::uint64_t>(first), seed, n_rows, shift, out.sketch.data());
    monitor.tick(0.5 * static_cast<double>(first + rows.rows) / static_cast<double>(a.rows));
  }
  return out;
}

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
  const Index n_rows = (2 * k + row_sketch_entries - 1) / row_sketch_entries * row_sketch_entries;
  if (a.rows <= n_rows) {
    scale_matrix(a, column_norms(a), scaling);
    return choose_blocked(scaling.matrix, k, rtol, seed, monitor);
  }
  SketchSums<T> sums = read_sums(a, n_rows, seed, 0, monitor);
  const std::vector<Norm> norms = norms_of(a, sums.squares.data());
  const int exponent = scaling_exponent(norms);
  const bool extreme = !scalable<T>(exponent);
  if (extreme) sums = read_sums(a, n_rows, seed, -exponent, monitor);
  scale_matrix(a, norms, scaling);

  std::vector<T> entries(at(n_rows * a.cols));
  row_sketch_matrix<T>(sums.sketch.data(), n_rows, extreme ? T(1) : scaling.matrix.factor,
                       column_major(entries.data(), n_rows, a.cols));
  Scaling<T> sketched;
  const MatrixView<const T> s = column_major(entries.data(), n_rows, a.cols);
  scale_matrix(s, column_norms(s), sketched);
  // The sketch knows lengths to a few per cent: what lies near the limit is decided by the true R.
  Choice<T> choice = choose_blocked(sketched.matrix, k, rtol / 2, seed, monitor);
  const auto found = static_cast<Index>(choice.pivots.size());
  std::vector<T> r_entries(at(found * found));
  const auto r = column_major(r_entries.data(), found, found);
  const MatrixView<const T> q = column_major(choice.q.data(), n_rows, found);
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
