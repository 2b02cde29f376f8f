// The triangular factor of a matrix whose rows come in chunks.
#pragma once

#include "wavelens/matrix_view.hpp"

namespace wavelens {

// R ← the upper triangular factor, its diagonal nowhere negative, of [R; rows]. R is m × m by columns, upper
// triangular (zero for no rows yet; what is below the diagonal is not looked at). With `upper` the rows are
// upper triangular themselves, which saves two thirds. All rows are reduced at once, in a copy of type T. U
// is T, float, double or unsigned char. 2·rows·m² flops.
template <class T, class U>
void triangular_factor_update(MatrixView<T> r, MatrixView<const U> rows, bool upper);

}  // namespace wavelens
