// NumPy arrays as views, and calls into the engine without the GIL.
//
// The functions of the package check their arguments too; what is here makes sure by itself that no argument,
// whoever calls the module, can have the engine read or write memory that is not the argument's. Every error
// names the argument.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "wavelens/matrix_view.hpp"
#include "wavelens/monitor.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {

namespace py = pybind11;

// Kernels multiply the sizes of sides by one another and by the size of an entry. Up to this size the
// products of two sides stay in range; an array that claims more can only be broadcast.
constexpr std::ptrdiff_t largest_side = INT32_MAX;

[[noreturn]] inline void refuse(const char* name, const std::string& what) {
  throw py::value_error("`" + std::string(name) + "` " + what);
}

inline void expect(bool fits, const char* name, const std::string& what) {
  if (!fits) refuse(name, what);
}

inline std::string shape_of(const py::array& a) {
  std::string text = "(";
  for (py::ssize_t axis = 0; axis < a.ndim(); ++axis)
    text += (axis > 0 ? ", " : "") + std::to_string(a.shape(axis));
  return text + (a.ndim() == 1 ? ",)" : ")");
}

inline void expect_side(std::ptrdiff_t size, const char* name) {
  if (size < 0 || size > largest_side)
    refuse(name, "must be between 0 and " + std::to_string(largest_side) + ", got " + std::to_string(size));
}

// `shape` in words: "(images, k)".
inline void expect_shape(const py::array& a, const std::vector<std::ptrdiff_t>& sizes, const char* name,
                         const char* shape) {
  bool fits = a.ndim() == static_cast<py::ssize_t>(sizes.size());
  for (std::size_t axis = 0; fits && axis < sizes.size(); ++axis)
    fits = a.shape(static_cast<py::ssize_t>(axis)) == sizes[axis];
  if (fits) return;
  std::string expected;
  for (const std::ptrdiff_t size : sizes) expected += (expected.empty() ? "" : ", ") + std::to_string(size);
  refuse(name, "must have shape " + std::string(shape) + " = (" + expected + "), got shape " + shape_of(a));
}

inline std::ptrdiff_t element_stride(const py::array& a, int axis, std::ptrdiff_t item, const char* name) {
  const std::ptrdiff_t bytes = a.strides(axis);
  if (bytes % item != 0) refuse(name, "must have strides that are multiples of the item size");
  return bytes / item;
}

template <class T>
bool holds(const py::handle& a) {
  return py::isinstance<py::array_t<T>>(a);
}

// NumPy sets the flag where the first entry or a stride is no multiple of what the type asks for.
inline void check_aligned(const py::array& a, const char* name) {
  if ((a.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) == 0) refuse(name, "must be aligned");
}

template <class T>
void check_dtype(const py::array& a, const char* name) {
  if (holds<T>(a)) return;
  throw py::type_error("`" + std::string(name) + "` must hold " + std::string(py::str(py::dtype::of<T>())) +
                       ", got " + std::string(py::str(a.dtype())));
}

template <class T>
MatrixView<const T> matrix_view(const py::array& a, const char* name) {
  constexpr std::ptrdiff_t item = sizeof(T);
  check_dtype<T>(a, name);
  if (a.ndim() != 2) refuse(name, "must be a matrix, got shape " + shape_of(a));
  if (a.shape(0) > largest_side || a.shape(1) > largest_side)
    refuse(name, "must have at most " + std::to_string(largest_side) + " rows and columns, got shape " +
                     shape_of(a));
  check_aligned(a, name);
  return {static_cast<const T*>(a.data()), a.shape(0), a.shape(1), element_stride(a, 0, item, name),
          element_stride(a, 1, item, name)};
}

template <class T>
MatrixView<T> mutable_view(py::array_t<T>& a) {
  constexpr std::ptrdiff_t item = sizeof(T);
  return {a.mutable_data(), a.shape(0), a.shape(1), a.strides(0) / item, a.strides(1) / item};
}

// The entries of an array that an engine's caller wants changed.
template <class T>
T* mutable_entries(py::array& a, const char* name) {
  check_dtype<T>(a, name);
  check_aligned(a, name);
  if (!a.writeable()) refuse(name, "must be writeable");
  return static_cast<T*>(a.mutable_data());
}

// Entries that must each be written once: no two indices may name the same memory. Sufficient, and true of
// every view that NumPy makes but for broadcast ones.
inline void expect_distinct(const py::array& a, const char* name) {
  std::vector<std::pair<std::ptrdiff_t, std::ptrdiff_t>> axes;  // stride and size
  for (py::ssize_t axis = 0; axis < a.ndim(); ++axis) {
    if (a.shape(axis) == 0) return;
    if (a.shape(axis) > 1) axes.emplace_back(std::abs(a.strides(axis)), a.shape(axis));
  }
  std::sort(axes.begin(), axes.end());
  std::ptrdiff_t extent = a.itemsize();
  for (const auto& [stride, size] : axes) {
    if (stride < extent) refuse(name, "must not overlap itself");
    extent += stride * (size - 1);
  }
}

// First and last byte of an array that is not empty, as addresses.
inline std::pair<std::uintptr_t, std::uintptr_t> bounds_of(const py::array& a) {
  auto low = reinterpret_cast<std::uintptr_t>(a.data()), high = low;
  for (py::ssize_t axis = 0; axis < a.ndim(); ++axis) {
    const std::ptrdiff_t reach = a.strides(axis) * (a.shape(axis) - 1);
    (reach < 0 ? low : high) += static_cast<std::uintptr_t>(reach);
  }
  return {low, high + static_cast<std::uintptr_t>(a.itemsize()) - 1};
}

// Whether the arrays have memory in common; true as well where finding out would take long.
inline bool overlap(const py::array& a, const py::array& b) {
  if (a.size() == 0 || b.size() == 0) return false;
  const auto [a_low, a_high] = bounds_of(a);
  const auto [b_low, b_high] = bounds_of(b);
  if (a_high < b_low || b_high < a_low) return false;
  constexpr int max_work = 100000;
  try {
    return py::cast<bool>(py::module_::import("numpy").attr("shares_memory")(a, b, max_work));
  } catch (const py::error_already_set&) {  // TooHardError
    return true;
  }
}

struct NamedArray {
  const py::object& array;  // an array, or None
  const char* name;
};

// The engine reads the inputs while it writes the output.
inline void expect_apart(const py::array& out, const char* name, std::initializer_list<NamedArray> inputs) {
  for (const NamedArray& each : inputs) {
    if (!each.array.is_none() && overlap(out, py::reinterpret_borrow<py::array>(each.array)))
      refuse(name, "must not share memory with `" + std::string(each.name) + "`");
  }
}

template <class T>
using Contiguous = py::array_t<T, py::array::c_style>;

// The array itself if it is contiguous and of type T, else a copy, if T holds its type's values.
template <class T>
Contiguous<T> contiguous(const py::array& a, const char* name) {
  auto out = Contiguous<T>::ensure(a);
  if (!out) check_dtype<T>(a, name);
  if (!out) refuse(name, "could not be copied");
  check_aligned(out, name);
  return out;
}

// A copy, so that no other thread changes an index after it was checked: every one in [low, high).
inline std::vector<std::ptrdiff_t> checked_indices(const py::array& a, std::ptrdiff_t low,
                                                   std::ptrdiff_t high, const char* name) {
  const Contiguous<std::ptrdiff_t> indices = contiguous<std::ptrdiff_t>(a, name);
  std::vector<std::ptrdiff_t> copy(indices.data(), indices.data() + indices.size());
  for (std::size_t at = 0; at < copy.size(); ++at) {
    if (copy[at] < low || copy[at] >= high) {
      refuse(name, "must be between " + std::to_string(low) + " and " + std::to_string(high - 1) + ", got " +
                       std::to_string(copy[at]) + " at position " + std::to_string(at));
    }
  }
  return copy;
}

template <class T>
py::array_t<T> new_vector(std::ptrdiff_t n) {
  return py::array_t<T>(n);
}

template <class T>
py::array_t<T> new_row_major(std::ptrdiff_t rows, std::ptrdiff_t cols) {
  return py::array_t<T>({rows, cols});
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
auto for_dtype(const py::array& a, const char* name, Call call) {
  if (holds<float>(a)) return call(float{});
  if (holds<double>(a)) return call(double{});
  throw py::type_error("`" + std::string(name) + "` must hold float32 or float64, got " +
                       std::string(py::str(a.dtype())));
}

// Polls for Ctrl-C and reports progress, some twenty times a second. Made with the GIL held, ticked without
// it.
class PythonMonitor : public Monitor {
public:
  explicit PythonMonitor(py::object progress = py::none()) : progress_(std::move(progress)) {
    if (!progress_.is_none() && PyCallable_Check(progress_.ptr()) == 0)
      throw py::type_error("`progress` must be a function of one number or None");
  }

  void tick(double done) override {
    if (done_ < 0) next_ = {};  // the first report comes at once
    done_ = done;
    poll();
  }

  void poll() override {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::milliseconds(50);
    const py::gil_scoped_acquire acquire;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!progress_.is_none() && done_ >= 0) progress_(done_);
  }

private:
  py::object progress_;
  double done_ = -1;  // until the first tick
  std::chrono::steady_clock::time_point next_{};
};

// Runs call() with the GIL released; the monitor is polled by whatever runs in parallel.
template <class Call>
auto without_gil(Monitor& monitor, Call call) {
  const py::gil_scoped_release release;
  const MonitorScope scope(monitor);
  return call();
}

// Runs call() with the GIL released and to its end: an interruption would leave half a change.
template <class Call>
auto without_gil(Call call) {
  const py::gil_scoped_release release;
  return call();
}

}  // namespace wavelens
