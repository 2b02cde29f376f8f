// The states of matrices whose rows come in chunks. Sums and factors are arrays of the caller's that are
// changed in place; chunks may be of uint8 as well.
#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/buffer.hpp"
#include "wavelens/row_sketch.hpp"
#include "wavelens/triangular_factor.hpp"

namespace wavelens {
namespace {

// call(view) of a chunk of uint8, float32 or float64.
template <class Call>
void with_chunk(const py::array& chunk, Call call) {
  if (!holds<unsigned char>(chunk))
    return for_dtype(chunk, "chunk", [&](auto zero) { call(matrix_view<decltype(zero)>(chunk, "chunk")); });
  call(matrix_view<unsigned char>(chunk, "chunk"));
}

// Columns of a slab must be what the dtype has, and n_rows a multiple of eight.
template <class T>
void check_sums(const py::array& sums, py::ssize_t cols) {
  const bool fits = sums.ndim() == 3 && sums.shape(0) == row_sketch_slabs<T>(cols) &&
                    sums.shape(2) == row_sketch_slab<T> && sums.shape(1) >= row_sketch_entries &&
                    sums.shape(1) % row_sketch_entries == 0 && sums.shape(1) <= INT32_MAX;
  expect(fits && (sums.flags() & py::array::c_style) != 0, "sums",
         "must be C-contiguous, of shape (slabs of " + std::to_string(cols) +
             " columns, n_rows, slab) with a multiple of " + std::to_string(row_sketch_entries) +
             " rows, got shape " + shape_of(sums));
  check_aligned(sums, "sums");
}

void sketch_add(py::array sums, const py::array& chunk, std::uint64_t first, std::uint64_t seed) {
  for_dtype(sums, "sums", [&](auto zero) {
    using T = decltype(zero);
    T* const data = mutable_entries<T>(sums, "sums");
    expect_apart(sums, "sums", {{chunk, "chunk"}});
    with_chunk(chunk, [&](auto rows) {
      check_sums<T>(sums, rows.cols);
      const py::ssize_t n_rows = sums.shape(1);
      without_gil([&] { row_sketch_add<T>(rows, first, seed, n_rows, 0, data); });
    });
  });
}

void sketch_squares(py::array squares, const py::array& chunk, bool single) {
  double* const data = mutable_entries<double>(squares, "squares");
  expect((squares.flags() & py::array::c_style) != 0, "squares", "must be C-contiguous");
  expect_apart(squares, "squares", {{chunk, "chunk"}});
  PythonMonitor monitor;
  with_chunk(chunk, [&](auto rows) {
    expect_shape(squares, {rows.cols}, "squares", "(columns,)");
    without_gil(monitor, [&] {
      if (single) {
        row_sketch_squares<float>(rows, data);
      } else {
        row_sketch_squares<double>(rows, data);
      }
    });
  });
}

py::array sketch_matrix(py::array sums, py::ssize_t cols, double factor) {
  expect_side(cols, "cols");
  return for_dtype(sums, "sums", [&](auto zero) -> py::array {
    using T = decltype(zero);
    check_sums<T>(sums, cols);
    const T* const data = static_cast<const T*>(sums.data());
    py::array_t<T> out = new_row_major<T>(sums.shape(1), cols);
    const MatrixView<T> view = mutable_view(out);
    without_gil([&] { row_sketch_matrix(data, view.rows, static_cast<T>(factor), view); });
    return out;
  });
}

// The factor is updated in a copy: after an error or an interruption it is what it was.
void factor_update(py::array r, const py::array& chunk, bool upper) {
  PythonMonitor monitor;
  for_dtype(r, "r", [&](auto zero) {
    using T = decltype(zero);
    expect(r.ndim() == 2 && r.shape(0) == r.shape(1) && (r.flags() & py::array::f_style) != 0, "r",
           "must be a square matrix in Fortran order, got shape " + shape_of(r));
    T* const data = mutable_entries<T>(r, "r");
    const py::ssize_t m = r.shape(0);
    with_chunk(chunk, [&](auto rows) {
      expect(rows.cols == m, "chunk",
             "must have the " + std::to_string(m) + " columns of `r`, got shape " + shape_of(chunk));
      without_gil(monitor, [&] {
        Buffer<T> updated(data, data + m * m);
        triangular_factor_update<T>(column_major(updated.data(), m, m), rows, upper);
        std::copy(updated.begin(), updated.end(), data);
      });
    });
  });
}

}  // namespace

void register_streaming(py::module_& m) {
  m.def("row_sketch_add", &sketch_add, py::arg("sums"), py::arg("chunk"), py::arg("first"), py::arg("seed"));
  m.def("row_sketch_squares", &sketch_squares, py::arg("squares"), py::arg("chunk"), py::arg("single"));
  m.def("row_sketch_matrix", &sketch_matrix, py::arg("sums"), py::arg("cols"), py::arg("factor"));
  m.def("triangular_factor_update", &factor_update, py::arg("r"), py::arg("chunk"), py::arg("upper"));
}

}  // namespace wavelens
