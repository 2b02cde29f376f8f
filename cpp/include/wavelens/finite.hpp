// Looks for NaN and infinities.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>

#include "wavelens/matrix_view.hpp"

namespace wavelens {

// The first (row, column), in row order, whose entry is NaN or infinite. One pass.
template <class T>
std::optional<std::pair<std::ptrdiff_t, std::ptrdiff_t>> first_nonfinite(MatrixView<const T> a);

}  // namespace wavelens
