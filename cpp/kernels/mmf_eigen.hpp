// Eigenvectors of the many small symmetric matrices of an MMF, without allocation.
#pragma once

#include <cstddef>

namespace wavelens {

// Eigenvalues (ascending) and eigenvectors (the rows of v) of the symmetric k × k matrix `a`, which is spent.
void small_eigen(std::ptrdiff_t k, double* a, double* values, double* v);

}  // namespace wavelens
