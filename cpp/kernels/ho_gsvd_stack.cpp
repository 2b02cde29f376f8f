// Two ways to the factor.
//
// Cholesky QR (Fukaya et al., SIAM J. Sci. Comput. 42, 2020): the Gram matrix A = DᵀD = RᵀR, Q = DR⁻¹, done
// again on Q until QᵀQ = I + E with ‖E‖ ≤ √eps/2; a shift A + sI helps where A is not positive in floating
// point. All of it is matrix products. D = QR holds to rounding whatever R is, since rows of Q are solved for
// stably, and E is measured, so nothing is taken on trust: Z and V are corrected by E to first order,
// (I + E)^(∓1/2) = I ∓ E/2.
//
// With many more rows than columns the first R comes from a sample of the rows. Q is then orthonormal to a
// factor near 1, S = QᵀQ = R₂ᵀR₂, and where that is confirmed R₂ takes the place of (I + E)^½.
//
// Where that does not converge (columns that are zero or copies of others): Householder's QR of the stack.
//
// Householder's Q has errors of eps in all rows, however small. Those of a matrix that is faint beside the
// others are solved for once R is known, which is exact row by row; what that costs in orthogonality is the
// square of their size.
//
// Rank: it is full for certain where 1/‖R⁻¹‖ stands above the tolerance, because the diagonal of a pivoted R
// is nowhere below the least singular value. Else R is decomposed with pivoting and cut.
#include "ho_gsvd_stack.hpp"

#include <cmath>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <type_traits>

#include "ho_gsvd_scale.hpp"
#include "triangular.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

template <class T>
void add(const Dense<T>& a, Dense<T>& sum) {
  parallel_ranges(sum.cols, tile, [&](Index begin, Index end) {
    std::transform(a.col(begin), a.col(end), sum.col(begin), sum.col(begin), std::plus<T>());
  });
}

template <class T>
void add_to_diagonal(Dense<T>& a, double x) {
  for (Index j = 0; j < a.cols; ++j) a(j, j) += static_cast<T>(x);
}

// Σ qᵢᵀqᵢ. With `keep`, those that the second stage will ask for stay in stack.grams: of two matrices the
// first, of more all with as many rows as columns.
template <class T>
Dense<T> sum_of_grams(Stack<T>& stack, bool keep, Monitor& monitor) {
  const Index m = stack.q[0].cols;
  Dense<T> sum = Dense<T>::zeros(m, m);
  stack.grams.assign(stack.q.size(), Dense<T>());
  for (std::size_t i = 0; i < stack.q.size(); ++i) {
    const Dense<T>& q = stack.q[i];
    if (keep && q.rows >= m && (stack.q.size() > 2 || i == 0)) {
      stack.grams[i] = Dense<T>(m, m);
      gram<T>(T(1), q.view(), stack.grams[i].view());
      add(stack.grams[i], sum);
    } else {
      gram<T>(T(1), q.view(), sum.view(), T(1));
    }
    monitor.tick(0.2);
  }
  return sum;
}

// Cholesky factor of a Gram matrix, in place, and its inverse; false also where the solver would not reach
// working accuracy with it.
template <class T>
bool good_factor(Dense<T>& a, Dense<T>& inverse) {
  return cholesky_with_inverse(a.view(), inverse.view()) && frobenius_norm(inverse) < solvable_norm<T>();
}

// The same of A + sI with the s that takes ‖R⁻¹‖ below its limit even if A is zero. A round with it brings
// small singular values up by solvable_norm/√m at most, which in float32 is too little to be worth a round.
template <class T>
bool shifted_factor(Dense<T>& a, Dense<T>& inverse) {
  if (std::is_same_v<T, float>) return false;
  const double limit = solvable_norm<T>();
  add_to_diagonal(a, 2 * static_cast<double>(a.cols) / (limit * limit));
  return good_factor(a, inverse);
}

// R ← R_new·R.
template <class T>
void multiply_factor(Stack<T>& stack, const Dense<T>& factor) {
  Dense<T> product(factor.rows, factor.cols);
  gemm<T>(T(1), factor.view(), stack.r.view(), T(0), product.view());
  stack.r = std::move(product);
}

template <class T>
Index total_rows_of(const Stack<T>& stack) {
  Index rows = 0;
  for (const auto& each : stack.q) rows += each.rows;
  return rows;
}

// The Gram matrix estimated from every k-th row, at least four times as many as columns.
template <class T>
Dense<T> sampled_gram(const Stack<T>& stack) {
  const Index m = stack.q[0].cols;
  const Index step = std::max<Index>(1, total_rows_of(stack) / (4 * m));
  Dense<T> sum = Dense<T>::zeros(m, m);
  for (const auto& each : stack.q) {
    const MatrixView<const T> rows{each.entries.data(), (each.rows + step - 1) / step, m, step, each.rows};
    gram<T>(static_cast<T>(step), rows, sum.view(), T(1));
  }
  return sum;
}

// Where a factor of the Gram matrix of Q is itself near the identity, it can wait until Z is known: a second
// pass over the rows is saved. `a` becomes the factor; else it stays what it was.
template <class T>
bool nearly_orthonormal(Dense<T>& a, Dense<T>& inverse) {
  const double limit = 4 * static_cast<double>(a.cols);
  Dense<T> factor = a;
  if (!cholesky_with_inverse(factor.view(), inverse.view())) return false;
  if (std::pow(frobenius_norm(factor), 2) > limit || std::pow(frobenius_norm(inverse), 2) > limit)
    return false;
  a = std::move(factor);
  return true;
}

// Takes the stack to Q and R by Cholesky QR, if that converges; tells a bound of ‖R⁻¹‖, else infinity.
template <class T>
double cholesky_qr(Stack<T>& stack, Monitor& monitor) {
  const Index m = stack.q[0].cols;
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  const double failed = std::numeric_limits<double>::infinity();
  const bool sampled = total_rows_of(stack) >= 16 * m;
  Dense<T> a = sampled ? sampled_gram(stack) : sum_of_grams(stack, false, monitor);
  double excess = failed;    // ‖QᵀQ − I‖ of the round before
  double inverse_bound = 1;  // of ‖R⁻¹‖
  int shifts = 0;
  for (int round = 0; round < 6; ++round) {
    Dense<T> inverse(m, m);
    if (!good_factor(a, inverse)) {
      if (shifts == 2) return failed;
      a = sum_of_grams(stack, false, monitor);
      ++shifts;
      if (!shifted_factor(a, inverse)) return failed;
    }
    for (Dense<T>& each : stack.q) {
      solve_upper_right<T>(a.view(), inverse.view(), each.view());
      monitor.tick(0.3);
    }
    inverse_bound *= excess < 0.5 ? 1.5 : frobenius_norm(inverse);
    if (round == 0) {
      stack.r = std::move(a);
    } else {
      multiply_factor(stack, a);
    }
    a = sum_of_grams(stack, true, monitor);
    if (sampled && round == 0 && nearly_orthonormal(a, inverse)) {
      stack.rank = m;
      stack.second = std::move(a);
      stack.second_inverse = std::move(inverse);
      return 4 * inverse_bound;
    }
    add_to_diagonal(a, -1);
    excess = frobenius_norm(a);
    if (excess <= 0.5 * std::sqrt(eps)) {
      if (excess > 4 * eps) stack.excess = std::move(a);
      stack.rank = m;
      return inverse_bound;
    }
    add_to_diagonal(a, 1);
  }
  return failed;
}

template <class T>
void householder_qr(const std::vector<MatrixView<const T>>& matrices, const std::vector<double>& weights,
                    const std::vector<Index>& columns, Stack<T>& stack, Monitor& monitor) {
  const Index m = static_cast<Index>(columns.size());
  const Index rows = total_rows(matrices);
  stack.q.clear();
  stack.grams.assign(matrices.size(), Dense<T>());
  Dense<T> all(rows, m);
  Index first = 0;
  for (std::size_t i = 0; i < matrices.size(); ++i) {
    scaled_copy(matrices[i], weights[i], stack.scale, columns,
                all.view().block(first, 0, matrices[i].rows, m));
    first += matrices[i].rows;
  }
  stack.r = qr(all);
  stack.rank = stack.r.rows;
  monitor.tick(0.3);
  first = 0;
  for (const auto& each : matrices) {
    stack.q.push_back(copy_of<T>(all.view().block(first, 0, each.rows, stack.rank)));
    first += each.rows;
  }
}

// R = P·R', R' upper triangular in the order of its pivots, cut where its diagonal falls to the tolerance. Q,
// R and E follow; where nothing is cut they stay what they are.
template <class T>
void cut_to_rank(Stack<T>& stack, double rtol, Monitor& monitor) {
  const Index m = stack.r.cols;
  Dense<T> p = stack.r;
  if (stack.second.cols > 0) gemm<T>(T(1), stack.second.view(), stack.r.view(), T(0), p.view());
  Buffer<T> tau;
  std::vector<int> pivots;
  const Dense<T> pivoted = qr_reflectors(p, tau, &pivots);
  monitor.tick(0.35);
  Index r = 0;
  while (r < pivoted.rows && std::abs(pivoted(r, r)) > rtol * std::abs(pivoted(0, 0))) ++r;
  if (r == m) return;
  form_q(p, tau);
  Dense<T> turned = std::move(p);
  if (stack.second.cols > 0) {
    Dense<T> product(m, m);
    gemm<T>(T(1), stack.second_inverse.view(), turned.view(), T(0), product.view());
    turned = std::move(product);
    stack.second = stack.second_inverse = Dense<T>();
  }
  const MatrixView<const T> kept = turned.block(0, 0, turned.rows, r);
  for (Dense<T>& each : stack.q) {
    Dense<T> product(each.rows, r);
    gemm<T>(T(1), each.view(), kept, T(0), product.view());
    each = std::move(product);
  }
  if (stack.excess.cols > 0) {
    Dense<T> half(turned.rows, r), e(r, r);
    gemm<T>(T(1), stack.excess.view(), kept, T(0), half.view());
    gemm<T>(T(1), kept.transposed(), half.view(), T(0), e.view());
    stack.excess = std::move(e);
  }
  stack.rank = r;
  stack.grams.assign(stack.q.size(), Dense<T>());
  stack.r = Dense<T>::zeros(r, m);
  for (Index j = 0; j < m; ++j) {
    std::copy_n(pivoted.col(j), std::min(r, j + 1), stack.r.col(pivots[static_cast<std::size_t>(j)]));
  }
  stack.pivots.assign(pivots.begin(), pivots.end());
}

// The triangle in R: its pivot columns, in their order.
template <class T>
Dense<T> triangle_of(const Stack<T>& stack) {
  const Index r = stack.rank;
  Dense<T> triangle(r, r);
  for (Index j = 0; j < r; ++j) {
    const Index from = stack.pivots.empty() ? j : stack.pivots[static_cast<std::size_t>(j)];
    std::copy_n(stack.r.col(from), r, triangle.col(j));
  }
  return triangle;
}

// Below which size of q[i] solving for its rows, with errors of ‖q[i]‖·κ·eps, leaves ΣG_i = I to eps.
template <class T>
double faint_below(const Dense<T>& triangle) {
  Dense<T> inverse(triangle.rows, triangle.cols);
  invert_upper<T>(triangle.view(), inverse.view());
  const double kappa = 2 * frobenius_norm(inverse);
  const double root_eps = std::sqrt(static_cast<double>(std::numeric_limits<T>::epsilon()));
  return std::isfinite(kappa) ? std::max(root_eps, std::min(0.3, 1 / std::sqrt(kappa))) : root_eps;
}

// Solves for the rows of matrices that are faint beside the others.
template <class T>
void solve_faint_rows(const std::vector<MatrixView<const T>>& matrices, const std::vector<double>& weights,
                      const std::vector<Index>& columns, Stack<T>& stack) {
  const auto small = [](const Dense<T>& q) { return frobenius_norm(q) < 0.3; };
  if (std::none_of(stack.q.begin(), stack.q.end(), small)) return;
  Dense<T> triangle = triangle_of(stack);
  const double faint = faint_below(triangle);
  std::vector<Index> pivots;
  for (Index j = 0; j < stack.rank; ++j) {
    const Index from = stack.pivots.empty() ? j : stack.pivots[static_cast<std::size_t>(j)];
    pivots.push_back(columns[static_cast<std::size_t>(from)]);
  }
  for (std::size_t i = 0; i < matrices.size(); ++i) {
    if (!(frobenius_norm(stack.q[i]) < faint)) continue;
    Dense<T> q(stack.q[i].rows, stack.rank);
    scaled_copy(matrices[i], weights[i], stack.scale, pivots, q.view());
    divide_by_upper<T>(triangle.view(), q);
    if (!(frobenius_norm(q) < 2 * faint)) continue;
    stack.q[i] = std::move(q);
    stack.own_rounding[i] = 1;
  }
}

// R for all columns, from that of the listed ones.
template <class T>
void insert_zero_columns(Stack<T>& stack, const std::vector<Index>& columns, Index m) {
  Dense<T> r = Dense<T>::zeros(stack.r.rows, m);
  const Index n = static_cast<Index>(columns.size());
  for (Index j = 0; j < n; ++j)
    std::copy_n(stack.r.col(j), r.rows, r.col(columns[static_cast<std::size_t>(j)]));
  stack.r = std::move(r);
  if (stack.pivots.empty()) {
    stack.pivots = columns;
  } else {
    for (Index& each : stack.pivots) each = columns[static_cast<std::size_t>(each)];
  }
}

// E·Z in float32: ‖E‖ is at most √eps/2, so that in float64 as well the error is below eps.
template <class T>
Dense<float> excess_product(const Dense<T>& e, MatrixView<const T> z) {
  Dense<float> left(e.rows, e.cols), right(z.rows, z.cols), out(e.rows, z.cols);
  const auto narrow = [](MatrixView<const T> from, Dense<float>& to) {
    parallel_ranges(from.cols, tile, [&](Index begin, Index end) {
      for (Index j = begin; j < end; ++j) {
        for (Index i = 0; i < from.rows; ++i) to(i, j) = static_cast<float>(from(i, j));
      }
    });
  };
  narrow(e.view(), left);
  narrow(z, right);
  gemm<float>(1.0f, left.view(), right.view(), 0.0f, out.view());
  return out;
}

// G ← (I + E)^(−½)·G·(I + E)^(−½) to first order.
template <class T>
void correct_gram(const Dense<T>& e, Dense<T>& g) {
  const Dense<float> product = excess_product<T>(e, g.view());
  over_tiles(g.rows, g.cols, [&](Index i0, Index i1, Index j0, Index j1) {
    for (Index j = j0; j < j1; ++j) {
      for (Index i = i0; i < i1; ++i)
        g(i, j) -= T(0.5) * (static_cast<T>(product(i, j)) + static_cast<T>(product(j, i)));
    }
  });
}

}  // namespace

template <class T>
Dense<T> take_gram(Stack<T>& stack, std::size_t i) {
  Dense<T> g = std::move(stack.grams[i]);
  if (g.cols == 0) {
    g = Dense<T>(stack.rank, stack.rank);
    gram<T>(T(1), stack.q[i].view(), g.view());
  }
  if (stack.excess.cols > 0) correct_gram(stack.excess, g);
  if (stack.second.cols > 0) {
    Dense<T> half(g.rows, g.cols);
    gemm<T>(T(1), g.view(), stack.second_inverse.view(), T(0), half.view());
    multiply_upper_transposed<T>(stack.second_inverse.view(), half.view(), g.view());
  }
  return g;
}

template <class T>
Corrected<T> corrected(const Stack<T>& stack, MatrixView<const T> z) {
  if (stack.second.cols > 0) {
    Corrected<T> both{Dense<T>(z.rows, z.cols), Dense<T>(z.rows, z.cols)};
    multiply_upper_transposed<T>(stack.second.view(), z, both.plus.view());
    gemm<T>(T(1), stack.second_inverse.view(), z, T(0), both.minus.view());
    return both;
  }
  Corrected<T> out{copy_of(z), copy_of(z)};
  if (stack.excess.cols == 0) return out;
  const Dense<float> product = excess_product<T>(stack.excess, z);
  parallel_ranges(z.cols, tile, [&](Index begin, Index end) {
    for (Index j = begin; j < end; ++j) {
      for (Index i = 0; i < z.rows; ++i) {
        out.plus(i, j) += T(0.5) * static_cast<T>(product(i, j));
        out.minus(i, j) -= T(0.5) * static_cast<T>(product(i, j));
      }
    }
  });
  return out;
}

template <class T>
Dense<T> block_product(const Stack<T>& stack, std::size_t i, MatrixView<const T> z) {
  const Dense<T> w = corrected(stack, z).minus;
  Dense<T> b(stack.q[i].rows, z.cols);
  gemm<T>(T(1), stack.q[i].view(), w.view(), T(0), b.view());
  return b;
}

template <class T>
Dense<T> right_factor(const Stack<T>& stack, MatrixView<const T> z) {
  Dense<T> v(stack.r.cols, z.cols);
  if (stack.pivots.empty()) {
    multiply_upper_transposed<T>(stack.r.view(), z, v.view());
  } else {
    gemm<T>(T(1), stack.r.view().transposed(), z, T(0), v.view());
  }
  parallel_ranges(v.cols, tile, [&](Index begin, Index end) {
    for (Index j = begin; j < end; ++j) {
      for (Index i = 0; i < v.rows; ++i) v(i, j) *= stack.scale[static_cast<std::size_t>(i)];
    }
  });
  return v;
}

template <class T>
Stack<T> stack_factor(const std::vector<MatrixView<const T>>& matrices, const std::vector<double>& weights,
                      double rtol, Monitor& monitor) {
  Stack<T> stack;
  std::vector<Index> columns;
  const RelativeWeights relative = relative_weights(weights);
  stack.scale = column_scale(matrices, columns, relative);
  const Index m = static_cast<Index>(columns.size());
  double inverse_bound = std::numeric_limits<double>::infinity();
  if (total_rows(matrices) >= m) {
    for (std::size_t i = 0; i < matrices.size(); ++i) {
      stack.q.emplace_back(matrices[i].rows, m);
      scaled_copy(matrices[i], relative.values[i], stack.scale, columns, stack.q.back().view());
    }
    monitor.tick(0.05);
    inverse_bound = cholesky_qr(stack, monitor);
  }
  const bool by_products = std::isfinite(inverse_bound);
  stack.own_rounding.assign(matrices.size(), by_products ? 1 : 0);
  if (!by_products) householder_qr(matrices, relative.values, columns, stack, monitor);
  // Columns of R have norms below 2; another factor of 2 for rounding.
  if (!(4 * inverse_bound * rtol < 1)) cut_to_rank(stack, rtol, monitor);
  if (!by_products) solve_faint_rows(matrices, relative.values, columns, stack);
  if (m < matrices[0].cols) insert_zero_columns(stack, columns, matrices[0].cols);
  for (const Index j : columns) {
    T& each = stack.scale[static_cast<std::size_t>(j)];
    each = std::ldexp(each, relative.exponent);
  }
  return stack;
}

#define WAVELENS_INSTANTIATE(T)                                                                          \
  template Corrected<T> corrected<T>(const Stack<T>&, MatrixView<const T>);                              \
  template Dense<T> take_gram<T>(Stack<T>&, std::size_t);                                                \
  template Dense<T> block_product<T>(const Stack<T>&, std::size_t, MatrixView<const T>);                 \
  template Dense<T> right_factor<T>(const Stack<T>&, MatrixView<const T>);                               \
  template Stack<T> stack_factor<T>(const std::vector<MatrixView<const T>>&, const std::vector<double>&, \
                                    double, Monitor&);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
