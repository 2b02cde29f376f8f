// The product of Goto and van de Geijn (ACM TOMS 34, 2008): both factors are packed into panels that the leaf
// streams through the cache. A's panels are packed once per depth block and shared; every task packs its own
// columns of B, which then stay in its second-level cache.

#include "wavelens/gemm.hpp"

#include <cmath>
#include <memory>
#include <stdexcept>
#include <vector>

#include "gemm_panels.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

constexpr std::ptrdiff_t max_rows = 1152;  // of A packed at a time; a multiple of every mr

enum class Part { all, upper };

template <class T>
void scale(T beta, MatrixView<T> c) {
  for (std::ptrdiff_t j = 0; j < c.cols; ++j) {
    for (std::ptrdiff_t i = 0; i < c.rows; ++i) c(i, j) = beta == T(0) ? T(0) : beta * c(i, j);
  }
}

// C block (here_m × here_n) = alpha·tile + beta·C block.
template <class T>
void store_tile(const T* tile, std::ptrdiff_t mr, T alpha, T beta, MatrixView<T> c) {
  for (std::ptrdiff_t j = 0; j < c.cols; ++j) {
    const T* from = tile + j * mr;
    T* to = c.data + j * c.col_stride;
    if (c.row_stride == 1) {
      if (beta == T(0)) {
        for (std::ptrdiff_t i = 0; i < c.rows; ++i) to[i] = alpha * from[i];
      } else {
        for (std::ptrdiff_t i = 0; i < c.rows; ++i) to[i] = alpha * from[i] + beta * to[i];
      }
    } else {
      for (std::ptrdiff_t i = 0; i < c.rows; ++i) {
        T& entry = to[i * c.row_stride];
        entry = beta == T(0) ? alpha * from[i] : alpha * from[i] + beta * entry;
      }
    }
  }
}

// `a` is m × k, `bt` is B transposed (n × k) and `list` picks its rows.
template <class T>
void multiply(T alpha, MatrixView<const T> a, const std::ptrdiff_t* a_list, MatrixView<const T> bt,
              const std::ptrdiff_t* b_list, T beta, MatrixView<T> c, Part part) {
  const std::ptrdiff_t m = a.rows;
  const std::ptrdiff_t n = bt.rows;
  const std::ptrdiff_t k = a.cols;
  if (m == 0 || n == 0) return;
  if (k == 0 || alpha == T(0)) return scale(beta, c);
  const GemmLeaf<T> leaf = gemm_leaf<T>();
  const std::ptrdiff_t mr = leaf.mr;
  const std::ptrdiff_t nr = leaf.nr;
  const std::ptrdiff_t depth_step = gemm_depth<T>;

  // Chunks of columns, and of rows where there are few columns. The sums run over k alone, so the cut of m
  // and n changes no bit of the result.
  const std::ptrdiff_t chunk = std::min(round_up(n, nr), round_up(192, nr));
  const std::ptrdiff_t n_chunks = (n + chunk - 1) / chunk;
  const std::ptrdiff_t row_parts = n_chunks >= 4 ? 1 : 4;

  std::vector<T> a_panels(static_cast<std::size_t>(round_up(std::min(m, max_rows), mr) * depth_step));
  for (std::ptrdiff_t i0 = 0; i0 < m; i0 += max_rows) {
    const std::ptrdiff_t rows = std::min(max_rows, m - i0);
    const std::ptrdiff_t panels = (rows + mr - 1) / mr;
    for (std::ptrdiff_t p0 = 0; p0 < k; p0 += depth_step) {
      const std::ptrdiff_t depth = std::min(depth_step, k - p0);
      const T here_beta = p0 == 0 ? beta : T(1);
      parallel_ranges(panels, 8, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        const std::ptrdiff_t first = i0 + begin * mr;
        const std::ptrdiff_t count = std::min(end * mr, rows) - begin * mr;
        if (a_list) {
          MatrixView<const T> source = a.block(0, p0, count, depth);
          pack_panels(source, a_list + first, mr, a_panels.data() + begin * mr * depth);
        } else {
          pack_panels<T>(a.block(first, p0, count, depth), nullptr, mr, a_panels.data() + begin * mr * depth);
        }
      });
      parallel_for(n_chunks * row_parts, [&](std::ptrdiff_t task) {
        const std::ptrdiff_t j0 = task / row_parts * chunk;
        const std::ptrdiff_t cols = std::min(chunk, n - j0);
        const std::ptrdiff_t first_panel = panels * (task % row_parts) / row_parts;
        const std::ptrdiff_t last_panel = panels * (task % row_parts + 1) / row_parts;
        if (first_panel == last_panel) return;
        if (part == Part::upper && i0 + first_panel * mr > j0 + cols - 1) return;
        thread_local std::vector<T> b_panels;
        thread_local std::vector<T> tile;
        b_panels.resize(static_cast<std::size_t>(round_up(chunk, nr) * depth_step));
        tile.resize(static_cast<std::size_t>(mr * nr));
        if (b_list) {
          pack_panels(bt.block(0, p0, cols, depth), b_list + j0, nr, b_panels.data());
        } else {
          pack_panels<T>(bt.block(j0, p0, cols, depth), nullptr, nr, b_panels.data());
        }
        for (std::ptrdiff_t panel = first_panel; panel < last_panel; ++panel) {
          const std::ptrdiff_t i = i0 + panel * mr;
          for (std::ptrdiff_t j = 0; j < cols; j += nr) {
            const std::ptrdiff_t here_n = std::min(nr, cols - j);
            if (part == Part::upper && i > j0 + j + here_n - 1) continue;
            leaf.multiply(depth, a_panels.data() + panel * mr * depth, b_panels.data() + j * depth,
                          tile.data());
            store_tile(tile.data(), mr, alpha, here_beta, c.block(i, j0 + j, std::min(mr, m - i), here_n));
          }
        }
      });
    }
  }
}

void check_shapes(bool agree) {
  if (!agree) throw std::invalid_argument("shapes of a matrix product do not agree");
}

}  // namespace

template <class T>
void gemm(T alpha, MatrixView<const T> a, MatrixView<const T> b, T beta, MatrixView<T> c) {
  gemm_columns<T>(alpha, a, b, nullptr, b.cols, beta, c);
}

template <class T>
void gemm_columns(T alpha, MatrixView<const T> a, MatrixView<const T> b, const std::ptrdiff_t* columns,
                  std::ptrdiff_t n_columns, T beta, MatrixView<T> c) {
  check_shapes(a.rows == c.rows && n_columns == c.cols && a.cols == b.rows);
  MatrixView<const T> bt = b.transposed();
  bt.rows = n_columns;
  // Store along the unit stride of C.
  if (c.row_stride == 1 || c.col_stride != 1) {
    multiply<T>(alpha, a, nullptr, bt, columns, beta, c, Part::all);
  } else {
    multiply<T>(alpha, bt, columns, a, nullptr, beta, c.transposed(), Part::all);
  }
}

template <class T>
void gram(T alpha, MatrixView<const T> a, MatrixView<T> c, T beta) {
  check_shapes(c.rows == a.cols && c.cols == a.cols);
  multiply<T>(alpha, a.transposed(), nullptr, a.transposed(), nullptr, beta, c, Part::upper);
  parallel_ranges(c.cols, 64, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
    for (std::ptrdiff_t j = begin; j < end; ++j) {
      for (std::ptrdiff_t i = j + 1; i < c.rows; ++i) c(i, j) = c(j, i);
    }
  });
}

#define WAVELENS_INSTANTIATE(T)                                                                     \
  template void gemm<T>(T, MatrixView<const T>, MatrixView<const T>, T, MatrixView<T>);             \
  template void gemm_columns<T>(T, MatrixView<const T>, MatrixView<const T>, const std::ptrdiff_t*, \
                                std::ptrdiff_t, T, MatrixView<T>);                                  \
  template void gram<T>(T, MatrixView<const T>, MatrixView<T>, T);
WAVELENS_INSTANTIATE(float)
WAVELENS_INSTANTIATE(double)

}  // namespace wavelens
