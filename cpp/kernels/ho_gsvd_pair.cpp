// N = 2. Then G_2 = I − G_1 and the eigenvectors of G_1 serve for every π: the CS decomposition in the manner
// of Van Loan (Numer. Math. 46, 1985). Eigenvalues σ² resolve σ no better than eps/σ, so the directions with
// a small σ_1, and those with a small σ_2, are turned by an SVD of their own, of Q_1Z or Q_2Z on them alone.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "ho_gsvd_clusters.hpp"
#include "ho_gsvd_directions.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

// Turns columns begin…end of Z to the right singular vectors of Q_iZ there; its singular values, descending.
template <class T>
std::vector<T> turn_by_svd(const Stack<T>& stack, std::size_t i, Dense<T>& z, Index begin, Index end) {
  Dense<T> b = block_product<T>(stack, i, z.columns(begin, end));
  const Dense<T> r = triangular_factor(b);
  Dense<T> square = Dense<T>::zeros(r.cols, r.cols), vt;
  for (Index j = 0; j < r.cols; ++j) std::copy(r.col(j), r.col(j) + r.rows, square.col(j));
  const std::vector<T> s = right_svd(square, vt);
  rotate<T>(z, begin, end, vt.view().transposed());
  return s;
}

// Eigenvectors of G_1 in order of ascending angle atan2(σ_1, σ_2), and the angles.
template <class T>
std::vector<double> cs_angles(Stack<T>& stack, Dense<T>& z, Monitor& monitor) {
  const Index r = stack.rank;
  z = take_gram(stack, 0);
  const std::vector<T> squares = eigh(z);
  monitor.tick(0.5);
  const auto low = std::lower_bound(squares.begin(), squares.end(), T(0.04)) - squares.begin();
  const auto high = std::lower_bound(squares.begin(), squares.end(), T(0.96)) - squares.begin();
  std::vector<double> angles(at(r));
  for (Index k = low; k < high; ++k) {
    const double c = static_cast<double>(squares[at(k)]);
    angles[at(k)] = std::atan2(std::sqrt(c), std::sqrt(1 - c));
  }
  if (low > 0) {
    const std::vector<T> s = turn_by_svd(stack, 0, z, 0, low);
    for (Index k = 0; k < low; ++k)
      angles[at(low - 1 - k)] = std::asin(std::min(1.0, static_cast<double>(s[at(k)])));
    for (Index k = 0; k < low / 2; ++k) std::swap_ranges(z.col(k), z.col(k) + r, z.col(low - 1 - k));
  }
  if (high < r) {
    const std::vector<T> s = turn_by_svd(stack, 1, z, high, r);
    for (Index k = high; k < r; ++k)
      angles[at(k)] = std::acos(std::min(1.0, static_cast<double>(s[at(k - high)])));
  }
  return angles;
}

// τ = ½Σ1/(σ_i² + π) and its order; where two angles share a τ the first matrix's direction comes first.
template <class T>
Directions<T> sorted_by_tau(Dense<T> z, const std::vector<double>& angles,
                            const std::vector<unsigned char>& resolved, double ridge, double gap) {
  const Index r = z.cols;
  const auto tau = [&](Index k) {
    const double s = std::sin(angles[at(k)]), c = std::cos(angles[at(k)]);
    return 0.5 / (s * s + ridge) + 0.5 / (c * c + ridge);
  };
  std::vector<Index> order(at(r));
  std::iota(order.begin(), order.end(), Index{0});
  std::sort(order.begin(), order.end(), [&](Index j, Index k) { return tau(j) < tau(k); });
  std::vector<double> logs(at(r));
  std::transform(order.begin(), order.end(), logs.begin(), [&](Index k) { return std::log(tau(k)); });
  Directions<T> out;
  for_runs(
      logs, 0, r, [=](double) { return gap; },
      [&](Index begin, Index end) {
        // Directions of equal angle keep the order they were settled in.
        std::sort(order.begin() + begin, order.begin() + end, [&](Index j, Index k) {
          return angles[at(j)] != angles[at(k)] ? angles[at(j)] > angles[at(k)] : j < k;
        });
        const double mean =
            std::accumulate(logs.begin() + begin, logs.begin() + end, 0.0) / static_cast<double>(end - begin);
        out.tau.insert(out.tau.end(), at(end - begin),
                       end - begin == 1 ? tau(order[at(begin)]) : std::exp(mean));
      });
  out.z = Dense<T>(r, r);
  for (Index k = 0; k < r; ++k) {
    std::copy(z.col(order[at(k)]), z.col(order[at(k)]) + r, out.z.col(k));
    out.resolved.push_back(resolved[at(order[at(k)])]);
  }
  out.isolated_below = gap;
  return out;
}

}  // namespace

template <class T>
Directions<T> pair_directions(Stack<T>& stack, double ridge, Monitor& monitor) {
  const Index r = stack.rank;
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  const double gap = eps * (20 + 2 * std::sqrt(static_cast<double>(r)));
  Dense<T> z;
  std::vector<double> angles = cs_angles(stack, z, monitor);
  std::vector<unsigned char> resolved(at(r), 1);
  for_runs(
      angles, 0, r, [=](double) { return gap; },
      [&](Index begin, Index end) {
        if (end - begin == 1) return;
        settle(stack, z, begin, end);
        monitor.tick(0.6);
        std::fill(resolved.begin() + begin, resolved.begin() + end, 0);
        const double mean = std::accumulate(angles.begin() + begin, angles.begin() + end, 0.0) /
                            static_cast<double>(end - begin);
        std::fill(angles.begin() + begin, angles.begin() + end, mean);
      });
  return sorted_by_tau(std::move(z), angles, resolved, ridge, gap);
}

#define WAVELENS_INSTANTIATE(T) template Directions<T> pair_directions<T>(Stack<T>&, double, Monitor&);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
