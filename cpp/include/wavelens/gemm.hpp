// Matrix products: C = alpha·A·B + beta·C.
//
// Why not the BLAS one: A and B may have any strides and a list of columns of B may be given, so that a
// caller's matrix is never copied; the result is bitwise the same for any number of threads; and on
// processors where OpenBLAS falls back to AVX2 kernels this one runs at the AVX-512 rate.
//
// 2·m·n·k flops. Workspace: about 1.5 MiB plus 0.5 MiB a thread.
#pragma once

#include "wavelens/matrix_view.hpp"

namespace wavelens {

template <class T>
void gemm(T alpha, MatrixView<const T> a, MatrixView<const T> b, T beta, MatrixView<T> c);

// C = alpha·A·B[:, columns] + beta·C; c has n_columns columns.
template <class T>
void gemm_columns(T alpha, MatrixView<const T> a, MatrixView<const T> b, const std::ptrdiff_t* columns,
                  std::ptrdiff_t n_columns, T beta, MatrixView<T> c);

// C = alpha·AᵀA + beta·C (C symmetric), exactly symmetric, for half the flops.
template <class T>
void gram(T alpha, MatrixView<const T> a, MatrixView<T> c, T beta = T(0));

}  // namespace wavelens
