#include "panel_qr.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "greedy_columns.hpp"
#include "panel_triangles.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

std::uint64_t mix(std::uint64_t x) {  // splitmix64 (Steele, Lea & Flood 2014)
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31U);
}

template <class T>
struct Dense {
  Dense(Index rows, Index cols)
      : entries(at(rows * cols), T(0)), view(column_major(entries.data(), rows, cols)) {}
  Dense(Dense&&) = default;
  Dense& operator=(Dense&&) = default;
  std::vector<T> entries;
  MatrixView<T> view;
};

// Powers of two that bring every column of the panel to a length between 1 and 2; 0 for zero columns.
template <class T>
std::vector<T> equilibration(MatrixView<const T> panel) {
  std::vector<T> scale(at(panel.cols));
  parallel_for(panel.cols, [&](Index j) {
    double sum = 0;
    for (Index i = 0; i < panel.rows; ++i)
      sum += static_cast<double>(panel(i, j)) * static_cast<double>(panel(i, j));
    const int exponent =
        sum > 0 ? std::min(-std::ilogb(std::sqrt(sum)), std::numeric_limits<T>::max_exponent - 8) : 0;
    scale[at(j)] = sum > 0 ? std::ldexp(T(1), exponent) : T(0);
  });
  return scale;
}

// R of a pivoted set of columns: columns of the taken ones, rows up to their number.
template <class T>
void copy_r(const GreedyColumns<T>& columns, const std::vector<Index>& taken, MatrixView<T> r) {
  for (Index j = 0; j < r.cols; ++j) {
    const T* source = columns.column(taken[at(j)]);
    for (Index i = 0; i < r.rows; ++i) r(i, j) = i <= j ? source[i] : T(0);
  }
}

// Sketches the equilibrated panel and pivots the sketch (or takes it in order) until what is left depends on
// it. Returns the columns taken and their R.
template <class T>
std::vector<Index> factor_sketch(MatrixView<const T> panel, const std::vector<T>& scale, const Index* names,
                                 bool keep_order, std::uint64_t seed, Dense<T>& r) {
  const Index n = panel.rows, b = panel.cols, sketch_rows = b + b / 2 + 8;
  const bool whole = n <= sketch_rows;
  GreedyColumns<T> sketch(whole ? n : sketch_rows);
  const auto s = sketch.append(names, b);
  if (whole) {
    for (Index j = 0; j < b; ++j) std::copy(&panel(0, j), &panel(0, j) + n, &s(0, j));
  } else {
    Dense<T> omega(sketch_rows, n);
    fill_random(seed, omega.view);
    gemm<T>(T(1), omega.view, panel, T(0), s);
  }
  for (Index j = 0; j < b; ++j) {
    for (Index i = 0; i < s.rows; ++i) s(i, j) *= scale[at(j)];
  }
  sketch.measure();

  // What rounding leaves of a column that depends on others.
  const T dependent = T(256) * std::numeric_limits<T>::epsilon() * std::sqrt(static_cast<T>(sketch.stride()));
  std::vector<Index> taken;
  while (sketch.steps() < std::min(sketch.size(), sketch.rows())) {
    const Index position = keep_order ? sketch.steps() : sketch.best();
    if (position < 0 || scale[at(position)] == T(0)) break;
    if (keep_order) sketch.refresh(position);
    if (!(sketch.residual(position) > dependent)) break;
    sketch.take(position);
    taken.push_back(position);
  }
  const auto rank = static_cast<Index>(taken.size());
  r = Dense<T>(rank, rank);
  copy_r(sketch, taken, r.view);
  return taken;
}

// P·D·R_S⁻¹ in `out`, D the equilibration: nearly orthonormal.
template <class T>
void whiten(MatrixView<const T> panel, const std::vector<T>& scale, const std::vector<Index>& taken,
            MatrixView<const T> r, MatrixView<T> out) {
  Dense<T> inverse(r.rows, r.rows), factor(panel.cols, r.rows);
  panel_invert_upper<T>(r, inverse.view);
  for (Index i = 0; i < r.rows; ++i) {
    for (Index j = i; j < r.rows; ++j)
      factor.view(taken[at(i)], j) = scale[at(taken[at(i)])] * inverse.view(i, j);
  }
  gemm<T>(T(1), panel, factor.view, T(0), out);
}

// One round of Cholesky QR on the first `rank` columns of x: X·inverseᵀ is the better basis, R ← LᵀR. Returns
// how many columns are independent even now.
template <class T>
Index cholesky_round(MatrixView<const T> x, Index rank, MatrixView<T> r, MatrixView<T> inverse) {
  Dense<T> g(rank, rank), product(rank, rank);
  gram<T>(T(1), x.block(0, 0, x.rows, rank), g.view);
  const Index kept = panel_cholesky<T>(g.view, T(1000) * std::numeric_limits<T>::epsilon());
  for (Index j = 0; j < kept; ++j) std::fill(&g.view(0, j), &g.view(0, j) + j, T(0));
  const auto l = g.view.block(0, 0, kept, kept);
  panel_invert_lower<T>(l, inverse.block(0, 0, kept, kept));
  const auto better = product.view.block(0, 0, kept, kept);
  gemm<T>(T(1), l.transposed(), r.block(0, 0, kept, kept), T(0), better);
  for (Index j = 0; j < kept; ++j) {
    for (Index i = 0; i < kept; ++i) r(i, j) = i <= j ? better(i, j) : T(0);
  }
  return kept;
}

// The true R in its final order, and the rotation of the basis that goes with it (rank × kept).
template <class T>
struct FinalR {
  std::vector<Index> order;
  Dense<T> r{0, 0};
  Dense<T> rotation{0, 0};
};

template <class T>
FinalR<T> keep_r(MatrixView<const T> r, double threshold) {
  FinalR<T> out;
  while (static_cast<Index>(out.order.size()) < r.cols) {
    const auto j = static_cast<Index>(out.order.size());
    if (!(static_cast<double>(std::abs(r(j, j))) > threshold)) break;
    out.order.push_back(j);
  }
  const auto kept = static_cast<Index>(out.order.size());
  out.r = Dense<T>(kept, kept);
  out.rotation = Dense<T>(r.rows, kept);
  for (Index j = 0; j < kept; ++j) {
    std::copy(&r(0, j), &r(0, j) + kept, &out.r.view(0, j));
    out.rotation.view(j, j) = T(1);
  }
  return out;
}

template <class T>
FinalR<T> pivot_r(MatrixView<const T> r, const std::vector<Index>& names, double threshold) {
  GreedyColumns<T> columns(r.rows);
  const auto target = columns.append(names.data(), r.cols);
  for (Index j = 0; j < r.cols; ++j) std::copy(&r(0, j), &r(0, j) + r.rows, &target(0, j));
  columns.measure();
  FinalR<T> out;
  while (columns.steps() < r.cols) {
    const Index best = columns.best();
    if (best < 0 || !(static_cast<double>(columns.residual(best)) > threshold)) break;
    columns.take(best);
    out.order.push_back(best);
  }
  const auto kept = static_cast<Index>(out.order.size());
  out.r = Dense<T>(kept, kept);
  copy_r(columns, out.order, out.r.view);
  out.rotation = Dense<T>(columns.stride(), kept);
  for (Index j = 0; j < kept; ++j) out.rotation.view(j, j) = T(1);
  parallel_for(kept, [&](Index j) { columns.apply_q(&out.rotation.view(0, j)); });
  return out;
}

template <class T>
void make_diagonal_positive(FinalR<T>& final) {
  for (Index j = 0; j < final.r.view.cols; ++j) {
    if (final.r.view(j, j) > T(0)) continue;
    for (Index c = j; c < final.r.view.cols; ++c) final.r.view(j, c) = -final.r.view(j, c);
    for (Index i = 0; i < final.rotation.view.rows; ++i)
      final.rotation.view(i, j) = -final.rotation.view(i, j);
  }
}

}  // namespace

std::uint64_t random_bits(std::uint64_t seed, std::uint64_t i) { return mix(mix(seed) + i); }

template <class T>
void fill_random(std::uint64_t seed, MatrixView<T> x) {
  const std::uint64_t key = mix(seed);
  // Four uniform 16-bit numbers: variance 4·(2³² − 1)/12, mean 4·(2¹⁶ − 1)/2.
  constexpr double unit = 1.0 / 37837.226;
  parallel_for(x.cols, [&](Index j) {
    const std::uint64_t column = mix(key + static_cast<std::uint64_t>(j));
    for (Index i = 0; i < x.rows; ++i) {
      const std::uint64_t bits = mix(column + static_cast<std::uint64_t>(i));
      const auto sum = (bits & 0xFFFFU) + (bits >> 16U & 0xFFFFU) + (bits >> 32U & 0xFFFFU) + (bits >> 48U);
      x(i, j) = static_cast<T>((static_cast<double>(sum) - 131070.0) * unit);
    }
  });
}

template <class T>
void project_out(MatrixView<const T> q, MatrixView<T> x) {
  if (q.cols == 0 || x.cols == 0) return;
  std::vector<T> coefficients(at(q.cols * x.cols));
  const auto c = column_major(coefficients.data(), q.cols, x.cols);
  gemm<T>(T(1), q.transposed(), x, T(0), c);
  gemm<T>(T(-1), q, c, T(1), x);
}

template <class T>
PanelQr<T> panel_qr(MatrixView<const T> basis, MatrixView<T> panel, const Index* names, double threshold,
                    bool keep_order, std::uint64_t seed, MatrixView<T> q_new) {
  const Index n = panel.rows;
  PanelQr<T> result;
  project_out<T>(basis, panel);
  const std::vector<T> scale = equilibration<T>(panel);
  Dense<T> r(0, 0);
  const std::vector<Index> taken = factor_sketch<T>(panel, scale, names, keep_order, seed, r);
  auto rank = static_cast<Index>(taken.size());
  if (rank == 0) return result;

  Dense<T> rough(n, rank), better(n, rank), inverse(rank, rank);
  whiten<T>(panel, scale, taken, r.view, rough.view);
  project_out<T>(basis, rough.view);
  rank = cholesky_round<T>(rough.view, rank, r.view, inverse.view);
  if (rank == 0) return result;
  const auto square = [&](Dense<T>& x) { return x.view.block(0, 0, rank, rank); };
  gemm<T>(T(1), rough.view.block(0, 0, n, rank), square(inverse).transposed(), T(0),
          better.view.block(0, 0, n, rank));
  rank = cholesky_round<T>(better.view, rank, r.view, inverse.view);
  if (rank == 0) return result;

  std::vector<Index> taken_names;
  for (Index j = 0; j < rank; ++j) {
    taken_names.push_back(names[taken[at(j)]]);
    for (Index i = 0; i <= j; ++i) r.view(i, j) /= scale[at(taken[at(j)])];
  }
  FinalR<T> final =
      keep_order ? keep_r<T>(square(r), threshold) : pivot_r<T>(square(r), taken_names, threshold);
  make_diagonal_positive(final);
  const auto kept = static_cast<Index>(final.order.size());
  for (const Index j : final.order) result.order.push_back(taken[at(j)]);
  result.r = std::move(final.r.entries);
  // The second round's triangle and the rotation in one product.
  Dense<T> last(rank, kept);
  gemm<T>(T(1), square(inverse).transposed(), final.rotation.view.block(0, 0, rank, kept), T(0), last.view);
  gemm<T>(T(1), better.view.block(0, 0, n, rank), last.view, T(0), q_new.block(0, 0, n, kept));
  return result;
}

#define WAVELENS_INSTANTIATE(T)                                                                \
  template PanelQr<T> panel_qr(MatrixView<const T>, MatrixView<T>, const Index*, double, bool, \
                               std::uint64_t, MatrixView<T>);                                  \
  template void fill_random(std::uint64_t, MatrixView<T>);                                     \
  template void project_out(MatrixView<const T>, MatrixView<T>);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
