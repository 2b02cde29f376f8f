#include "naive_lapack.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

#include "wavelens/lapack.hpp"
#include "wavelens/matrix_view.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

template <class T>
MatrixView<T> view(T* a, int rows, int cols, int ld) {
  return {a, rows, cols, 1, ld};
}

// A workspace query asks for one entry.
template <class T>
bool is_query(const int* lwork, T* work, int* info) {
  *info = 0;
  if (*lwork != -1) return false;
  *work = T(1);
  return true;
}

template <class T>
void trsm(char* side, char* uplo, char* trans, char* diag, int* m, int* n, T* alpha, T* a, int* lda, T* b,
          int* ldb) {
  const bool left = *side == 'L';
  const Index order = left ? *m : *n;
  MatrixView<T> triangle = view(a, static_cast<int>(order), static_cast<int>(order), *lda);
  bool upper = *uplo == 'U';
  if (*trans != 'N') {
    triangle = triangle.transposed();
    upper = !upper;
  }
  MatrixView<T> x = view(b, *m, *n, *ldb);
  if (!left) {  // X·op(A) = B is op(A)ᵀ·Xᵀ = Bᵀ
    triangle = triangle.transposed();
    upper = !upper;
    x = x.transposed();
  }
  for (Index j = 0; j < x.cols; ++j) {
    for (Index step = 0; step < order; ++step) {
      const Index i = upper ? order - 1 - step : step;
      T value = *alpha * x(i, j);
      for (Index p = upper ? i + 1 : 0; p < (upper ? order : i); ++p) value -= triangle(i, p) * x(p, j);
      x(i, j) = *diag == 'U' ? value : value / triangle(i, i);
    }
  }
}

// Reflector H = I − tau·v·vᵀ, v₀ = 1, that maps x to beta·e₀; x becomes (beta, v₁, …).
template <class T>
T reflector(MatrixView<T> x) {
  T tail = 0;
  for (Index i = 1; i < x.rows; ++i) tail = std::hypot(tail, x(i, 0));
  if (tail == T(0)) return T(0);
  const T alpha = x(0, 0);
  const T beta = -std::copysign(std::hypot(alpha, tail), alpha);
  for (Index i = 1; i < x.rows; ++i) x(i, 0) /= alpha - beta;
  x(0, 0) = beta;
  return (beta - alpha) / beta;
}

// C ← H·C, with v stored below the first entry of a column.
template <class T>
void reflect(MatrixView<T> v, T tau, MatrixView<T> c) {
  for (Index j = 0; j < c.cols; ++j) {
    T sum = c(0, j);
    for (Index i = 1; i < c.rows; ++i) sum += v(i, 0) * c(i, j);
    c(0, j) -= tau * sum;
    for (Index i = 1; i < c.rows; ++i) c(i, j) -= tau * sum * v(i, 0);
  }
}

template <class T>
void geqrf(int* m, int* n, T* a, int* lda, T* tau, T* work, int* lwork, int* info) {
  if (is_query(lwork, work, info)) return;
  MatrixView<T> x = view(a, *m, *n, *lda);
  for (Index j = 0; j < std::min(x.rows, x.cols); ++j) {
    const MatrixView<T> column = x.block(j, j, x.rows - j, 1);
    tau[j] = reflector(column);
    if (j + 1 < x.cols) reflect(column, tau[j], x.block(j, j + 1, x.rows - j, x.cols - j - 1));
  }
}

// `nb` steps of QR with pivoting from row `offset` on; column norms are measured anew at each.
template <class T>
void laqps(int* m, int* n, int* offset, int* nb, int* kb, T* a, int* lda, int* jpvt, T* tau, T* vn1, T* vn2,
           T* auxv, T* f, int* ldf) {
  (void)vn1, (void)vn2, (void)auxv, (void)f, (void)ldf;
  MatrixView<T> x = view(a, *m, *n, *lda);
  for (Index j = 0; j < *nb; ++j) {
    const Index top = *offset + j, rows = x.rows - top;
    Index best = j;
    T best_norm = -1;
    for (Index c = j; c < x.cols; ++c) {
      T norm = 0;
      for (Index i = top; i < x.rows; ++i) norm = std::hypot(norm, x(i, c));
      if (norm > best_norm) {
        best_norm = norm;
        best = c;
      }
    }
    std::swap(jpvt[j], jpvt[best]);
    for (Index i = 0; i < x.rows; ++i) std::swap(x(i, j), x(i, best));
    const MatrixView<T> column = x.block(top, j, rows, 1);
    tau[j] = reflector(column);
    if (j + 1 < x.cols) reflect(column, tau[j], x.block(top, j + 1, rows, x.cols - j - 1));
  }
  *kb = *nb;
}

// Householder's reduction: A = Q·T·Qᵀ, the reflectors below the subdiagonal.
template <class T>
void sytrd(char* uplo, int* n, T* a, int* lda, T* d, T* e, T* tau, T* work, int* lwork, int* info) {
  (void)uplo;  // the lower part is the one in use
  if (is_query(lwork, work, info)) return;
  MatrixView<T> x = view(a, *n, *n, *lda);
  for (Index j = 0; j < x.cols; ++j) {
    for (Index i = 0; i < j; ++i) x(i, j) = x(j, i);
  }
  for (Index k = 0; k + 1 < x.cols; ++k) {
    const Index rest = x.cols - k - 1;
    const MatrixView<T> column = x.block(k + 1, k, rest, 1);
    tau[k] = reflector(column);
    e[k] = column(0, 0);
    const MatrixView<T> corner = x.block(k + 1, k + 1, rest, rest);
    reflect(column, tau[k], corner);
    reflect(column, tau[k], corner.transposed());
  }
  for (Index k = 0; k < x.cols; ++k) d[k] = x(k, k);
}

// The first nb columns of that reduction; the rest of A is to lose V·Wᵀ + W·Vᵀ. The reflectors' leading ones
// stay in place of the off-diagonal entries e.
template <class T>
void latrd(char* uplo, int* n, int* nb, T* a, int* lda, T* e, T* tau, T* w, int* ldw) {
  (void)uplo;  // the lower part is the one in use
  const Index order = *n;
  MatrixView<T> x = view(a, *n, *n, *lda), y = view(w, *n, *nb, *ldw);
  const auto entry = [&](Index i, Index j) { return i >= j ? x(i, j) : x(j, i); };
  for (Index k = 0; k < *nb; ++k) {
    for (Index i = k; i < order; ++i) {
      for (Index p = 0; p < k; ++p) x(i, k) -= x(i, p) * y(k, p) + y(i, p) * x(k, p);
    }
    if (k + 1 >= order) break;
    tau[k] = reflector(x.block(k + 1, k, order - k - 1, 1));
    e[k] = x(k + 1, k);
    x(k + 1, k) = T(1);
    // w = tau·(A − V·Wᵀ − W·Vᵀ)·v, less its part along v.
    std::vector<T> by_v(static_cast<std::size_t>(k), T(0)), by_w(by_v);
    for (Index p = 0; p < k; ++p) {
      for (Index i = k + 1; i < order; ++i) {
        by_v[static_cast<std::size_t>(p)] += x(i, p) * x(i, k);
        by_w[static_cast<std::size_t>(p)] += y(i, p) * x(i, k);
      }
    }
    T along = 0;
    for (Index i = k + 1; i < order; ++i) {
      T sum = 0;
      for (Index j = k + 1; j < order; ++j) sum += entry(i, j) * x(j, k);
      for (Index p = 0; p < k; ++p)
        sum -= x(i, p) * by_w[static_cast<std::size_t>(p)] + y(i, p) * by_v[static_cast<std::size_t>(p)];
      y(i, k) = tau[k] * sum;
      along += y(i, k) * x(i, k);
    }
    for (Index i = k + 1; i < order; ++i) y(i, k) -= tau[k] / 2 * along * x(i, k);
  }
}

// Jacobi's method on the tridiagonal matrix.
template <class T>
void stedc(char* compz, int* n, T* d, T* e, T* z, int* ldz, T* work, int* lwork, int* iwork, int* liwork,
           int* info) {
  (void)compz;  // eigenvectors of the tridiagonal matrix are what is in use
  (void)work, (void)lwork, (void)iwork, (void)liwork;
  *info = 0;
  const Index order = *n;
  MatrixView<T> x = view(z, *n, *n, *ldz);
  for (Index j = 0; j < order; ++j) {
    for (Index i = 0; i < order; ++i)
      x(i, j) = i == j ? d[i] : (i == j + 1 ? e[j] : (j == i + 1 ? e[i] : T(0)));
  }
  std::vector<T> vectors(static_cast<std::size_t>(order * order), T(0));
  MatrixView<T> v = column_major(vectors.data(), order, order);
  for (Index i = 0; i < order; ++i) v(i, i) = T(1);
  for (int sweep = 0; sweep < 60; ++sweep) {
    bool rotated = false;
    for (Index p = 0; p < order; ++p) {
      for (Index q = p + 1; q < order; ++q) {
        if (x(p, q) == T(0)) continue;
        const T theta = (x(q, q) - x(p, p)) / (2 * x(p, q));
        const T t = std::copysign(T(1), theta) / (std::abs(theta) + std::hypot(theta, T(1)));
        if (std::abs(t * x(p, q)) <= std::abs(x(p, p)) * T(1e-30) && sweep > 4) continue;
        rotated = true;
        const T c = 1 / std::hypot(t, T(1));
        const T s = t * c;
        for (Index i = 0; i < order; ++i) {
          const T left = x(i, p), right = x(i, q);
          x(i, p) = c * left - s * right;
          x(i, q) = s * left + c * right;
        }
        for (Index i = 0; i < order; ++i) {
          const T upper = x(p, i), lower = x(q, i);
          x(p, i) = c * upper - s * lower;
          x(q, i) = s * upper + c * lower;
          const T left = v(i, p), right = v(i, q);
          v(i, p) = c * left - s * right;
          v(i, q) = s * left + c * right;
        }
        x(p, q) = x(q, p) = T(0);
      }
    }
    if (!rotated) break;
  }
  std::vector<Index> rank(static_cast<std::size_t>(order));
  std::iota(rank.begin(), rank.end(), Index{0});
  std::sort(rank.begin(), rank.end(), [&](Index i, Index j) { return x(i, i) < x(j, j); });
  for (Index j = 0; j < order; ++j)
    d[j] = x(rank[static_cast<std::size_t>(j)], rank[static_cast<std::size_t>(j)]);
  for (Index j = 0; j < order; ++j) {
    for (Index i = 0; i < order; ++i) x(i, j) = v(i, rank[static_cast<std::size_t>(j)]);
  }
}

// One-sided Jacobi on the taller of A and Aᵀ; jobz 'N', 'S' and 'A' on columns (the unneeded rest of a full
// basis is completed by Gram–Schmidt).
template <class T>
void gesdd(char* jobz, int* m, int* n, T* a, int* lda, T* s, T* u, int* ldu, T* vt, int* ldvt, T* work,
           int* lwork, int* iwork, int* info) {
  (void)iwork;
  if (is_query(lwork, work, info)) return;
  const MatrixView<T> given = view(a, *m, *n, *lda);
  const bool tall = given.rows >= given.cols;
  const MatrixView<T> source = tall ? given : given.transposed();
  const Index rows = source.rows, cols = source.cols;
  std::vector<T> x_data(static_cast<std::size_t>(rows * rows), T(0));
  std::vector<T> v_data(static_cast<std::size_t>(cols * cols), T(0));
  MatrixView<T> x = column_major(x_data.data(), rows, rows);
  MatrixView<T> v = column_major(v_data.data(), cols, cols);
  for (Index j = 0; j < cols; ++j) {
    v(j, j) = T(1);
    for (Index i = 0; i < rows; ++i) x(i, j) = source(i, j);
  }
  for (int sweep = 0; sweep < 60; ++sweep) {
    bool rotated = false;
    for (Index p = 0; p < cols; ++p) {
      for (Index q = p + 1; q < cols; ++q) {
        T pp = 0, qq = 0, pq = 0;
        for (Index i = 0; i < rows; ++i) {
          pp += x(i, p) * x(i, p);
          qq += x(i, q) * x(i, q);
          pq += x(i, p) * x(i, q);
        }
        if (std::abs(pq) <= T(1e-17) * std::sqrt(pp * qq) || pq == T(0)) continue;
        const T theta = (qq - pp) / (2 * pq);
        const T t = std::copysign(T(1), theta) / (std::abs(theta) + std::hypot(theta, T(1)));
        const T c = 1 / std::hypot(t, T(1));
        const T sine = t * c;
        if (sine == T(0)) continue;
        rotated = true;
        for (Index i = 0; i < rows; ++i) {
          const T left = x(i, p), right = x(i, q);
          x(i, p) = c * left - sine * right;
          x(i, q) = sine * left + c * right;
        }
        for (Index i = 0; i < cols; ++i) {
          const T left = v(i, p), right = v(i, q);
          v(i, p) = c * left - sine * right;
          v(i, q) = sine * left + c * right;
        }
      }
    }
    if (!rotated) break;
  }
  std::vector<T> norm(static_cast<std::size_t>(cols));
  for (Index j = 0; j < cols; ++j) {
    for (Index i = 0; i < rows; ++i)
      norm[static_cast<std::size_t>(j)] = std::hypot(norm[static_cast<std::size_t>(j)], x(i, j));
  }
  std::vector<Index> rank(static_cast<std::size_t>(cols));
  std::iota(rank.begin(), rank.end(), Index{0});
  std::stable_sort(rank.begin(), rank.end(), [&](Index i, Index j) {
    return norm[static_cast<std::size_t>(i)] > norm[static_cast<std::size_t>(j)];
  });
  for (Index j = 0; j < cols; ++j) s[j] = norm[static_cast<std::size_t>(rank[static_cast<std::size_t>(j)])];
  if (*jobz == 'N') return;
  const Index wanted = *jobz == 'A' ? rows : cols;
  std::vector<T> left_data(static_cast<std::size_t>(rows * wanted), T(0));
  MatrixView<T> left = column_major(left_data.data(), rows, wanted);
  for (Index j = 0; j < wanted; ++j) {
    if (j < cols && s[j] > T(0)) {
      for (Index i = 0; i < rows; ++i) left(i, j) = x(i, rank[static_cast<std::size_t>(j)]) / s[j];
      continue;
    }
    T best = 0;
    std::vector<T> column(static_cast<std::size_t>(rows));
    for (Index e = 0; e < rows; ++e) {
      std::vector<T> trial(static_cast<std::size_t>(rows), T(0));
      trial[static_cast<std::size_t>(e)] = T(1);
      for (int twice = 0; twice < 2; ++twice) {
        for (Index c = 0; c < j; ++c) {
          T dot = 0;
          for (Index i = 0; i < rows; ++i) dot += left(i, c) * trial[static_cast<std::size_t>(i)];
          for (Index i = 0; i < rows; ++i) trial[static_cast<std::size_t>(i)] -= dot * left(i, c);
        }
      }
      T size = 0;
      for (const T entry : trial) size = std::hypot(size, entry);
      if (size > best) {
        best = size;
        column = trial;
        for (T& entry : column) entry /= size;
      }
    }
    for (Index i = 0; i < rows; ++i) left(i, j) = column[static_cast<std::size_t>(i)];
  }
  MatrixView<T> u_out = view(u, *m, static_cast<int>(tall ? wanted : rows), *ldu);
  MatrixView<T> vt_out = view(vt, static_cast<int>(tall ? cols : wanted), *n, *ldvt);
  if (tall) {
    for (Index j = 0; j < wanted; ++j) {
      for (Index i = 0; i < rows; ++i) u_out(i, j) = left(i, j);
    }
    for (Index j = 0; j < cols; ++j) {
      for (Index i = 0; i < cols; ++i) vt_out(j, i) = v(i, rank[static_cast<std::size_t>(j)]);
    }
  } else {
    for (Index j = 0; j < cols; ++j) {
      for (Index i = 0; i < cols; ++i) u_out(i, j) = v(i, rank[static_cast<std::size_t>(j)]);
    }
    for (Index j = 0; j < wanted; ++j) {
      for (Index i = 0; i < rows; ++i) vt_out(j, i) = left(i, j);
    }
  }
}

template <class T>
void fill() {
  lapack<T>() = {trsm<T>, geqrf<T>, laqps<T>, sytrd<T>, latrd<T>, stedc<T>, gesdd<T>};
}

}  // namespace

void fill_naive_lapack() {
  fill<float>();
  fill<double>();
}

}  // namespace wavelens
