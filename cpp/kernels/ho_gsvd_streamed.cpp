// The stack of matrices that are read one at a time. Its factor R is known; with pivoting, R·P = Q_R·[T …],
// and rows of Q_i solve q·T = d for the pivot columns d of a row of D_i, exactly but for the rounding of that
// row, whatever its size. R comes from Householder reflections, so that ΣQ_iᵀQ_i = I up to eps·κ(T); one
// reading measures it, S = R₂ᵀR₂, and R₂ stands for what is missing (Stack::second). Then come the sums of
// the directions, and σ: three readings, a fourth if eigenvalues are in clusters. Nothing is kept of a matrix
// but its row of σ.
//
// About 8·n_i·m² flops for a matrix of n_i ≤ m rows.
#include <cmath>
#include <stdexcept>

#include "ho_gsvd_scale.hpp"
#include "ho_gsvd_stack.hpp"
#include "triangular.hpp"
#include "wavelens/gemm.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

std::size_t place(Index i) { return static_cast<std::size_t>(i); }

// R with pivoting, cut to its rank.
template <class T>
Dense<T> factor_stack(MatrixView<const T> factor, double rtol, Stack<T>& stack) {
  const std::vector<MatrixView<const T>> whole{factor};
  std::vector<Index> held;
  stack.scale = column_scale(whole, held, RelativeWeights{{1.0}, 0});
  const Index m = static_cast<Index>(held.size());
  Dense<T> p(factor.rows, m);
  scaled_copy(factor, 1.0, stack.scale, held, p.view());
  Buffer<T> tau;
  std::vector<int> pivots;
  const Dense<T> pivoted = qr_reflectors(p, tau, &pivots);
  Index r = 0;
  while (r < pivoted.rows && std::abs(pivoted(r, r)) > rtol * std::abs(pivoted(0, 0))) ++r;
  stack.rank = r;
  stack.r = Dense<T>::zeros(r, factor.cols);
  Dense<T> triangle = Dense<T>::zeros(r, r);
  for (Index j = 0; j < m; ++j) {
    const Index column = held[place(pivots[place(j)])];
    stack.pivots.push_back(column);
    std::copy_n(pivoted.col(j), std::min(r, j + 1), stack.r.col(column));
    if (j < r) std::copy_n(pivoted.col(j), j + 1, triangle.col(j));
  }
  return triangle;
}

// q·T = d for all rows: by products where that is as good as substitution.
template <class T>
void solve_rows_of(Dense<T>& triangle, const Dense<T>& inverse, Dense<T>& q) {
  if (frobenius_norm(inverse) < solvable_norm<T>())
    return solve_upper_right<T>(triangle.view(), inverse.view(), q.view());
  divide_by_upper<T>(triangle.view(), q);
}

}  // namespace

template <class T>
Stack<T> streamed_stack(std::size_t count, const MatrixReader<T>& read, MatrixView<const T> factor,
                        const std::vector<double>& weights, double rtol, Monitor& monitor) {
  Stack<T> stack;
  Dense<T> triangle = factor_stack(factor, rtol, stack);
  const Index r = stack.rank;
  Dense<T> inverse(r, r);
  invert_upper<T>(triangle.view(), inverse.view());
  stack.q.resize(count);
  stack.grams.resize(count);
  stack.own_rounding.assign(count, 1);
  const std::vector<Index> pivots(stack.pivots.begin(), stack.pivots.begin() + r);
  stack.fetch = [=, scale = stack.scale](std::size_t i) mutable {
    Dense<T> q;
    read(i, [&](MatrixView<const T> d) {
      q = Dense<T>(d.rows, r);
      scaled_copy(d, weights[i], scale, pivots, q.view());
    });
    solve_rows_of(triangle, inverse, q);
    return q;
  };
  Dense<T> sum = Dense<T>::zeros(r, r);
  for (std::size_t i = 0; i < count; ++i) {
    const Held<T> held(stack, i);
    gram<T>(T(1), stack.q[i].view(), sum.view(), T(1));
    monitor.tick(0.3 * static_cast<double>(i + 1) / static_cast<double>(count));
  }
  stack.second_inverse = Dense<T>(r, r);
  if (!cholesky_with_inverse(sum.view(), stack.second_inverse.view())) {
    throw std::invalid_argument(
        "the factor does not fit the matrices: they changed between two readings, or their rank is uncertain "
        "and "
        "`rtol` must be larger");
  }
  stack.second = std::move(sum);
  return stack;
}

template Stack<float> streamed_stack<float>(std::size_t, const MatrixReader<float>&, MatrixView<const float>,
                                            const std::vector<double>&, double, Monitor&);
template Stack<double> streamed_stack<double>(std::size_t, const MatrixReader<double>&,
                                              MatrixView<const double>, const std::vector<double>&, double,
                                              Monitor&);

}  // namespace wavelens
