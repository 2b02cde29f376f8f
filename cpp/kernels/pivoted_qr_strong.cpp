// Strong rank-revealing QR (Gu & Eisenstat, SISC 17, 1996): exchanges after the blocked choice.
//
// With C the chosen columns, W = C⁺A, γⱼ the residual norm of column j and dᵢ the i-th column of D = (C⁺)ᵀ,
// putting column j in the place of pivot i multiplies det(CᵀC)^½ by ρᵢⱼ = (Wᵢⱼ² + γⱼ²‖dᵢ‖²)^½. The largest ρ
// is exchanged until none exceeds f = 2; the determinant doubles each time, so this ends, and then |R₁₁⁻¹R₁₂|
// ≤ f entrywise and σᵢ(R₁₁) ≥ σᵢ(A)/√(1 + f²k(p−k)), σⱼ(R₂₂) ≤ σₖ₊ⱼ(A)·√(1 + f²k(p−k)).
//
// An exchange is a change of W, D and γ of rank two. With u = dᵢ/‖dᵢ‖² the part of pivot i that is orthogonal
// to the other pivots, v = rⱼ + Wᵢⱼu the same part of column j, δ = ‖v‖² and bₘ = −dₘᵀu:
//   tₗ = vᵀaₗ/δ is the new row i of W;   Wₘₗ ← Wₘₗ + bₘWᵢₗ − (Wₘⱼ + bₘWᵢⱼ)tₗ for m ≠ i;
//   D ← D + dᵢbᵀ − (v/δ)(W·ⱼ + bWᵢⱼ)ᵀ, its column i ← v/δ;   γₗ² ← γₗ² + Wᵢₗ²/‖dᵢ‖² − tₗ²δ.
// Rounding gathers in these, so W is made anew from a QR of the chosen columns every so often, and the last
// check is always on a fresh one.
//
// 4npk + k²p flops for a check, about 2np + 4kp + 8nk for an exchange; memory for k × p and 2·n × k numbers.

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "greedy_columns.hpp"
#include "panel_qr.hpp"
#include "panel_triangles.hpp"
#include "pivoted_qr_parts.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

constexpr double bound = 2;               // f
constexpr int exchanges_on_a_check = 32;  // before W is made anew

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

struct Exchange {
  Index place = -1, column = -1;
  double square = 0;  // ρ²
};

template <class T>
class Exchanges {
public:
  Exchanges(const ScaledMatrix<T>& a, std::vector<Index> pivots, std::uint64_t seed, Monitor& monitor)
      : a_(a), pivots_(std::move(pivots)), seed_(seed), monitor_(monitor) {}

  // The pivots, exchanged until ρ ≤ f, the longest residual first.
  std::vector<Index> run() {
    const double most = 64.0 + 60.0 * static_cast<double>(pivots_.size());
    for (double count = 0;;) {
      check();
      Exchange next = largest();
      if (next.square <= bound * bound) return in_order();
      for (int i = 0; i < exchanges_on_a_check && next.square > bound * bound; ++i, ++count) {
        exchange(next);
        monitor_.tick(0.5);
        next = largest();
      }
      if (count > most) {
        throw std::runtime_error(
            "strong pivoting does not settle: the chosen columns are singular to working "
            "precision; raise `rtol` or lower `k`");
      }
    }
  }

private:
  Index n() const { return a_.view.rows; }
  Index p() const { return a_.view.cols; }
  Index k() const { return static_cast<Index>(pivots_.size()); }
  MatrixView<T> w() { return column_major(w_.data(), k(), p()); }
  MatrixView<T> d() { return column_major(d_.data(), n(), k()); }
  MatrixView<T> c() { return column_major(c_.data(), n(), k()); }

  void check();
  void measure_residuals(MatrixView<const T> q);
  void measure_duals();
  Exchange largest();
  void exchange(const Exchange& which);
  std::vector<Index> in_order();

  const ScaledMatrix<T>& a_;
  std::vector<Index> pivots_;
  const std::uint64_t seed_;
  Monitor& monitor_;
  std::vector<T> w_, d_, c_, r_;
  std::vector<double> residuals_, duals_;  // γ² of all columns, ‖d‖² of all pivots
  std::vector<char> chosen_;
};

template <class T>
void Exchanges<T>::check() {
  Choice<T> qr = factor_columns(a_, pivots_, seed_, monitor_);
  pivots_ = qr.pivots;
  chosen_.assign(at(p()), 0);
  for (const Index pivot : pivots_) chosen_[at(pivot)] = 1;
  c_.resize(at(n() * k()));
  d_.resize(at(n() * k()));
  w_.resize(at(k() * p()));
  gather_columns(a_, pivots_.data(), a_.factor, c());
  const MatrixView<const T> q = column_major(qr.q.data(), n(), k());
  r_.assign(at(k() * k()), T(0));
  const auto r = column_major(r_.data(), k(), k());
  gemm<T>(T(1), q.transposed(), c(), T(0), r);
  for (Index j = 0; j < k(); ++j) std::fill(&r(0, j) + j + 1, &r(0, j) + k(), T(0));
  std::vector<T> inverse_entries(at(k() * k()));
  const auto inverse = column_major(inverse_entries.data(), k(), k());
  panel_invert_upper<T>(r, inverse);
  gemm<T>(T(1), q, inverse.transposed(), T(0), d());
  std::vector<T> qta(at(k() * p()));
  gemm<T>(a_.factor, q.transposed(), a_.view, T(0), column_major(qta.data(), k(), p()));
  gemm<T>(T(1), inverse, column_major(qta.data(), k(), p()), T(0), w());
  measure_residuals(q);
  measure_duals();
}

template <class T>
void Exchanges<T>::measure_residuals(MatrixView<const T> q) {
  residuals_.assign(at(p()), 0);
  constexpr Index step = 512;
  for (Index first = 0; first < p(); first += step) {
    std::vector<Index> names;
    for (Index j = first; j < std::min(p(), first + step); ++j) {
      if (!chosen_[at(j)]) names.push_back(j);
    }
    std::vector<T> entries(at(n()) * names.size());
    const auto x = column_major(entries.data(), n(), static_cast<Index>(names.size()));
    gather_columns(a_, names.data(), a_.factor, x);
    project_out<T>(q, x);
    parallel_for(x.cols, [&](Index j) {
      double sum = 0;
      for (Index i = 0; i < x.rows; ++i) sum += static_cast<double>(x(i, j)) * static_cast<double>(x(i, j));
      residuals_[at(names[at(j)])] = sum;
    });
    monitor_.tick(0.5);
  }
}

template <class T>
void Exchanges<T>::measure_duals() {
  duals_.resize(at(k()));
  parallel_for(k(), [&](Index i) {
    double sum = 0;
    for (Index row = 0; row < n(); ++row)
      sum += static_cast<double>(d()(row, i)) * static_cast<double>(d()(row, i));
    duals_[at(i)] = sum;
  });
}

template <class T>
Exchange Exchanges<T>::largest() {
  std::vector<Exchange> best(at(p()));
  parallel_ranges(p(), 64, [&](Index begin, Index end) {
    for (Index j = begin; j < end; ++j) {
      if (chosen_[at(j)]) continue;
      const T* column = &w()(0, j);
      Exchange here;
      for (Index i = 0; i < k(); ++i) {
        const auto entry = static_cast<double>(column[i]);
        const double square = entry * entry + residuals_[at(j)] * duals_[at(i)];
        if (square > here.square) here = {i, j, square};
      }
      best[at(j)] = here;
    }
  });
  Exchange top;
  for (const Exchange& each : best) {
    if (each.square > top.square) top = each;
  }
  return top;
}

template <class T>
void Exchanges<T>::exchange(const Exchange& which) {
  const Index place = which.place, column = which.column;
  const T dual = static_cast<T>(duals_[at(place)]);
  std::vector<T> u(at(n())), v(at(n())), b(at(k())), g(at(k())), w_column(at(k())), t(at(p()));
  for (Index i = 0; i < n(); ++i) u[at(i)] = d()(i, place) / dual;
  const auto v_view = column_major(v.data(), n(), 1);
  const auto b_view = column_major(b.data(), k(), 1);
  std::copy(&w()(0, column), &w()(0, column) + k(), w_column.begin());

  // v, purged once more of what rounding left in the span of the other pivots.
  gather_columns(a_, &column, a_.factor, v_view);
  gemm<T>(T(-1), c(), column_major(w_column.data(), k(), 1), T(1), v_view);
  gemm<T>(T(1), d().transposed(), v_view, T(0), b_view);
  gemm<T>(T(-1), c(), b_view, T(1), v_view);
  const T old = w_column[at(place)];
  double square = 0;
  for (Index i = 0; i < n(); ++i) {
    v[at(i)] += old * u[at(i)];
    square += static_cast<double>(v[at(i)]) * static_cast<double>(v[at(i)]);
  }
  const auto delta = static_cast<T>(square);
  gemm<T>(T(-1), d().transposed(), column_major(u.data(), n(), 1), T(0), b_view);
  for (Index i = 0; i < k(); ++i) g[at(i)] = w_column[at(i)] + b[at(i)] * old;
  gemm<T>(a_.factor / delta, v_view.transposed(), a_.view, T(0), row_major(t.data(), 1, p()));

  parallel_ranges(p(), 64, [&](Index begin, Index end) {
    for (Index l = begin; l < end; ++l) {
      if (chosen_[at(l)] && l != pivots_[at(place)]) continue;
      T* x = &w()(0, l);
      const T before = x[place], after = t[at(l)];
      for (Index m = 0; m < k(); ++m) x[m] += b[at(m)] * before - g[at(m)] * after;
      x[place] = after;
      const double gained = static_cast<double>(before) * static_cast<double>(before) / duals_[at(place)];
      const double lost = static_cast<double>(after) * static_cast<double>(after) * square;
      residuals_[at(l)] = std::max(0.0, residuals_[at(l)] + gained - lost);
    }
  });
  parallel_for(k(), [&](Index m) {
    if (m == place) return;
    T* x = &d()(0, m);
    const T* leaving = &d()(0, place);
    for (Index i = 0; i < n(); ++i) x[i] += b[at(m)] * leaving[i] - g[at(m)] / delta * v[at(i)];
  });
  for (Index i = 0; i < n(); ++i) d()(i, place) = v[at(i)] / delta;
  gather_columns(a_, &column, a_.factor, c().block(0, place, n(), 1));
  chosen_[at(pivots_[at(place)])] = 0;
  chosen_[at(column)] = 1;
  pivots_[at(place)] = column;
  residuals_[at(column)] = 0;
  std::fill(&w()(0, column), &w()(0, column) + k(), T(0));
  w()(place, column) = T(1);
  measure_duals();
}

template <class T>
std::vector<Index> Exchanges<T>::in_order() {
  GreedyColumns<T> columns(k());
  const auto r = columns.append(pivots_.data(), k());
  for (Index j = 0; j < k(); ++j) std::copy_n(r_.data() + j * k(), k(), &r(0, j));
  columns.measure();
  std::vector<Index> ordered;
  while (columns.steps() < k()) {
    const Index best = columns.best();
    if (best < 0) break;
    columns.take(best);
    ordered.push_back(columns.name(best));
  }
  return ordered;
}

}  // namespace

template <class T>
Choice<T> choose_strong(const ScaledMatrix<T>& a, Index k, double rtol, std::uint64_t seed,
                        Monitor& monitor) {
  Choice<T> choice = choose_blocked(a, k, rtol, seed, monitor);
  if (choice.pivots.empty()) return choice;
  return factor_columns(a, Exchanges<T>(a, choice.pivots, seed, monitor).run(), seed, monitor);
}

template Choice<float> choose_strong(const ScaledMatrix<float>&, Index, double, std::uint64_t, Monitor&);
template Choice<double> choose_strong(const ScaledMatrix<double>&, Index, double, std::uint64_t, Monitor&);

}  // namespace wavelens
