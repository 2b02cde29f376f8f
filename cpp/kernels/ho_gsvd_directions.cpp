// N ≥ 3. With G_i = Q_iᵀQ_i (ΣG_i = I) the directions are the eigenvectors of T = (1/N)·Σ(G_i + πI)⁻¹. What
// is decomposed is P = NπT, in which nothing grows as π falls: with the Cholesky factor G_i + πI = R_iᵀR_i
// its terms are π·R_i⁻¹R_i⁻ᵀ, and for a matrix with fewer rows than the rank I − Y_iᵀY_i, Y_i = L_i⁻¹Q_i,
// L_iL_iᵀ = Q_iQ_iᵀ + πI. (The sum of G_i(G_i + πI)⁻¹ = N·I − P has the same eigenvectors, but those of
// directions that are nearly common would suffer from its norm: their eigenvalues differ by π times little.)
// π = 0: singular vectors of [R_1⁻¹ … R_N⁻¹], R_i the triangular factor of Q_i. Sums and factors grow one
// matrix at a time, so that the Q_i need not be there together.
#include "ho_gsvd_directions.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "ho_gsvd_clusters.hpp"
#include "triangular.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/triangular_factor.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

struct Run {
  Index begin;
  Index end;
};

// ZᵀΣ(i·G_i)Z on the columns of each run, all from one reading of the matrices.
template <class T>
std::vector<Dense<T>> class_forms(Stack<T>& stack, Dense<T>& z, const std::vector<Run>& runs,
                                  Monitor& monitor) {
  std::vector<Dense<T>> forms;
  forms.reserve(runs.size());
  for (const Run& run : runs) forms.push_back(Dense<T>::zeros(run.end - run.begin, run.end - run.begin));
  if (runs.empty()) return forms;
  for (std::size_t i = 0; i < stack.q.size(); ++i) {
    const Held<T> held(stack, i);
    for (std::size_t k = 0; k < runs.size(); ++k) {
      const Dense<T> b = block_product<T>(stack, i, z.columns(runs[k].begin, runs[k].end));
      gram<T>(static_cast<T>(i + 1), b.view(), forms[k].view(), T(1));
    }
    monitor.tick(0.6);
  }
  return forms;
}

// Settles the clusters of τ; `values` are the eigenvalues that belong to the columns of Z, in order of τ.
template <class T, class Gap>
void resolve_clusters(Stack<T>& stack, std::vector<double>& values, const Gap& gap, Directions<T>& out,
                      Monitor& monitor) {
  const double class_gap =
      256 * static_cast<double>(stack.q.size()) * static_cast<double>(std::numeric_limits<T>::epsilon());
  out.resolved.assign(values.size(), 1);
  std::vector<Run> runs;
  for_runs(values, 0, static_cast<Index>(values.size()), gap, [&](Index begin, Index end) {
    if (end - begin > 1) runs.push_back({begin, end});
  });
  std::vector<Dense<T>> forms = class_forms(stack, out.z, runs, monitor);
  for (std::size_t k = 0; k < runs.size(); ++k) {
    const auto [begin, end] = runs[k];
    const std::vector<T> found = eigh(forms[k]);
    rotate<T>(out.z, begin, end, forms[k].view());
    const std::vector<double> classes(found.begin(), found.end());
    monitor.tick(0.6);
    for_runs(
        classes, 0, end - begin, [=](double) { return class_gap; },
        [&, start = begin](Index first, Index last) {
          if (last - first == 1) return;
          std::fill(out.resolved.begin() + start + first, out.resolved.begin() + start + last, 0);
          settle(stack, out.z, start + first, start + last);
          monitor.tick(0.6);
        });
    const double mean =
        std::accumulate(values.begin() + begin, values.begin() + end, 0.0) / static_cast<double>(end - begin);
    std::fill(values.begin() + begin, values.begin() + end, mean);
  }
}

// Adds π·(G_i + πI)⁻¹ to `sum`.
template <class T>
void add_regularized(Stack<T>& stack, std::size_t i, T ridge, Dense<T>& sum) {
  const Index r = stack.rank;
  const bool tall = stack.q[i].rows >= r;
  const Dense<T> p = tall ? Dense<T>() : block_product<T>(stack, i, identity<T>(r).view());
  const Index n = tall ? r : p.rows;
  Dense<T> a = tall ? take_gram(stack, i) : Dense<T>(n, n);
  if (!tall) gram<T>(T(1), p.view().transposed(), a.view());
  for (Index j = 0; j < n; ++j) a(j, j) += ridge;
  Dense<T> inverse(n, n);
  if (!cholesky_with_inverse(a.view(), inverse.view())) {
    throw std::invalid_argument("`ridge` is too small for matrices of this dtype");
  }
  if (tall) {
    gram<T>(ridge, inverse.view().transposed(), sum.view(), T(1));
  } else {
    Dense<T> y(n, r);
    multiply_upper_transposed<T>(inverse.view(), p.view(), y.view());
    gram<T>(T(-1), y.view(), sum.view(), T(1));
    for (Index j = 0; j < r; ++j) sum(j, j) += T(1);
  }
}

// π = 0: the triangular factor of the R_i⁻ᵀ, one under the other.
template <class T>
Dense<T> factor_of_inverses(Stack<T>& stack, Monitor& monitor) {
  const Index r = stack.rank;
  const Index n = static_cast<Index>(stack.q.size());
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  const Dense<T> eye = identity<T>(r);
  Dense<T> factor = Dense<T>::zeros(r, r), inverse(r, r);
  for (Index i = 0; i < n; ++i) {
    const Held<T> held(stack, at(i));
    double norm = 0;
    if (stack.q[at(i)].rows >= r) {
      Dense<T> p = block_product<T>(stack, at(i), eye.view());
      const Dense<T> triangle = triangular_factor(p);
      invert_upper<T>(triangle.view(), inverse.view());
      for (const T each : inverse.entries) norm = std::hypot(norm, static_cast<double>(each));
    }
    if (!(norm > 0 && norm * eps * static_cast<double>(std::max(r, stack.q[at(i)].rows)) < 1)) {
      throw std::invalid_argument("`ridge` = 0 needs matrices of full column rank (" + std::to_string(r) +
                                  "), matrix " + std::to_string(i) + " has not; give a `ridge` above 0");
    }
    triangular_factor_update<T, T>(factor.view(), inverse.view().transposed(), false);
    monitor.tick(0.4);
  }
  return factor;
}

}  // namespace

template <class T>
Directions<T> general_directions(Stack<T>& stack, double ridge, Monitor& monitor) {
  const Index r = stack.rank;
  const double n = static_cast<double>(stack.q.size());
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  Directions<T> out;
  std::vector<double> values;         // in order of ascending τ
  std::function<double(double)> gap;  // between values that rounding can confuse
  if (ridge > 0) {
    Dense<T> sum = Dense<T>::zeros(r, r);
    for (std::size_t i = 0; i < stack.q.size(); ++i) {
      const Held<T> held(stack, i);
      add_regularized(stack, i, static_cast<T>(ridge), sum);
      monitor.tick(0.35 + 0.2 * static_cast<double>(i + 1) / n);
    }
    const std::vector<T> scaled = eigh(sum);
    values.assign(scaled.begin(), scaled.end());
    out.z = std::move(sum);
    // Rounding of G_i by eps moves τ by eps/N·Σ(σ_i² + π)⁻², and that sum is at most N²τ² and Nτ/π.
    gap = [=, largest = values.back()](double value) {
      const double tau = value / (n * ridge);
      return eps * (16 * largest + 4 * ridge * std::min(n * n * tau * tau, n * tau / ridge));
    };
  } else {
    Dense<T> triangle = factor_of_inverses(stack, monitor);
    Dense<T> vt;
    const std::vector<T> s = right_svd(triangle, vt);
    out.z = copy_of<T>(vt.view().transposed());
    reverse_columns(out.z);
    for (auto each = s.rbegin(); each != s.rend(); ++each)
      values.push_back(static_cast<double>(*each) * static_cast<double>(*each) / n);
    gap = [=, largest = values.back()](double tau) { return 16 * eps * std::sqrt(tau * largest); };
  }
  monitor.tick(0.6);
  resolve_clusters(stack, values, gap, out, monitor);
  if (ridge > 0) {
    const double isolated =
        (n - 1) + ridge / (1 + ridge);  // the eigenvalue of a direction that one matrix has alone
    out.isolated_below = std::sqrt(std::min(ridge, 1.0) * gap(isolated));
    for (double& each : values) each /= n * ridge;
  }
  out.tau = std::move(values);
  return out;
}

#define WAVELENS_INSTANTIATE(T) template Directions<T> general_directions<T>(Stack<T>&, double, Monitor&);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
