// D_i = U_i·Σ_i·Vᵀ (i = 1…N) with one V, U_i of unit columns and Σ_i diagonal: Ponnapalli, Saunders, Van Loan
// and Alter
// ("A higher-order generalized singular value decomposition…", PLoS ONE 6, 2011), for matrices of any rank as
// in Kempf, Goulart and Duncan ("A higher-order generalized singular value decomposition for rank-deficient
// matrices", 2021).
//
// Their definition averages the quotients A_iA_j⁻¹ of A_i = D_iᵀD_i and takes eigenvectors of that
// unsymmetric matrix, which squares the condition number twice over. Here the stacked matrices are brought to
// [Q_1; …; Q_N]·R first (ho_gsvd_stack). In the coordinates of R the problem is symmetric and tame: ΣQ_iᵀQ_i
// = I, the sought directions are the columns of an orthogonal Z (ho_gsvd_directions for N ≥ 3, ho_gsvd_pair
// for N = 2), and
//
//     V = RᵀZ,  U_iΣ_i = Q_iZ,  σ_ik = ‖Q_i z_k‖,  Σ_i σ_ik² = 1.
//
// Whatever Z is, U_iΣ_iVᵀ = Q_iZZᵀR = D_i to rounding: the backward error does not know the condition number,
// and V is never solved with. Columns are scaled by powers of two first, so that their units do not matter.
//
// A row of U_iΣ_i is D_row·R⁻¹Z: new images go the same way as the old ones (ho_gsvd_rows).
#include "wavelens/ho_gsvd.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "ho_gsvd_clusters.hpp"
#include "ho_gsvd_directions.hpp"
#include "ho_gsvd_stack.hpp"
#include "triangular.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

// Rounds of the factorization repeat, and how many there will be nobody knows before: what was told stays
// told.
class Rising : public Monitor {
public:
  explicit Rising(Monitor& inner) : inner_(inner) {}
  void tick(double done) override {
    highest_ = std::max(highest_, done);
    inner_.tick(highest_);
  }

private:
  Monitor& inner_;
  double highest_ = 0;
};

using Index = std::ptrdiff_t;

template <class T>
T norm(const T* x, Index n) {
  double lanes[4] = {};
  for (Index i = 0; i < n; ++i) lanes[i % 4] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double sum = lanes[0] + lanes[1] + lanes[2] + lanes[3];
  if (sum > 1e-250 && sum < 1e250) return static_cast<T>(std::sqrt(sum));
  double largest = 0;
  for (Index i = 0; i < n; ++i) largest = std::max(largest, std::abs(static_cast<double>(x[i])));
  if (largest == 0) return T(0);
  sum = 0;
  for (Index i = 0; i < n; ++i)
    sum += (static_cast<double>(x[i]) / largest) * (static_cast<double>(x[i]) / largest);
  return static_cast<T>(largest * std::sqrt(sum));
}

template <class T>
std::vector<double> checked_weights(const std::vector<MatrixView<const T>>& matrices,
                                    const HoGsvdOptions& options) {
  if (matrices.size() < 2) throw std::invalid_argument("at least two matrices are needed");
  for (const auto& each : matrices) {
    if (each.cols != matrices[0].cols || each.cols < 1 || each.rows < 1) {
      throw std::invalid_argument("the matrices must have the same number of columns, and none may be empty");
    }
  }
  constexpr double least_ridge = static_cast<double>(std::numeric_limits<T>::min());
  constexpr double largest_ridge = static_cast<double>(std::numeric_limits<T>::max()) / 8;
  if (options.ridge != 0 && !(options.ridge >= least_ridge && options.ridge <= largest_ridge))
    throw std::invalid_argument("`ridge` must be 0, or positive and within the range of the matrices' dtype");
  if (options.rtol >= 1) throw std::invalid_argument("`rtol` must be less than 1");
  if (options.weights.empty()) return std::vector<double>(matrices.size(), 1.0);
  if (options.weights.size() != matrices.size()) throw std::invalid_argument("one weight a matrix is needed");
  for (const double each : options.weights) {
    if (!(each > 0) || std::isinf(each)) throw std::invalid_argument("weights must be positive");
  }
  const auto [least, largest] = std::minmax_element(options.weights.begin(), options.weights.end());
  if (*least / *largest < static_cast<double>(std::numeric_limits<T>::min()) * 4)
    throw std::invalid_argument("the quotients of `weights` are beyond the range of the matrices' dtype");
  return options.weights;
}

void check_rank(Index rank) {
  if (rank == 0) throw std::invalid_argument("the matrices have rank 0 at this `rtol`");
}

// Two matrices have orthogonal left factors. Columns of UΣ with a small σ are so only to eps/σ; a QR
// decomposition of them, free of the other columns and in order of falling σ, makes good for that.
template <class T>
void orthogonalize_small(Dense<T>& b, T* sigma) {
  const Index r = b.cols;
  std::vector<Index> small;
  for (Index k = 0; k < r; ++k) {
    if (sigma[k] <= T(0.2)) small.push_back(k);
  }
  if (small.empty()) return;
  std::sort(small.begin(), small.end(), [&](Index j, Index k) { return sigma[j] > sigma[k]; });
  const Index count = static_cast<Index>(small.size());
  Dense<T> part(b.rows, count), onto(r, count);
  for (Index k = 0; k < count; ++k) std::copy_n(b.col(small[at(k)]), b.rows, part.col(k));
  gemm<T>(T(1), b.view().transposed(), part.view(), T(0), onto.view());
  for (Index j = 0; j < count; ++j) {
    for (Index k = 0; k < r; ++k) onto(k, j) = sigma[k] > T(0.2) ? onto(k, j) / (sigma[k] * sigma[k]) : T(0);
  }
  gemm<T>(T(-1), b.view(), onto.view(), T(1), part.view());
  const Dense<T> triangle = qr(part);
  for (Index k = 0; k < count; ++k) {
    T* column = b.col(small[at(k)]);
    const T length = k < triangle.rows ? triangle(k, k) : T(0);
    for (Index i = 0; i < b.rows; ++i) column[i] = length == T(0) ? T(0) : length * part(i, k);
    sigma[small[at(k)]] = std::abs(length);
  }
}

// U_iΣ_i in the memory of Q_i, and its columns' norms.
template <class T>
void left_factor(Stack<T>& stack, std::size_t i, const Dense<T>& w, HoGsvd<T>& out) {
  const Index r = stack.rank;
  Dense<T> b = std::move(stack.q[i]);
  constexpr Index chunk = 1152;
  Dense<T> rows(std::min(chunk, b.rows), r);
  for (Index first = 0; first < b.rows; first += chunk) {
    const Index count = std::min(chunk, b.rows - first);
    parallel_ranges(r, 16, [&](Index begin, Index end) {
      for (Index k = begin; k < end; ++k) std::copy_n(b.col(k) + first, count, rows.col(k));
    });
    gemm<T>(T(1), rows.block(0, 0, count, r), w.view(), T(0), b.view().block(first, 0, count, r));
  }
  T* sigma = out.sigma.data() + static_cast<Index>(i) * r;
  parallel_ranges(r, 16, [&](Index begin, Index end) {
    for (Index k = begin; k < end; ++k) sigma[k] = norm(b.col(k), b.rows);
  });
  if (out.u.size() == 2) orthogonalize_small(b, sigma);
  out.u[i] = std::move(b.entries);
}

// Which matrix alone a direction belongs to; what is zero to rounding becomes zero. Rounding is that of the
// matrix' own size where `own_rounding` says so: else a faint matrix would vanish as a whole.
template <class T>
void find_owners(double isolated_below, double zero_below, const std::vector<unsigned char>& own_rounding,
                 HoGsvd<T>& out) {
  const Index r = out.rank;
  const Index n = static_cast<Index>(out.u.size());
  const auto sigma = [&](Index i, Index k) -> T& { return out.sigma[static_cast<std::size_t>(i * r + k)]; };
  std::vector<double> zero(at(n), zero_below);
  for (Index i = 0; i < n; ++i) {
    const T* own = out.sigma.data() + i * r;
    const double largest = static_cast<double>(*std::max_element(own, own + r));
    // Two matrices: what is below eps was not told apart when the angles were sorted.
    if (n > 2 && own_rounding[at(i)] != 0) zero[at(i)] *= std::min(1.0, 4 * largest);
  }
  out.owner.assign(static_cast<std::size_t>(r), -1);
  for (Index k = 0; k < r; ++k) {
    Index largest = 0;
    for (Index i = 1; i < n; ++i) {
      if (sigma(i, k) > sigma(largest, k)) largest = i;
    }
    double others = 0;
    for (Index i = 0; i < n; ++i) {
      if (i != largest) others = std::hypot(others, static_cast<double>(sigma(i, k)));
    }
    if (others <= isolated_below) out.owner[static_cast<std::size_t>(k)] = largest;
    for (Index i = 0; i < n; ++i) {
      if (i != largest && static_cast<double>(sigma(i, k)) <= zero[at(i)]) sigma(i, k) = T(0);
    }
  }
}

template <class T>
void check_full_rank(const HoGsvd<T>& out) {
  const auto zero = std::find(out.sigma.begin(), out.sigma.end(), T(0));
  if (zero == out.sigma.end()) return;
  throw std::invalid_argument("`ridge` = 0 needs matrices of full column rank (" + std::to_string(out.rank) +
                              "), matrix " + std::to_string((zero - out.sigma.begin()) / out.rank) +
                              " has not; give a `ridge` above 0");
}

template <class T>
void divide_by_sigma(HoGsvd<T>& out) {
  const Index r = out.rank;
  for (std::size_t i = 0; i < out.u.size(); ++i) {
    const Index rows = static_cast<Index>(out.u[i].size()) / r;
    parallel_ranges(r, 16, [&](Index begin, Index end) {
      for (Index k = begin; k < end; ++k) {
        const T sigma = out.sigma[i * static_cast<std::size_t>(r) + static_cast<std::size_t>(k)];
        T* column = out.u[i].data() + k * rows;
        for (Index row = 0; row < rows; ++row) column[row] = sigma > T(0) ? column[row] / sigma : T(0);
      }
    });
  }
}

// The largest entry of each column of V becomes positive; W = (I + E)^(−½)Z follows.
template <class T>
void choose_signs(Dense<T>& v, Dense<T>& w) {
  parallel_ranges(v.cols, 16, [&](Index begin, Index end) {
    for (Index k = begin; k < end; ++k) {
      T largest = 0;
      for (Index i = 0; i < v.rows; ++i) largest = std::abs(v(i, k)) > std::abs(largest) ? v(i, k) : largest;
      if (largest >= T(0)) continue;
      for (Index i = 0; i < v.rows; ++i) v(i, k) = -v(i, k);
      for (Index i = 0; i < w.rows; ++i) w(i, k) = -w(i, k);
    }
  });
}

// Columns of V to norm 1; σ and the coordinates of rows take the norm.
template <class T>
void move_length_to_sigma(HoGsvd<T>& out, Index m) {
  const Index r = out.rank;
  for (Index k = 0; k < r; ++k) {
    T* v = out.v.data() + k * m;
    const T length = norm(v, m);
    if (!std::isfinite(length))
      throw std::invalid_argument(
          "the patterns are longer than the dtype of `matrices` can hold: scale them");
    for (Index i = 0; i < m; ++i) v[i] /= length;
    for (Index i = 0; i < r; ++i) out.solver.z[at(i + k * r)] *= length;
    for (Index i = 0; i < static_cast<Index>(out.u.size()); ++i) out.sigma[at(i * r + k)] *= length;
  }
}

template <class T>
RowSolver<T> row_solver(Stack<T>& stack, Dense<T> w) {
  const Index r = stack.rank;
  const Index m = stack.r.cols;
  RowSolver<T> solver;
  solver.scale = stack.scale;
  solver.z = std::move(w.entries);
  if (r == m) {
    solver.pivots = stack.pivots;
    if (stack.pivots.empty()) {
      for (Index j = 0; j < m; ++j) solver.pivots.push_back(j);
      solver.triangle = std::move(stack.r.entries);
      return solver;
    }
    Dense<T> triangle = Dense<T>::zeros(r, r);
    for (Index j = 0; j < r; ++j) {
      const T* from = stack.r.col(solver.pivots[static_cast<std::size_t>(j)]);
      std::copy(from, from + j + 1, triangle.col(j));
    }
    solver.triangle = std::move(triangle.entries);
    return solver;
  }
  // Least squares: with (JR)ᵀ = PL, J the reversal of rows, R = (J·Lᵀ·J)·(PJ)ᵀ and J·Lᵀ·J is upper
  // triangular.
  Dense<T> flipped(m, r);
  for (Index i = 0; i < r; ++i) {
    for (Index j = 0; j < m; ++j) flipped(j, i) = stack.r(r - 1 - i, j);
  }
  const Dense<T> l = qr(flipped);
  reverse_columns(flipped);
  Dense<T> triangle = Dense<T>::zeros(r, r);
  for (Index j = 0; j < r; ++j) {
    for (Index i = 0; i <= j; ++i) triangle(i, j) = l(r - 1 - j, r - 1 - i);
  }
  solver.triangle = std::move(triangle.entries);
  solver.project = std::move(flipped.entries);
  return solver;
}

// σ, V, U and the rest, from the directions.
template <class T>
HoGsvd<T> finish(Stack<T>& stack, const Directions<T>& directions, const HoGsvdOptions& options,
                 Monitor& monitor) {
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  const std::size_t n = stack.q.size();
  HoGsvd<T> out;
  out.rank = stack.rank;
  out.tau.assign(directions.tau.begin(), directions.tau.end());
  out.resolved = directions.resolved;
  out.sigma.resize(n * static_cast<std::size_t>(out.rank));
  out.u.resize(n);
  Corrected<T> z = corrected<T>(stack, directions.z.view());
  Dense<T> v = right_factor<T>(stack, z.plus.view());
  choose_signs(v, z.minus);
  out.v = std::move(v.entries);
  for (std::size_t i = 0; i < n; ++i) {
    const Held<T> held(stack, i);
    left_factor(stack, i, z.minus, out);
    if (stack.fetch) out.u[i] = Buffer<T>();
    monitor.tick(0.7 + 0.2 * static_cast<double>(i + 1) / static_cast<double>(n));
  }
  out.solver = row_solver(stack, std::move(z.minus));
  find_owners(directions.isolated_below, eps * (20 + 2 * std::sqrt(static_cast<double>(out.rank))),
              stack.own_rounding, out);
  if (options.ridge == 0) check_full_rank(out);
  divide_by_sigma(out);
  if (options.unit) move_length_to_sigma(out, stack.r.cols);
  return out;
}

}  // namespace

template <class T>
HoGsvd<T> ho_gsvd(const std::vector<MatrixView<const T>>& matrices, const HoGsvdOptions& options,
                  Monitor& caller) {
  Rising monitor(caller);
  const std::vector<double> weights = checked_weights(matrices, options);
  Index rows = 0;
  for (const auto& each : matrices) rows += each.rows;
  const double rtol = options.rtol >= 0 ? options.rtol
                                        : static_cast<double>(std::max(rows, matrices[0].cols)) *
                                              std::numeric_limits<T>::epsilon();

  monitor.tick(0);
  Stack<T> stack = stack_factor(matrices, weights, rtol, monitor);
  check_rank(stack.rank);
  const Directions<T> directions = matrices.size() == 2 ? pair_directions(stack, options.ridge, monitor)
                                                        : general_directions(stack, options.ridge, monitor);
  stack.grams.clear();
  monitor.tick(0.7);

  return finish(stack, directions, options, monitor);
}

template <class T>
HoGsvd<T> ho_gsvd_streamed(std::size_t count, const MatrixReader<T>& read, MatrixView<const T> factor,
                           const HoGsvdOptions& options, Monitor& caller) {
  Rising monitor(caller);
  if (count < 3) throw std::invalid_argument("at least three matrices are needed");
  // All have the columns of the factor; their numbers of rows don't matter here.
  const std::vector<double> weights =
      checked_weights(std::vector<MatrixView<const T>>(count, factor), options);
  if (options.rtol < 0) throw std::invalid_argument("`rtol` is needed");
  Stack<T> stack = streamed_stack(count, read, factor, weights, options.rtol, monitor);
  check_rank(stack.rank);
  const Directions<T> directions = general_directions(stack, options.ridge, monitor);
  return finish(stack, directions, options, monitor);
}

namespace {

// P·T⁻¹ in place: by products where T⁻¹ is at hand and small enough, else by substitution.
template <class T>
void divide_by_triangle(MatrixView<const T> triangle, const Dense<T>& inverse, Dense<T>& p) {
  if (inverse.cols > 0) return solve_upper_right<T>(triangle, inverse.view(), p.view());
  divide_by_upper(triangle, p);
}

}  // namespace

template <class T>
void ho_gsvd_rows(const RowSolverView<T>& solver, MatrixView<const T> x, MatrixView<T> rows) {
  const Index m = solver.columns, r = solver.rank;
  if (x.cols != m || rows.rows != x.rows || rows.cols != r) {
    throw std::invalid_argument("shapes of the rows do not agree with the decomposition");
  }
  const MatrixView<const T> triangle{solver.triangle, r, r, 1, r};
  const MatrixView<const T> z{solver.z, r, r, 1, r};
  Dense<T> inverse;
  if (2 * x.rows > r) {
    inverse = Dense<T>(r, r);
    invert_upper<T>(triangle, inverse.view());
    if (!(frobenius_norm(inverse) < solvable_norm<T>())) inverse = Dense<T>();
  }
  constexpr Index chunk = 1152;
  for (Index first = 0; first < x.rows; first += chunk) {
    const Index count = std::min(chunk, x.rows - first);
    Dense<T> p(count, solver.project ? m : r);
    parallel_ranges(p.cols, 16, [&](Index begin, Index end) {
      for (Index j = begin; j < end; ++j) {
        const Index column = solver.project ? j : solver.pivots[j];
        for (Index i = 0; i < count; ++i) p(i, j) = x(first + i, column) / solver.scale[column];
      }
    });
    if (solver.project) {
      Dense<T> projected(count, r);
      gemm<T>(T(1), p.view(), MatrixView<const T>{solver.project, m, r, 1, m}, T(0), projected.view());
      p = std::move(projected);
    }
    divide_by_triangle(triangle, inverse, p);
    gemm<T>(T(1), p.view(), z, T(0), rows.block(first, 0, count, r));
  }
}

#define WAVELENS_INSTANTIATE(T)                                                                           \
  template HoGsvd<T> ho_gsvd<T>(const std::vector<MatrixView<const T>>&, const HoGsvdOptions&, Monitor&); \
  template HoGsvd<T> ho_gsvd_streamed<T>(std::size_t, const MatrixReader<T>&, MatrixView<const T>,        \
                                         const HoGsvdOptions&, Monitor&);                                 \
  template void ho_gsvd_rows<T>(const RowSolverView<T>&, MatrixView<const T>, MatrixView<T>);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
