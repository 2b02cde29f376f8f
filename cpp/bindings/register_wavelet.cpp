// Wavelet transforms of (images, channels, rows, cols) with any strides, to and from (images, channels,
// coefficients). Results go into arrays of the caller's.
#include <pybind11/stl.h>

#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/wavelet.hpp"

namespace wavelens {
namespace {

using Filters = std::vector<std::vector<double>>;

constexpr std::size_t longest_filter = 4096;  // PyWavelets' longest has 102 taps
constexpr int deepest_level = 64;

Wavelet wavelet_of(const Filters& filters) {
  if (filters.size() != 4) refuse("filters", "must be four: dec_lo, dec_hi, rec_lo and rec_hi");
  const std::size_t length = filters[0].size();
  for (const std::vector<double>& each : filters) {
    expect(each.size() == length && length >= 2 && length % 2 == 0 && length <= longest_filter, "filters",
           "must have one even length of at most " + std::to_string(longest_filter));
  }
  return {filters[0], filters[1], filters[2], filters[3]};
}

void expect_images(const py::array& images, const char* name) {
  expect(images.ndim() == 4 && images.size() > 0, name,
         "must have shape (images, channels, rows, cols) and not be empty, got shape " + shape_of(images));
  for (int axis = 0; axis < 4; ++axis) expect_side(images.shape(axis), name);
  expect_side(images.shape(0) * images.shape(1), name);
}

WaveletOptions options_of(int level, const std::string& mode) {
  if (level < 1 || level > deepest_level) {
    refuse("level",
           "must be between 1 and " + std::to_string(deepest_level) + ", got " + std::to_string(level));
  }
  return {level, extension_named(mode)};
}

template <class T, class Array, class Data>
Planes<T> planes_of(const Array& images, Data* data, const char* name) {
  constexpr std::ptrdiff_t item = sizeof(T);
  check_aligned(images, name);
  return {static_cast<T*>(data),
          images.shape(0),
          images.shape(1),
          images.shape(2),
          images.shape(3),
          element_stride(images, 0, item, name),
          element_stride(images, 1, item, name),
          element_stride(images, 2, item, name),
          element_stride(images, 3, item, name)};
}

template <class T, class Plane, class Data>
PlaneCoefficients<T> coefficients_of(const py::array& a, const Plane& planes, std::ptrdiff_t length,
                                     const WaveletOptions& options, Data* data, const char* name) {
  constexpr std::ptrdiff_t item = sizeof(T);
  const std::ptrdiff_t n = wavelet_coefficients(planes.rows, planes.cols, length, options);
  check_dtype<std::remove_const_t<T>>(a, name);
  expect_shape(a, {planes.images, planes.channels, n}, name, "(images, channels, coefficients)");
  expect(n == 1 || a.strides(2) == item, name, "must be contiguous along the last axis");
  check_aligned(a, name);
  return {static_cast<T*>(data), element_stride(a, 0, item, name), element_stride(a, 1, item, name)};
}

// Coefficients that are written.
template <class T, class Plane>
PlaneCoefficients<T> coefficients_to(py::array& out, const Plane& planes, std::ptrdiff_t length,
                                     const WaveletOptions& options, const py::array& images) {
  T* const data = mutable_entries<T>(out, "out");
  const auto to = coefficients_of<T>(out, planes, length, options, data, "out");
  expect_distinct(out, "out");
  expect_apart(out, "out", {{images, "images"}});
  return to;
}

bool forward(const py::array& images, const Filters& filters, int level, const std::string& mode,
             py::array out, const py::object& progress) {
  expect_images(images, "images");
  const Wavelet wavelet = wavelet_of(filters);
  const WaveletOptions options = options_of(level, mode);
  const auto length = static_cast<std::ptrdiff_t>(wavelet.dec_lo.size());
  PythonMonitor monitor(progress);
  const auto run = [&](auto pixel, auto zero) {
    using Source = decltype(pixel);
    using T = decltype(zero);
    const auto planes = planes_of<const Source>(images, images.data(), "images");
    const auto to = coefficients_to<T>(out, planes, length, options, images);
    return without_gil(monitor,
                       [&] { return wavelet_forward<T, Source>(wavelet, options, planes, to, monitor); });
  };
  if (holds<unsigned char>(images)) return run(static_cast<unsigned char>(0), 0.0);
  return for_dtype(images, "images", [&](auto zero) { return run(zero, zero); });
}

void inverse(const py::array& coefficients, const Filters& filters, int level, const std::string& mode,
             py::array out, const py::object& progress) {
  expect_images(out, "out");
  const Wavelet wavelet = wavelet_of(filters);
  const WaveletOptions options = options_of(level, mode);
  PythonMonitor monitor(progress);
  for_dtype(out, "out", [&](auto zero) {
    using T = decltype(zero);
    const auto planes = planes_of<T>(out, mutable_entries<T>(out, "out"), "out");
    expect_distinct(out, "out");
    expect_apart(out, "out", {{coefficients, "coefficients"}});
    const auto length = static_cast<std::ptrdiff_t>(wavelet.dec_lo.size());
    const auto from =
        coefficients_of<const T>(coefficients, planes, length, options, coefficients.data(), "coefficients");
    without_gil(monitor, [&] { wavelet_inverse<T>(wavelet, options, from, planes, monitor); });
  });
}

void inverse_adjoint(const py::array& images, const Filters& filters, int level, const std::string& mode,
                     py::array out, const py::object& progress) {
  expect_images(images, "images");
  const Wavelet wavelet = wavelet_of(filters);
  const WaveletOptions options = options_of(level, mode);
  PythonMonitor monitor(progress);
  for_dtype(images, "images", [&](auto zero) {
    using T = decltype(zero);
    const auto planes = planes_of<const T>(images, images.data(), "images");
    const auto length = static_cast<std::ptrdiff_t>(wavelet.dec_lo.size());
    const auto to = coefficients_to<T>(out, planes, length, options, images);
    without_gil(monitor, [&] { wavelet_inverse_adjoint<T>(wavelet, options, planes, to, monitor); });
  });
}

}  // namespace

void register_wavelet(py::module_& m) {
  m.def("wavelet_forward", &forward, py::arg("images"), py::arg("filters"), py::arg("level"), py::arg("mode"),
        py::arg("out"), py::arg("progress") = py::none());
  m.def("wavelet_inverse", &inverse, py::arg("coefficients"), py::arg("filters"), py::arg("level"),
        py::arg("mode"), py::arg("out"), py::arg("progress") = py::none());
  m.def("wavelet_inverse_adjoint", &inverse_adjoint, py::arg("images"), py::arg("filters"), py::arg("level"),
        py::arg("mode"), py::arg("out"), py::arg("progress") = py::none());
}

}  // namespace wavelens
