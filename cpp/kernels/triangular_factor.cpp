// [R; C] → R by Householder reflections, C being a chunk of rows of D: so R of D = QR comes from one reading
// of D, a chunk at a time, and factors of parts of D are joined the same way (Demmel, Grigori, Hoemmen and
// Langou, SIAM J. Sci. Comput. 34, 2012). R is as good as that of D at once: D + δD = QR with |δD| ≤ c·eps
// column by column, whatever the rank of D; columns of zeros, copies of others and fewer rows than columns
// are no exceptions.
//
// A reflection that takes column j of C to zero moves, of R, row j alone (LAPACK's tpqrt): its vector is
// [e_j; v], v as long as C. Reflections of several columns are I − [I; V]·T·[I; V]ᵀ with a triangular T
// (Schreiber & Van Loan 1989), so that the rest of R and C is changed by products. A panel of columns is
// halved until eight remain (Elmroth & Gustavson 2000); up to 32 columns everything is done by one thread in
// its cache, above by `gemm`. T₁₂ = −T₁₁·(V₁ᵀV₂)·T₂₂ joins halves.
//
// 2·n·m² flops for n rows and m columns, and n·m·128 more for the T. Where C is itself triangular its column
// j ends with row j, and stays so: 2m³/3.
#include "wavelens/triangular_factor.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <type_traits>

#include "simd/leaf.hpp"
#include "simd/triangular_factor_leaf.hpp"
#include "wavelens/buffer.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/isa.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {

WAVELENS_CHOOSE_LEAF(TriangularFactorLeaves, triangular_factor_leaves)

namespace {

using Index = std::ptrdiff_t;

constexpr Index smallest = 8;  // columns reflected one by one
constexpr Index alone = 32;    // columns of a panel that one thread reduces
constexpr Index panel_cols = 128;

template <class T>
TriangularFactorLeaf<T> triangular_factor_leaf() {
  if constexpr (std::is_same_v<T, float>) {
    return triangular_factor_leaves().s;
  } else {
    return triangular_factor_leaves().d;
  }
}

// ‖x‖ where its square, `sum`, may be out of range.
template <class T>
T safe_norm(Index n, const T* x, T sum) {
  constexpr T eps = std::numeric_limits<T>::epsilon();
  if (sum > std::numeric_limits<T>::min() / (eps * eps) && sum < std::numeric_limits<T>::max() * eps)
    return std::sqrt(sum);
  T largest = 0;
  for (Index i = 0; i < n; ++i) largest = std::max(largest, std::abs(x[i]));
  if (largest == T(0)) return T(0);
  const int exponent = std::ilogb(largest);
  double squares = 0;
  for (Index i = 0; i < n; ++i) {
    const double each = std::ldexp(static_cast<double>(x[i]), -exponent);
    squares += each * each;
  }
  return static_cast<T>(std::ldexp(std::sqrt(squares), exponent));
}

// A panel: columns of R (rows and columns `begin`…`end` of it count) and of C, of which the first n rows
// count.
template <class T>
class Reduction {
public:
  Reduction(MatrixView<T> r, MatrixView<T> c)
      : r_(r),
        c_(c),
        leaf_(triangular_factor_leaf<T>()),
        triangle_(static_cast<std::size_t>(panel_cols * panel_cols)),
        work_(static_cast<std::size_t>(panel_cols * std::max(r.cols, panel_cols))),
        turned_(work_.size()) {}

  void run(bool upper) {
    const Index m = r_.cols;
    for (Index begin = 0; begin < m; begin += panel_cols) {
      const Index end = std::min(m, begin + panel_cols);
      n_ = upper ? std::min(c_.rows, end) : c_.rows;
      std::fill(triangle_.begin(), triangle_.end(), T(0));
      reduce(begin, end, column_major(triangle_.data(), end - begin, end - begin));
      if (end < m) apply(begin, end, end, m, column_major(triangle_.data(), end - begin, end - begin));
    }
    make_diagonal_positive();
  }

private:
  T* column(Index j) { return c_.data + j * c_.col_stride; }
  MatrixView<T> columns(Index begin, Index end) { return c_.block(0, begin, n_, end - begin); }

  // `t` receives T of the columns' reflections.
  void reduce(Index begin, Index end, MatrixView<T> t) {
    const Index width = end - begin;
    if (width <= smallest) return reflect(begin, end, t);
    const Index half = std::max(smallest, (width / 2 + smallest - 1) / smallest * smallest);
    const Index middle = begin + half;
    const MatrixView<T> first = t.block(0, 0, half, half);
    const MatrixView<T> second = t.block(half, half, width - half, width - half);
    reduce(begin, middle, first);
    apply(begin, middle, middle, end, first);
    reduce(middle, end, second);
    join(begin, middle, end, t);
  }

  // Columns one by one.
  void reflect(Index begin, Index end, MatrixView<T> t) {
    T w[smallest], products[smallest * smallest];
    for (Index j = begin; j < end; ++j) {
      T* const v = column(j);
      T sum = 0;
      leaf_.dots(n_, v, n_, 1, v, n_, 1, &sum, 1);
      const T norm = safe_norm(n_, v, sum);
      t(j - begin, j - begin) = T(0);
      if (norm == T(0)) continue;
      const T alpha = r_(j, j);
      const T beta = -std::copysign(std::hypot(alpha, norm), alpha);
      const T tau = (beta - alpha) / beta, length = alpha - beta;
      for (Index i = 0; i < n_; ++i) v[i] /= length;
      r_(j, j) = beta;
      t(j - begin, j - begin) = tau;
      const Index rest = end - j - 1;
      leaf_.dots(n_, v, n_, 1, column(j + 1), c_.col_stride, rest, w, 1);
      for (Index k = 0; k < rest; ++k) {
        w[k] = tau * (w[k] + r_(j, j + 1 + k));
        r_(j, j + 1 + k) -= w[k];
      }
      leaf_.subtract(n_, v, n_, 1, w, 1, column(j + 1), c_.col_stride, rest);
    }
    // T column by column: −τ·T·(Vᵀv) above the diagonal. Where nothing was reflected V holds zeros.
    const Index width = end - begin;
    leaf_.dots(n_, column(begin), c_.col_stride, width, column(begin), c_.col_stride, width, products,
               smallest);
    for (Index j = 1; j < width; ++j) {
      for (Index i = 0; i < j; ++i) {
        T value = 0;
        for (Index k = i; k < j; ++k) value += t(i, k) * products[k + j * smallest];
        t(i, j) = -t(j, j) * value;
      }
    }
  }

  // Columns first…last of R and C after the reflections of begin…end.
  void apply(Index begin, Index end, Index first, Index last, MatrixView<const T> t) {
    const Index width = end - begin, count = last - first;
    const MatrixView<T> w = column_major(work_.data(), width, count);
    const MatrixView<T> turned = column_major(turned_.data(), width, count);
    if (last - begin <= alone) {
      leaf_.dots(n_, column(begin), c_.col_stride, width, column(first), c_.col_stride, count, w.data, width);
    } else {
      gemm<T>(T(1), columns(begin, end).transposed(), columns(first, last), T(0), w);
    }
    const auto rows = r_.block(begin, first, width, count);
    for_columns(count, [&](Index j) {
      for (Index i = 0; i < width; ++i) w(i, j) += rows(i, j);
    });
    if (last - begin <= alone) {
      for (Index j = 0; j < count; ++j) {
        for (Index i = 0; i < width; ++i) {
          T value = 0;
          for (Index k = 0; k <= i; ++k) value += t(k, i) * w(k, j);
          turned(i, j) = value;
        }
      }
      leaf_.subtract(n_, column(begin), c_.col_stride, width, turned.data, width, column(first),
                     c_.col_stride, count);
    } else {
      gemm<T>(T(1), t.transposed(), w, T(0), turned);
      gemm<T>(T(-1), columns(begin, end), turned, T(1), columns(first, last));
    }
    for_columns(count, [&](Index j) {
      for (Index i = 0; i < width; ++i) rows(i, j) -= turned(i, j);
    });
  }

  void join(Index begin, Index middle, Index end, MatrixView<T> t) {
    const Index half = middle - begin, rest = end - middle;
    const MatrixView<T> w = column_major(work_.data(), half, rest);
    const MatrixView<T> turned = column_major(turned_.data(), half, rest);
    if (end - begin <= alone) {
      leaf_.dots(n_, column(begin), c_.col_stride, half, column(middle), c_.col_stride, rest, w.data, half);
    } else {
      gemm<T>(T(1), columns(begin, middle).transposed(), columns(middle, end), T(0), w);
    }
    gemm_small(t.block(0, 0, half, half), w, turned);
    gemm_small(turned, t.block(half, half, rest, rest), t.block(0, half, half, rest));
    for (Index j = 0; j < rest; ++j) {
      for (Index i = 0; i < half; ++i) t(i, half + j) = -t(i, half + j);
    }
  }

  // C = A·B of order 64 at most.
  void gemm_small(MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c) {
    for (Index j = 0; j < c.cols; ++j) {
      for (Index i = 0; i < c.rows; ++i) c(i, j) = T(0);
      for (Index k = 0; k < a.cols; ++k) {
        const T factor = b(k, j);
        if (factor == T(0)) continue;
        const T* const from = &a(0, k);
        T* const to = &c(0, j);
        for (Index i = 0; i < c.rows; ++i) to[i] += from[i] * factor;
      }
    }
  }

  template <class Body>
  void for_columns(Index count, const Body& body) {
    if (count <= panel_cols) {
      for (Index j = 0; j < count; ++j) body(j);
    } else {
      parallel_ranges(count, 128, [&](Index begin, Index end) {
        for (Index j = begin; j < end; ++j) body(j);
      });
    }
  }

  void make_diagonal_positive() {
    const Index m = r_.cols;
    parallel_ranges(m, 64, [&](Index begin, Index end) {
      for (Index j = begin; j < end; ++j) {
        for (Index i = 0; i < j; ++i) {
          if (std::signbit(r_(i, i))) r_(i, j) = -r_(i, j);
        }
      }
    });
    for (Index j = 0; j < m; ++j) r_(j, j) = std::abs(r_(j, j));
  }

  const MatrixView<T> r_, c_;
  const TriangularFactorLeaf<T> leaf_;
  Buffer<T> triangle_, work_, turned_;
  Index n_ = 0;
};

}  // namespace

template <class T, class U>
void triangular_factor_update(MatrixView<T> r, MatrixView<const U> rows, bool upper) {
  if (r.rows != r.cols || r.row_stride != 1 || rows.cols != r.cols)
    throw std::invalid_argument("a triangular factor must be square, by columns, and as wide as the rows");
  const Index n = rows.rows, m = rows.cols;
  if (n == 0 || m == 0) return;
  // Columns an odd number of cache lines apart don't push each other out of the cache.
  constexpr Index line = 64 / static_cast<Index>(sizeof(T));
  const Index ld = ((n + line - 1) / line / 2 * 2 + 1) * line;
  Buffer<T> copy(static_cast<std::size_t>(ld * m));
  const MatrixView<T> c{copy.data(), n, m, 1, ld};
  constexpr Index tile = 64;
  parallel_ranges(m, tile, [&](Index begin, Index end) {
    for (Index i0 = 0; i0 < n; i0 += tile) {
      for (Index j = begin; j < end; ++j) {
        for (Index i = i0; i < std::min(n, i0 + tile); ++i)
          c(i, j) = upper && i > j ? T(0) : static_cast<T>(rows(i, j));
      }
    }
  });
  Reduction<T>(r, c).run(upper);
}

#define WAVELENS_INSTANTIATE(T, U) \
  template void triangular_factor_update(MatrixView<T>, MatrixView<const U>, bool);
WAVELENS_INSTANTIATE(float, float)
WAVELENS_INSTANTIATE(float, double)
WAVELENS_INSTANTIATE(float, unsigned char)
WAVELENS_INSTANTIATE(double, float)
WAVELENS_INSTANTIATE(double, double)
WAVELENS_INSTANTIATE(double, unsigned char)

}  // namespace wavelens
