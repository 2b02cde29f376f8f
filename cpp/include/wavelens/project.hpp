// Splits rows into what lies in a subspace and what does not, with the energy of both.
#pragma once

#include "wavelens/matrix_view.hpp"
#include "wavelens/monitor.hpp"

namespace wavelens {

// Where the parts go. A view without data is not wanted; the energies, one for each row, always are.
template <class T>
struct ProjectedRows {
  MatrixView<T> inside;
  MatrixView<T> outside;
  double* inside_energy = nullptr;
  double* outside_energy = nullptr;
};

// For every row x of `rows` (m × n): inside = QQᵀx, outside = x − QQᵀx and the squares of their norms, with
// orthonormal columns Q = `basis` (n × k). 4·m·n·k flops; 2·m·n·k where neither view is wanted.
template <class T>
void project(MatrixView<const T> basis, MatrixView<const T> rows, const ProjectedRows<T>& out,
             Monitor& monitor);

}  // namespace wavelens
