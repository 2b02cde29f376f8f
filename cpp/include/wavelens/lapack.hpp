// BLAS and LAPACK as a table of function pointers. The Python module fills it with SciPy's routines at
// import, the engine's tests with a naive implementation. Add a routine here and both fillers know of it.
#pragma once

#include <climits>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace wavelens {

template <class T>
struct Lapack {
  using C = char*;
  using I = int*;
  using M = T*;

  // clang-format off
  void (*trsm)(C side, C uplo, C trans, C diag, I m, I n, M alpha, M a, I lda, M b, I ldb);
  void (*geqrf)(I m, I n, M a, I lda, M tau, M work, I lwork, I info);
  void (*laqps)(I m, I n, I offset, I nb, I kb, M a, I lda, I jpvt, M tau, M vn1, M vn2, M auxv, M f, I ldf);
  void (*sytrd)(C uplo, I n, M a, I lda, M d, M e, M tau, M work, I lwork, I info);
  void (*latrd)(C uplo, I n, I nb, M a, I lda, M e, M tau, M w, I ldw);
  void (*stedc)(C compz, I n, M d, M e, M z, I ldz, M work, I lwork, I iwork, I liwork, I info);
  void (*gesdd)(C jobz, I m, I n, M a, I lda, M s, M u, I ldu, M vt, I ldvt, M work, I lwork, I iwork, I info);
  // clang-format on

  // Calls visit(name, pointer-to-member's value) for every routine.
  template <class Visit>
  void each(Visit visit) {
    visit("trsm", trsm);
    visit("geqrf", geqrf);
    visit("laqps", laqps);
    visit("sytrd", sytrd);
    visit("latrd", latrd);
    visit("stedc", stedc);
    visit("gesdd", gesdd);
  }
};

template <class T>
Lapack<T>& lapack();  // the table in use; fill it once, before any kernel runs

// A dimension as LAPACK wants it.
inline int lapack_int(std::ptrdiff_t n) {
  if (n < 0 || n > INT_MAX) {
    throw std::length_error("a dimension of " + std::to_string(n) + " is beyond what LAPACK can index");
  }
  return static_cast<int>(n);
}

// Throws unless info == 0.
inline void check_info(int info, const char* routine) {
  if (info != 0)
    throw std::runtime_error(std::string(routine) + " failed with info = " + std::to_string(info));
}

}  // namespace wavelens
