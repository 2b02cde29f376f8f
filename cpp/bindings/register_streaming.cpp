// The states of matrices whose rows come in chunks. Sums and factors are arrays of the caller's that are
// changed in place; chunks may be of uint8 as well.
#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/row_sketch.hpp"
#include "wavelens/triangular_factor.hpp"

namespace wavelens {
namespace {

// call(view) of a chunk of uint8, float32 or float64.
template <class Call>
void with_chunk(const py::array& chunk, Call call) {
  if (!holds<unsigned char>(chunk))
    return for_dtype(chunk, [&](auto zero) { call(matrix_view<decltype(zero)>(chunk)); });
  if (chunk.ndim() != 2) throw py::type_error("expected a matrix");
  call(MatrixView<const unsigned char>{static_cast<const unsigned char*>(chunk.data()), chunk.shape(0),
                                       chunk.shape(1), chunk.strides(0), chunk.strides(1)});
}

// The data of a writeable array of the caller's.
template <class T>
T* state_of(py::array& a, int flag, const char* message) {
  if (!holds<T>(a) || (a.flags() & flag) == 0) throw py::value_error(message);
  check_aligned(a);
  return static_cast<T*>(a.mutable_data());  // throws if it is read-only
}

constexpr const char* bad_sums = "sums must be C-contiguous, of shape (slabs, n_rows, slab)";

// Columns of a slab must be what the dtype has, and n_rows a multiple of eight.
template <class T>
void check_sums(const py::array& sums, py::ssize_t cols) {
  if (sums.ndim() != 3 || sums.shape(0) != row_sketch_slabs<T>(cols) || sums.shape(2) != row_sketch_slab<T> ||
      sums.shape(1) < row_sketch_entries || sums.shape(1) % row_sketch_entries != 0 ||
      sums.shape(1) > INT32_MAX)
    throw py::value_error(bad_sums);
}

void sketch_add(py::array sums, const py::array& chunk, std::uint64_t first, std::uint64_t seed) {
  for_dtype(sums, [&](auto zero) {
    using T = decltype(zero);
    T* const data = state_of<T>(sums, py::array::c_style, bad_sums);
    with_chunk(chunk, [&](auto rows) {
      check_sums<T>(sums, rows.cols);
      const py::ssize_t n_rows = sums.shape(1);
      without_gil([&] { row_sketch_add<T>(rows, first, seed, n_rows, 0, data); });
    });
  });
}

void sketch_squares(py::array_t<double, py::array::c_style> squares, const py::array& chunk, bool single) {
  double* const data = squares.mutable_data();
  const py::ssize_t size = squares.size();
  with_chunk(chunk, [&](auto rows) {
    if (size != rows.cols) throw py::value_error("squares must have an entry for each column");
    without_gil([&] {
      if (single) {
        row_sketch_squares<float>(rows, data);
      } else {
        row_sketch_squares<double>(rows, data);
      }
    });
  });
}

py::array sketch_matrix(py::array sums, py::ssize_t cols, double factor) {
  return for_dtype(sums, [&](auto zero) -> py::array {
    using T = decltype(zero);
    check_sums<T>(sums, cols);
    if ((sums.flags() & py::array::c_style) == 0) throw py::value_error(bad_sums);
    const T* const data = static_cast<const T*>(sums.data());
    py::array_t<T> out = new_row_major<T>(sums.shape(1), cols);
    const MatrixView<T> view = mutable_view(out);
    without_gil([&] { row_sketch_matrix(data, view.rows, static_cast<T>(factor), view); });
    return out;
  });
}

void factor_update(py::array r, const py::array& chunk, bool upper) {
  for_dtype(r, [&](auto zero) {
    using T = decltype(zero);
    constexpr const char* message = "r must be a square matrix in Fortran order, as wide as the rows";
    if (r.ndim() != 2 || r.shape(0) != r.shape(1)) throw py::value_error(message);
    T* const data = state_of<T>(r, py::array::f_style, message);
    const py::ssize_t m = r.shape(0);
    with_chunk(chunk, [&](auto rows) {
      if (rows.cols != m) throw py::value_error(message);
      without_gil([&] { triangular_factor_update<T>(column_major(data, m, m), rows, upper); });
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
