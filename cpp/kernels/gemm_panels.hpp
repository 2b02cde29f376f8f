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

// One panel of up to `width` rows of x, or of those that `list` names, for the depths [begin, end).
template <class T>
void pack_panel(MatrixView<const T> x, const std::ptrdiff_t* list, std::ptrdiff_t width, std::ptrdiff_t begin,
                std::ptrdiff_t end, T* out) {
  const std::ptrdiff_t here = x.rows;
  if (x.row_stride == 1) {
    for (std::ptrdiff_t p = begin; p < end; ++p) {
      const T* source = x.data + p * x.col_stride;
      if (list) {
        for (std::ptrdiff_t i = 0; i < here; ++i) out[p * width + i] = source[list[i]];
      } else {
        std::copy(source, source + here, out + p * width);
      }
    }
  } else {
    // Four rows at a time: the store is what limits, and four entries go into one.
    typedef T Four __attribute__((vector_size(4 * sizeof(T)), aligned(alignof(T)), may_alias));
    const auto row = [&](std::ptrdiff_t i) { return x.data + (list ? list[i] : i) * x.row_stride; };
    const std::ptrdiff_t step = x.col_stride;
    std::ptrdiff_t i = 0;
    for (; i + 4 <= here; i += 4) {
      const T *a = row(i), *b = row(i + 1), *c = row(i + 2), *d = row(i + 3);
      for (std::ptrdiff_t p = begin; p < end; ++p) {
        *reinterpret_cast<Four*>(out + p * width + i) =
            Four{a[p * step], b[p * step], c[p * step], d[p * step]};
      }
    }
    for (; i < here; ++i) {
      const T* source = row(i);
      for (std::ptrdiff_t p = begin; p < end; ++p) out[p * width + i] = source[p * step];
    }
  }
  for (std::ptrdiff_t i = here; i < width; ++i) {
    for (std::ptrdiff_t p = begin; p < end; ++p) out[p * width + i] = T(0);
  }
}

// Packs x (rows × depth) into panels of `width` rows: out[panel][depth][width], the last one padded by zeros.
// `row_list` (or nullptr) picks rows of x; then x.rows is the length of the list. Eight depths at a time, so
// that the reads run along a few lines of x where its rows are adjacent, and the writes stay in cache where
// they are not.
template <class T>
void pack_panels(MatrixView<const T> x, const std::ptrdiff_t* row_list, std::ptrdiff_t width, T* out) {
  const std::ptrdiff_t depth = x.cols;
  const auto pack = [&](std::ptrdiff_t first, std::ptrdiff_t begin, std::ptrdiff_t end) {
    MatrixView<const T> rows = x;
    rows.rows = std::min(width, x.rows - first);
    if (!row_list) rows.data += first * x.row_stride;
    pack_panel(rows, row_list ? row_list + first : nullptr, width, begin, end, out + first * depth);
  };
  if (x.row_stride == 1) {
    for (std::ptrdiff_t p = 0; p < depth; p += 8) {
      for (std::ptrdiff_t first = 0; first < x.rows; first += width) pack(first, p, std::min(depth, p + 8));
    }
  } else {
    for (std::ptrdiff_t first = 0; first < x.rows; first += width) {
      for (std::ptrdiff_t p = 0; p < depth; p += 8) pack(first, p, std::min(depth, p + 8));
    }
  }
}

}  // namespace wavelens
