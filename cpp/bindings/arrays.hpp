// NumPy arrays as views, and calls into the engine without the GIL.
//
// The Python face has checked dtype and dimension before it calls; these helpers check again that nobody who
// calls the module directly can reach memory that is not his.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "wavelens/matrix_view.hpp"
#include "wavelens/monitor.hpp"

namespace wavelens {

namespace py = pybind11;

inline std::ptrdiff_t element_stride(const py::array& a, int axis, std::ptrdiff_t item) {
  const std::ptrdiff_t bytes = a.strides(axis);
  if (bytes % item != 0) throw py::value_error("strides must be whole multiples of the item size");
  return bytes / item;
}

template <class T>
bool holds(const py::array& a) {
  return py::isinstance<py::array_t<T>>(a);
}

// NumPy sets the flag where the first entry or a stride is no multiple of what the type asks for.
inline void check_aligned(const py::array& a) {
  if ((a.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) == 0)
    throw py::value_error("the array must be aligned");
}

template <class T>
MatrixView<const T> matrix_view(const py::array& a) {
  constexpr std::ptrdiff_t item = sizeof(T);
  if (!holds<T>(a) || a.ndim() != 2) throw py::type_error("expected a matrix of float32 or float64");
  check_aligned(a);
  return {static_cast<const T*>(a.data()), a.shape(0), a.shape(1), element_stride(a, 0, item),
          element_stride(a, 1, item)};
}

template <class T>
MatrixView<T> mutable_view(py::array_t<T>& a) {
  constexpr std::ptrdiff_t item = sizeof(T);
  return {a.mutable_data(), a.shape(0), a.shape(1), element_stride(a, 0, item), element_stride(a, 1, item)};
}

template <class T>
py::array_t<T> new_vector(std::ptrdiff_t n) {
  return py::array_t<T>(n);
}

template <class T>
py::array_t<T> new_row_major(std::ptrdiff_t rows, std::ptrdiff_t cols) {
  return py::array_t<T>({rows, cols});
}

template <class T>
py::array_t<T> new_column_major(std::ptrdiff_t rows, std::ptrdiff_t cols) {
  constexpr std::ptrdiff_t item = sizeof(T);
  return py::array_t<T>({rows, cols}, {item, item * rows});
}

// The vector becomes the array's memory; no copy.
template <class Vector, class T = typename Vector::value_type>
py::array_t<T> taken(Vector&& entries, std::vector<py::ssize_t> shape, bool by_column = false) {
  auto owner = std::make_unique<Vector>(std::move(entries));
  T* data = owner->data();
  const py::capsule free(owner.get(), [](void* p) { delete static_cast<Vector*>(p); });
  owner.release();  // the capsule is there and deletes it
  constexpr py::ssize_t item = sizeof(T);
  if (!by_column) return py::array_t<T>(std::move(shape), data, free);
  const std::vector<py::ssize_t> strides{item, item * shape[0]};
  return py::array_t<T>(std::move(shape), strides, data, free);
}

// float32 or float64, by the array: call([](auto zero) { using T = decltype(zero); … }).
template <class Call>
auto for_dtype(const py::array& a, Call call) {
  if (holds<float>(a)) return call(float{});
  if (holds<double>(a)) return call(double{});
  throw py::type_error("expected an array of float32 or float64");
}

// Polls for Ctrl-C and reports progress, some twenty times a second. Made with the GIL held, ticked without
// it.
class PythonMonitor : public Monitor {
public:
  explicit PythonMonitor(py::object progress) : progress_(std::move(progress)) {}

  void tick(double done) override {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::milliseconds(50);
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!progress_.is_none()) progress_(done);
  }

private:
  py::object progress_;
  std::chrono::steady_clock::time_point next_{};
};

// Runs call() with the GIL released.
template <class Call>
auto without_gil(Call call) {
  const py::gil_scoped_release release;
  return call();
}

}  // namespace wavelens
