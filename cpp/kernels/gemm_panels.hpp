// Packing for the product leaves: panels of mr rows (or nr columns) that the leaf reads in one stream.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "simd/gemm_leaf.hpp"
#include "simd/leaf.hpp"
#include "wavelens/isa.hpp"
#include "wavelens/matrix_view.hpp"

namespace wavelens {

WAVELENS_CHOOSE_LEAF(GemmLeaves, gemm_leaves)

template <class T>
GemmLeaf<T> gemm_leaf() {
  if constexpr (std::is_same_v<T, float>) {
    return gemm_leaves().s;
  } else {
    return gemm_leaves().d;
  }
}

// The depth of a panel: mr·depth entries of A fit the first-level cache.
template <class T>
constexpr std::ptrdiff_t gemm_depth = 1536 / static_cast<std::ptrdiff_t>(sizeof(T));

inline std::ptrdiff_t round_up(std::ptrdiff_t n, std::ptrdiff_t step) { return (n + step - 1) / step * step; }

// Packs x (rows × depth) into panels of `width` rows: out[panel][depth][width], the last one padded by zeros.
// `row_list` (or nullptr) picks rows of x; then x.rows is the length of the list.
template <class T>
void pack_panels(MatrixView<const T> x, const std::ptrdiff_t* row_list, std::ptrdiff_t width, T* out) {
  const std::ptrdiff_t depth = x.cols;
  for (std::ptrdiff_t first = 0; first < x.rows; first += width, out += width * depth) {
    const std::ptrdiff_t here = std::min(width, x.rows - first);
    const auto row = [&](std::ptrdiff_t i) {
      return x.data + (row_list ? row_list[first + i] : first + i) * x.row_stride;
    };
    if (here < width) std::fill(out, out + width * depth, T(0));
    if (!row_list && x.row_stride == 1) {
      for (std::ptrdiff_t p = 0; p < depth; ++p) {
        const T* source = x.data + first + p * x.col_stride;
        std::copy(source, source + here, out + p * width);
      }
    } else if (row_list && x.row_stride == 1) {
      const std::ptrdiff_t* list = row_list + first;
      for (std::ptrdiff_t p = 0; p < depth; ++p) {
        const T* source = x.data + p * x.col_stride;
        for (std::ptrdiff_t i = 0; i < here; ++i) out[p * width + i] = source[list[i]];
      }
    } else {
      // Rows are read eight entries at a time, so that the writes of a block stay in cache.
      for (std::ptrdiff_t start = 0; start < depth; start += 8) {
        const std::ptrdiff_t stop = std::min(depth, start + 8);
        for (std::ptrdiff_t i = 0; i < here; ++i) {
          const T* source = row(i);
          for (std::ptrdiff_t p = start; p < stop; ++p) out[p * width + i] = source[p * x.col_stride];
        }
      }
    }
  }
}

}  // namespace wavelens
