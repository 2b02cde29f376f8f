// The greedy choice of Businger & Golub (Numer. Math. 7, 1965), as LAPACK's geqp3 makes it, on a scaled copy
// of A: the longest residual is the next pivot, the lowest index where several are as long. Columns are kept
// up to date lazily (greedy_columns.hpp), residual norms are always sums of squares, never downdated; the
// loop stops at k.
//
// At most 4npk flops, in reflections rather than products; usually a fraction of it.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "greedy_columns.hpp"
#include "pivoted_qr_parts.hpp"

namespace wavelens {

using Index = std::ptrdiff_t;

template <class T>
Choice<T> choose_exact(const ScaledMatrix<T>& a, Index k, double rtol, Monitor& monitor) {
  std::vector<Index> names(static_cast<std::size_t>(a.view.cols));
  std::iota(names.begin(), names.end(), Index{0});
  GreedyColumns<T> columns(a.view.rows);
  gather_columns(a, names.data(), a.factor, columns.append(names.data(), a.view.cols));
  columns.measure();
  Choice<T> choice;
  while (columns.steps() < k) {
    const Index best = columns.best();
    if (best < 0) break;
    const T length = columns.residual(best);
    if (columns.steps() > 0 && static_cast<double>(length) <= rtol * static_cast<double>(choice.r_diag[0]))
      break;
    columns.take(best);
    choice.pivots.push_back(best);
    choice.r_diag.push_back(length);
    monitor.tick(static_cast<double>(columns.steps()) / static_cast<double>(k));
  }
  return choice;
}

template Choice<float> choose_exact(const ScaledMatrix<float>&, Index, double, Monitor&);
template Choice<double> choose_exact(const ScaledMatrix<double>&, Index, double, Monitor&);

}  // namespace wavelens
