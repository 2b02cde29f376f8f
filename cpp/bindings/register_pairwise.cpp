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
using Doubles = py::array_t<double, py::array::c_style>;
using Codes = py::array_t<std::int64_t, py::array::c_style>;

template <class T>
std::optional<MatrixView<const T>> optional_view(const OptionalArray& a) {
  if (!a) return std::nullopt;
  return matrix_view<T>(*a);
}

template <class T>
const MatrixView<const T>* address(const std::optional<MatrixView<const T>>& view) {
  return view ? &*view : nullptr;
}

template <class T>
Metric<T> metric_at(std::uintptr_t metric) {
  return reinterpret_cast<Metric<T>>(metric);  // NOLINT(performance-no-int-to-ptr)
}

void expect_length(const py::array& a, std::ptrdiff_t length, const char* name) {
  if (a.ndim() != 1 || a.shape(0) != length) {
    throw py::value_error(std::string("`") + name + "` must be a vector of length " + std::to_string(length));
  }
}

void expect_codes(const Codes& codes, std::ptrdiff_t length, std::int64_t limit) {
  expect_length(codes, length, "classes");
  for (std::ptrdiff_t i = 0; i < length; ++i) {
    if (codes.at(i) < 0 || codes.at(i) >= limit) throw py::value_error("a class is out of range");
  }
}

// The rows of the second side; its width must be x's.
std::ptrdiff_t rows_of(const py::array& x, const OptionalArray& y) {
  if (x.ndim() != 2 || (y && (y->ndim() != 2 || y->shape(1) != x.shape(1)))) {
    throw py::value_error("`x` and `y` must be matrices of the same width");
  }
  return y ? y->shape(0) : x.shape(0);
}

py::array distances(const py::array& x, const OptionalArray& y, bool squared, std::uintptr_t metric,
                    const py::object& progress) {
  const std::ptrdiff_t m = rows_of(x, y);
  return for_dtype(x, [&](auto zero) -> py::array {
    using T = decltype(zero);
    const auto view = matrix_view<T>(x);
    const auto other = optional_view<T>(y);
    auto out = new_row_major<T>(view.rows, m);
    const auto out_view = mutable_view(out);
    PythonMonitor monitor(progress);
    without_gil([&] {
      pairwise_distances<T>(view, address(other), squared ? Distance::squared : Distance::euclidean,
                            metric_at<T>(metric), out_view, monitor);
    });
    return out;
  });
}

py::array similarity(const py::array& x, const OptionalArray& y, const Doubles& p, const Doubles& q,
                     const py::object& progress) {
  const std::ptrdiff_t m = rows_of(x, y);
  expect_length(p, x.shape(0), "p");
  expect_length(q, m, "q");
  return for_dtype(x, [&](auto zero) -> py::array {
    using T = decltype(zero);
    const auto view = matrix_view<T>(x);
    const auto other = optional_view<T>(y);
    auto out = new_row_major<T>(view.rows, m);
    const auto out_view = mutable_view(out);
    const double* p_data = p.data();
    const double* q_data = q.data();
    PythonMonitor monitor(progress);
    without_gil([&] { gaussian_similarity<T>(view, address(other), p_data, q_data, out_view, monitor); });
    return out;
  });
}

Neighbours neighbours(const std::string& of) {
  if (of == "any") return Neighbours::any;
  if (of == "other") return Neighbours::other;
  if (of == "same") return Neighbours::same;
  throw py::value_error("`of` must be any, other or same, got " + of);
}

py::tuple nearest(const py::array& x, const OptionalArray& y, std::ptrdiff_t k, const std::string& of,
                  const std::optional<Codes>& x_classes, const std::optional<Codes>& y_classes,
                  std::uintptr_t metric, const py::object& progress) {
  const std::ptrdiff_t m = rows_of(x, y);
  const Neighbours whom = neighbours(of);
  if (k < 1) throw py::value_error("`k` must be at least 1, got " + std::to_string(k));
  if (whom != Neighbours::any) {
    if (!x_classes || !y_classes) throw py::value_error("classes are needed for `of` = " + of);
    expect_length(*x_classes, x.shape(0), "x_classes");
    expect_length(*y_classes, m, "y_classes");
  }
  return for_dtype(x, [&](auto zero) -> py::tuple {
    using T = decltype(zero);
    const auto view = matrix_view<T>(x);
    const auto other = optional_view<T>(y);
    auto indices = new_row_major<std::int64_t>(view.rows, k);
    auto lengths = new_row_major<T>(view.rows, k);
    const auto indices_view = mutable_view(indices);
    const auto lengths_view = mutable_view(lengths);
    const std::int64_t* x_codes = x_classes ? x_classes->data() : nullptr;
    const std::int64_t* y_codes = y_classes ? y_classes->data() : nullptr;
    PythonMonitor monitor(progress);
    without_gil([&] {
      k_nearest<T>(view, address(other), k, whom, x_codes, y_codes, metric_at<T>(metric), indices_view,
                   lengths_view, monitor);
    });
    return py::make_tuple(indices, lengths);
  });
}

py::array sums_by_class(const py::array& x, const OptionalArray& y, const Codes& classes,
                        std::int64_t n_classes, const Doubles& p, const Doubles& q, bool symmetric,
                        const py::object& progress) {
  const std::ptrdiff_t m = rows_of(x, y);
  expect_codes(classes, m, n_classes);
  expect_length(p, x.shape(0), "p");
  expect_length(q, m, "q");
  return for_dtype(x, [&](auto zero) -> py::array {
    using T = decltype(zero);
    const auto view = matrix_view<T>(x);
    const auto other = optional_view<T>(y);
    auto sums = new_row_major<double>(view.rows, n_classes);
    const auto sums_view = mutable_view(sums);
    const std::int64_t* codes = classes.data();
    const double* p_data = p.data();
    const double* q_data = q.data();
    PythonMonitor monitor(progress);
    without_gil(
        [&] { class_sums<T>(view, address(other), codes, p_data, q_data, symmetric, sums_view, monitor); });
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
