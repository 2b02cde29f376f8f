// A BLAS/LAPACK table for the engine's tests: each routine by its textbook definition, small and slow.
#pragma once

namespace wavelens {

void fill_naive_lapack();

}  // namespace wavelens
