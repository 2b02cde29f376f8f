// A matrix that somebody else owns: pointer, shape and strides in elements (zero and negative ones are fine).
#pragma once

#include <cstddef>

namespace wavelens {

template <class T>
struct MatrixView {
  T* data = nullptr;
  std::ptrdiff_t rows = 0;
  std::ptrdiff_t cols = 0;
  std::ptrdiff_t row_stride = 0;
  std::ptrdiff_t col_stride = 0;

  T& operator()(std::ptrdiff_t i, std::ptrdiff_t j) const { return data[i * row_stride + j * col_stride]; }

  MatrixView transposed() const { return {data, cols, rows, col_stride, row_stride}; }

  MatrixView block(std::ptrdiff_t i, std::ptrdiff_t j, std::ptrdiff_t n_rows, std::ptrdiff_t n_cols) const {
    return {data + i * row_stride + j * col_stride, n_rows, n_cols, row_stride, col_stride};
  }

  operator MatrixView<const T>() const { return {data, rows, cols, row_stride, col_stride}; }
};

template <class T>
MatrixView<T> column_major(T* data, std::ptrdiff_t rows, std::ptrdiff_t cols) {
  return {data, rows, cols, 1, rows};
}

template <class T>
MatrixView<T> row_major(T* data, std::ptrdiff_t rows, std::ptrdiff_t cols) {
  return {data, rows, cols, cols, 1};
}

}  // namespace wavelens
