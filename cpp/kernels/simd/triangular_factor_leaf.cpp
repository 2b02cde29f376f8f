// Compiled once per instruction set (see wavelens/isa.hpp).

#include "simd/triangular_factor_leaf.hpp"

#include "simd/vector.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

template <class T>
inline typename Vector<T>::type load_vector(const T* from) {
  return *reinterpret_cast<const typename Vector<T>::unaligned*>(from);
}

template <class T>
T sum_of(typename Vector<T>::type v) {
  T sum = 0;
  for (int i = 0; i < Vector<T>::lanes; ++i) sum += v[i];
  return sum;
}

template <class T, int rows, int cols>
void dots_tile(Index n, const T* a, Index lda, const T* b, Index ldb, T* out, Index ldo) {
  using V = typename Vector<T>::type;
  constexpr Index lanes = Vector<T>::lanes;
  V sum[rows][cols] = {};
  Index k = 0;
  for (; k + lanes <= n; k += lanes) {
    V right[cols];
#pragma GCC unroll 4
    for (int j = 0; j < cols; ++j) right[j] = load_vector(b + j * ldb + k);
#pragma GCC unroll 4
    for (int i = 0; i < rows; ++i) {
      const V left = load_vector(a + i * lda + k);
#pragma GCC unroll 4
      for (int j = 0; j < cols; ++j) sum[i][j] += left * right[j];
    }
  }
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < cols; ++j) {
      T total = sum_of<T>(sum[i][j]);
      for (Index rest = k; rest < n; ++rest) total += a[i * lda + rest] * b[j * ldb + rest];
      out[i + j * ldo] = total;
    }
  }
}

template <class T, int rows>
void dots_rows(Index n, const T* a, Index lda, const T* b, Index ldb, Index n_b, T* out, Index ldo) {
  Index j = 0;
  for (; j + 4 <= n_b; j += 4) dots_tile<T, rows, 4>(n, a, lda, b + j * ldb, ldb, out + j * ldo, ldo);
  for (; j < n_b; ++j) dots_tile<T, rows, 1>(n, a, lda, b + j * ldb, ldb, out + j * ldo, ldo);
}

template <class T>
void dots(Index n, const T* a, Index lda, Index n_a, const T* b, Index ldb, Index n_b, T* out, Index ldo) {
#if defined(WAVELENS_LEAF_avx512)
  constexpr int rows = 4;
#else
  constexpr int rows = 2;  // eight sums, four columns and one: what sixteen registers hold
#endif
  Index i = 0;
  for (; i + rows <= n_a; i += rows) dots_rows<T, rows>(n, a + i * lda, lda, b, ldb, n_b, out + i, ldo);
  for (; i < n_a; ++i) dots_rows<T, 1>(n, a + i * lda, lda, b, ldb, n_b, out + i, ldo);
}

template <class T, int cols>
void subtract_columns(Index n, const T* v, Index ldv, Index n_v, const T* w, Index ldw, T* c, Index ldc) {
  using V = typename Vector<T>::type;
  using U = typename Vector<T>::unaligned;
  constexpr Index lanes = Vector<T>::lanes;
  Index k = 0;
  for (; k + 2 * lanes <= n; k += 2 * lanes) {
    V even[cols], odd[cols];
#pragma GCC unroll 4
    for (int j = 0; j < cols; ++j) {
      even[j] = load_vector(c + j * ldc + k);
      odd[j] = load_vector(c + j * ldc + k + lanes);
    }
    for (Index i = 0; i < n_v; ++i) {
      const V here = load_vector(v + i * ldv + k), next = load_vector(v + i * ldv + k + lanes);
#pragma GCC unroll 4
      for (int j = 0; j < cols; ++j) {
        const V factor = w[i + j * ldw] - V{};
        even[j] -= here * factor;
        odd[j] -= next * factor;
      }
    }
#pragma GCC unroll 4
    for (int j = 0; j < cols; ++j) {
      *reinterpret_cast<U*>(c + j * ldc + k) = even[j];
      *reinterpret_cast<U*>(c + j * ldc + k + lanes) = odd[j];
    }
  }
  for (; k < n; ++k) {
    for (int j = 0; j < cols; ++j) {
      T value = c[j * ldc + k];
      for (Index i = 0; i < n_v; ++i) value -= v[i * ldv + k] * w[i + j * ldw];
      c[j * ldc + k] = value;
    }
  }
}

template <class T>
void subtract(Index n, const T* v, Index ldv, Index n_v, const T* w, Index ldw, T* c, Index ldc, Index n_c) {
  Index j = 0;
  for (; j + 4 <= n_c; j += 4) subtract_columns<T, 4>(n, v, ldv, n_v, w + j * ldw, ldw, c + j * ldc, ldc);
  for (; j < n_c; ++j) subtract_columns<T, 1>(n, v, ldv, n_v, w + j * ldw, ldw, c + j * ldc, ldc);
}

template <class T>
TriangularFactorLeaf<T> leaf() {
  return {dots<T>, subtract<T>};
}

}  // namespace

TriangularFactorLeaves WAVELENS_LEAF(triangular_factor_leaves)();
TriangularFactorLeaves WAVELENS_LEAF(triangular_factor_leaves)() { return {leaf<float>(), leaf<double>()}; }

}  // namespace wavelens
