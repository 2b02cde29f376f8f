#include "panel_qr.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

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
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

template <class T>
struct Dense {
  Dense(Index rows, Index cols)
      : entries(at(rows * cols), T(0)), view(column_major(entries.data(), rows, cols)) {}
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

// Pivots the sketch (or takes it in order) until what is left depends on it.
template <class T>
std::vector<Index> pivot_sketch(GreedyColumns<T>& sketch, const std::vector<T>& scale, bool keep_order) {
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
  return taken;
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
      const auto sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48);
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
  const Index b = panel.cols;
  project_out<T>(basis, panel);
  const std::vector<T> scale = equilibration<T>(panel);

  const Index sketch_rows = b + b / 2 + 8;
  const bool whole = n <= sketch_rows;
  GreedyColumns<T> sketch(whole ? n : sketch_rows);
  {
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
  }
  const std::vector<Index> taken = pivot_sketch(sketch, scale, keep_order);
  Index rank = static_cast<Index>(taken.size());
  PanelQr<T> result;
  if (rank == 0) return result;

  Dense<T> r(rank, rank), inverse(rank, rank), factor(b, rank);
  copy_r(sketch, taken, r.view);
  panel_invert_upper<T>(r.view, inverse.view);
  for (Index i = 0; i < rank; ++i) {
    for (Index j = i; j < rank; ++j)
      factor.view(taken[at(i)], j) = scale[at(taken[at(i)])] * inverse.view(i, j);
  }
  Dense<T> first(n, rank), second(n, rank);
  gemm<T>(T(1), panel, factor.view, T(0), first.view);
  project_out<T>(basis, first.view);

  // Cholesky QR twice; R picks up both factors. Columns that even now depend on others end the panel.
  Dense<T> next(rank, rank);
  MatrixView<T> left = first.view;
  MatrixView<T> right = second.view;
  Dense<T> last_inverse(rank, rank);
  for (int round = 0; round < 2; ++round) {
    Dense<T> g(rank, rank);
    gram<T>(T(1), left.block(0, 0, n, rank), g.view.block(0, 0, rank, rank));
    rank = panel_cholesky<T>(g.view.block(0, 0, rank, rank), T(1000) * std::numeric_limits<T>::epsilon());
    if (rank == 0) return result;
    for (Index j = 0; j < g.view.cols; ++j) {
      for (Index i = 0; i < j; ++i) g.view(i, j) = T(0);
    }
    const auto l = g.view.block(0, 0, rank, rank);
    const auto l_inverse = last_inverse.view.block(0, 0, rank, rank);
    panel_invert_lower<T>(l, l_inverse);
    const auto product = next.view.block(0, 0, rank, rank);
    gemm<T>(T(1), l.transposed(), r.view.block(0, 0, rank, rank), T(0), product);
    for (Index j = 0; j < rank; ++j) {
      for (Index i = 0; i < rank; ++i) r.view(i, j) = i <= j ? product(i, j) : T(0);
    }
    if (round == 0) {
      gemm<T>(T(1), left.block(0, 0, n, rank), l_inverse.transposed(), T(0), right.block(0, 0, n, rank));
      std::swap(left, right);
    }
  }
  for (Index j = 0; j < rank; ++j) {
    for (Index i = 0; i <= j; ++i) r.view(i, j) /= scale[at(taken[at(j)])];
  }

  // Pivot the true R, which is small, and fold its rotation into the last product.
  GreedyColumns<T> small(rank);
  std::vector<Index> small_names;
  for (Index j = 0; j < rank; ++j) small_names.push_back(names[taken[at(j)]]);
  const auto target = small.append(small_names.data(), rank);
  for (Index j = 0; j < rank; ++j) std::copy(&r.view(0, j), &r.view(0, j) + rank, &target(0, j));
  small.measure();
  std::vector<Index> order;
  while (small.steps() < rank) {
    const Index position = keep_order ? small.steps() : small.best();
    if (position < 0) break;
    if (keep_order) small.refresh(position);
    if (!(static_cast<double>(small.residual(position)) > threshold)) break;
    small.take(position);
    order.push_back(position);
  }
  const Index kept = static_cast<Index>(order.size());
  if (kept == 0) return result;
  result.r.assign(at(kept * kept), T(0));
  const auto final_r = column_major(result.r.data(), kept, kept);
  copy_r(small, order, final_r);
  Dense<T> rotation(small.stride(), kept), rotated(rank, kept);
  for (Index j = 0; j < kept; ++j) {
    result.order.push_back(taken[at(order[at(j)])]);
    const T sign = final_r(j, j) < T(0) ? T(-1) : T(1);
    rotation.view(j, j) = sign;
    for (Index c = j; c < kept; ++c) final_r(j, c) *= sign;
  }
  parallel_for(kept, [&](Index j) { small.apply_q(&rotation.view(0, j)); });
  gemm<T>(T(1), last_inverse.view.block(0, 0, rank, rank).transposed(), rotation.view.block(0, 0, rank, kept),
          T(0), rotated.view);
  gemm<T>(T(1), left.block(0, 0, n, rank), rotated.view, T(0), q_new.block(0, 0, n, kept));
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
