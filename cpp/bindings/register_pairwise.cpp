// Distances, similarities and their reductions. A metric of the caller's comes as the address of a C function
// and is called without the GIL.
#include <pybind11/stl.h>

#include <cstdint>
#include <optional>

#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/pairwise.hpp"

namespace wavelens {
namespace {

using OptionalArray = std::optional<py::array>;
using Doubles = Contiguous<double>;

template <class T>
std::optional<MatrixView<const T>> optional_view(const OptionalArray& a, const char* name) {
  if (!a) return std::nullopt;
  return matrix_view<T>(*a, name);
}

template <class T>
const MatrixView<const T>* address(const std::optional<MatrixView<const T>>& view) {
  return view ? &*view : nullptr;
}

template <class T>
Metric<T> metric_at(std::uintptr_t metric) {
  return reinterpret_cast<Metric<T>>(metric);  // NOLINT(performance-no-int-to-ptr)
}

// A vector of as many numbers as there are rows.
Doubles factors(const py::array& a, std::ptrdiff_t rows, const char* name) {
  expect_shape(a, {rows}, name, "(rows,)");
  return contiguous<double>(a, name);
}

// The rows of the second side; its width must be x's.
std::ptrdiff_t rows_of(const py::array& x, const OptionalArray& y) {
  if (x.ndim() != 2) refuse("x", "must be a matrix, got shape " + shape_of(x));
  if (x.shape(1) == 0) refuse("x", "must have columns, got shape " + shape_of(x));
  if (!y) return x.shape(0);
  if (y->ndim() != 2 || y->shape(1) != x.shape(1)) {
    refuse("y", "must be a matrix as wide as `x`, got shape " + shape_of(*y) + " beside " + shape_of(x));
  }
  return y->shape(0);
}

py::array distances(const py::array& x, const OptionalArray& y, bool squared, std::uintptr_t metric,
                    const py::object& progress) {
  const std::ptrdiff_t m = rows_of(x, y);
  return for_dtype(x, "x", [&](auto zero) -> py::array {
    using T = decltype(zero);
    const auto view = matrix_view<T>(x, "x");
    const auto other = optional_view<T>(y, "y");
    auto out = new_row_major<T>(view.rows, m);
    const auto out_view = mutable_view(out);
    PythonMonitor monitor(progress);
    without_gil(monitor, [&] {
      pairwise_distances<T>(view, address(other), squared ? Distance::squared : Distance::euclidean,
                            metric_at<T>(metric), out_view, monitor);
    });
    return out;
  });
}

py::array similarity(const py::array& x, const OptionalArray& y, const py::array& p, const py::array& q,
                     const py::object& progress) {
  const std::ptrdiff_t m = rows_of(x, y);
  const Doubles x_factors = factors(p, x.shape(0), "p"), y_factors = factors(q, m, "q");
  return for_dtype(x, "x", [&](auto zero) -> py::array {
    using T = decltype(zero);
    const auto view = matrix_view<T>(x, "x");
    const auto other = optional_view<T>(y, "y");
    auto out = new_row_major<T>(view.rows, m);
    const auto out_view = mutable_view(out);
    const double* p_data = x_factors.data();
    const double* q_data = y_factors.data();
    PythonMonitor monitor(progress);
    without_gil(monitor,
                [&] { gaussian_similarity<T>(view, address(other), p_data, q_data, out_view, monitor); });
    return out;
  });
}

// Classes, copied, so that no other thread changes them while they are sorted.
std::vector<std::int64_t> codes(const OptionalArray& classes, std::ptrdiff_t rows, const char* name) {
  if (!classes) refuse(name, "must be given where neighbours are looked for by class");
  expect_shape(*classes, {rows}, name, "(rows,)");
  const auto list = contiguous<std::int64_t>(*classes, name);
  return {list.data(), list.data() + list.size()};
}

Neighbours neighbours(const std::string& of) {
  if (of == "any") return Neighbours::any;
  if (of == "other") return Neighbours::other;
  if (of == "same") return Neighbours::same;
  refuse("of", "must be any, other or same, got " + of);
}

py::tuple nearest(const py::array& x, const OptionalArray& y, std::ptrdiff_t k, const std::string& of,
                  const OptionalArray& x_classes, const OptionalArray& y_classes, std::uintptr_t metric,
                  const py::object& progress) {
  const std::ptrdiff_t m = rows_of(x, y);
  const Neighbours whom = neighbours(of);
  if (k < 1 || k > largest_side)
    refuse("k", "must be between 1 and " + std::to_string(largest_side) + ", got " + std::to_string(k));
  std::vector<std::int64_t> x_list, y_list;
  if (whom != Neighbours::any) {
    x_list = codes(x_classes, x.shape(0), "x_classes");
    y_list = codes(y_classes, m, "y_classes");
    expect(y || x_list == y_list, "y_classes", "must equal `x_classes` where `y` is None");
  }
  return for_dtype(x, "x", [&](auto zero) -> py::tuple {
    using T = decltype(zero);
    const auto view = matrix_view<T>(x, "x");
    const auto other = optional_view<T>(y, "y");
    auto indices = new_row_major<std::int64_t>(view.rows, k);
    auto lengths = new_row_major<T>(view.rows, k);
    const auto indices_view = mutable_view(indices);
    const auto lengths_view = mutable_view(lengths);
    PythonMonitor monitor(progress);
    without_gil(monitor, [&] {
      k_nearest<T>(view, address(other), k, whom, x_list.data(), y_list.data(), metric_at<T>(metric),
                   indices_view, lengths_view, monitor);
    });
    return py::make_tuple(indices, lengths);
  });
}

py::array sums_by_class(const py::array& x, const OptionalArray& y, const py::array& classes,
                        std::ptrdiff_t n_classes, const py::array& p, const py::array& q, bool symmetric,
                        const py::object& progress) {
  const std::ptrdiff_t m = rows_of(x, y);
  expect_side(n_classes, "n_classes");
  expect_shape(classes, {m}, "classes", "(rows,)");
  const std::vector<std::ptrdiff_t> checked = checked_indices(classes, 0, n_classes, "classes");
  const std::vector<std::int64_t> class_list(checked.begin(), checked.end());
  const Doubles x_factors = factors(p, x.shape(0), "p"), y_factors = factors(q, m, "q");
  return for_dtype(x, "x", [&](auto zero) -> py::array {
    using T = decltype(zero);
    const auto view = matrix_view<T>(x, "x");
    const auto other = optional_view<T>(y, "y");
    auto sums = new_row_major<double>(view.rows, n_classes);
    const auto sums_view = mutable_view(sums);
    const double* p_data = x_factors.data();
    const double* q_data = y_factors.data();
    PythonMonitor monitor(progress);
    without_gil(monitor, [&] {
      class_sums<T>(view, address(other), class_list.data(), p_data, q_data, symmetric, sums_view, monitor);
    });
    return sums;
  });
}

}  // namespace

void register_pairwise(py::module_& m) {
  m.def("pairwise_distances", &distances, py::arg("x"), py::arg("y").none(true), py::arg("squared"),
        py::arg("metric"), py::arg("progress") = py::none());
  m.def("gaussian_similarity", &similarity, py::arg("x"), py::arg("y").none(true), py::arg("p"), py::arg("q"),
        py::arg("progress") = py::none());
  m.def("k_nearest", &nearest, py::arg("x"), py::arg("y").none(true), py::arg("k"), py::arg("of"),
        py::arg("x_classes").none(true), py::arg("y_classes").none(true), py::arg("metric"),
        py::arg("progress") = py::none());
  m.def("class_sums", &sums_by_class, py::arg("x"), py::arg("y").none(true), py::arg("classes"),
        py::arg("n_classes"), py::arg("p"), py::arg("q"), py::arg("symmetric"),
        py::arg("progress") = py::none());
}

}  // namespace wavelens
