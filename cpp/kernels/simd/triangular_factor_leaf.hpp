// Products of a few long columns, for the panels of a QR decomposition. Matrices are by columns, `ld` apart.
#pragma once

#include <cstddef>

namespace wavelens {

template <class T>
struct TriangularFactorLeaf {
  // out(i, j) = aᵢᵀbⱼ, for n_a and n_b columns of n entries.
  void (*dots)(std::ptrdiff_t n, const T* a, std::ptrdiff_t lda, std::ptrdiff_t n_a, const T* b,
               std::ptrdiff_t ldb, std::ptrdiff_t n_b, T* out, std::ptrdiff_t ldo);
  // cⱼ −= Σᵢ vᵢ·w(i, j).
  void (*subtract)(std::ptrdiff_t n, const T* v, std::ptrdiff_t ldv, std::ptrdiff_t n_v, const T* w,
                   std::ptrdiff_t ldw, T* c, std::ptrdiff_t ldc, std::ptrdiff_t n_c);
};

struct TriangularFactorLeaves {
  TriangularFactorLeaf<float> s;
  TriangularFactorLeaf<double> d;
};

}  // namespace wavelens
