// Wavelet transforms of (images, channels, rows, cols) with any strides, to and from (images, channels,
// coefficients). Results go into arrays of the caller's.
#include <pybind11/stl.h>

#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/wavelet.hpp"

namespace wavelens {
namespace {

using Filters = std::vector<std::vector<double>>;

Wavelet wavelet_of(const Filters& filters) {
  if (filters.size() != 4) throw py::value_error("`filters` must be four: dec_lo, dec_hi, rec_lo and rec_hi");
  return {filters[0], filters[1], filters[2], filters[3]};
}

template <class T, class Array, class Data>
Planes<T> planes_of(const Array& images, Data* data) {
  constexpr std::ptrdiff_t item = sizeof(T);
  if (images.ndim() != 4)
    throw py::value_error("images must have the dimensions images, channels, rows, cols");
  check_aligned(images);
  return {static_cast<T*>(data),
          images.shape(0),
          images.shape(1),
          images.shape(2),
          images.shape(3),
          element_stride(images, 0, item),
          element_stride(images, 1, item),
          element_stride(images, 2, item),
          element_stride(images, 3, item)};
}

template <class T, class Plane, class Data>
PlaneCoefficients<T> coefficients_of(const py::array& a, const Plane& planes, std::ptrdiff_t length,
                                     const WaveletOptions& options, Data* data) {
  constexpr std::ptrdiff_t item = sizeof(T);
  const std::ptrdiff_t n = wavelet_coefficients(planes.rows, planes.cols, length, options);
  if (!holds<std::remove_const_t<T>>(a) || a.ndim() != 3 || a.shape(0) != planes.images ||
      a.shape(1) != planes.channels || a.shape(2) != n || (n > 1 && a.strides(2) != item)) {
    throw py::value_error("coefficients must have shape (images, channels, " + std::to_string(n) +
                          "), the dtype of the images and a contiguous last dimension");
  }
  check_aligned(a);
  return {static_cast<T*>(data), element_stride(a, 0, item), element_stride(a, 1, item)};
}

void expect_some(const py::array& images) {
  if (images.ndim() != 4 || images.size() == 0)
    throw py::value_error("images must be of four dimensions and not empty");
}

bool forward(const py::array& images, const Filters& filters, int level, const std::string& mode,
             py::array out, const py::object& progress) {
  expect_some(images);
  const Wavelet wavelet = wavelet_of(filters);
  const WaveletOptions options{level, extension_named(mode)};
  const auto length = static_cast<std::ptrdiff_t>(wavelet.dec_lo.size());
  PythonMonitor monitor(progress);
  const auto run = [&](auto pixel, auto zero) {
    using Source = decltype(pixel);
    using T = decltype(zero);
    const auto planes = planes_of<const Source>(images, images.data());
    const auto to = coefficients_of<T>(out, planes, length, options, out.mutable_data());
    return without_gil([&] { return wavelet_forward<T, Source>(wavelet, options, planes, to, monitor); });
  };
  if (holds<unsigned char>(images)) return run(static_cast<unsigned char>(0), 0.0);
  return for_dtype(images, [&](auto zero) { return run(zero, zero); });
}

void inverse(const py::array& coefficients, const Filters& filters, int level, const std::string& mode,
             py::array out, const py::object& progress) {
  expect_some(out);
  const Wavelet wavelet = wavelet_of(filters);
  const WaveletOptions options{level, extension_named(mode)};
  PythonMonitor monitor(progress);
  for_dtype(out, [&](auto zero) {
    using T = decltype(zero);
    const auto planes = planes_of<T>(out, out.mutable_data());
    const auto length = static_cast<std::ptrdiff_t>(wavelet.dec_lo.size());
    const auto from = coefficients_of<const T>(coefficients, planes, length, options, coefficients.data());
    without_gil([&] { wavelet_inverse<T>(wavelet, options, from, planes, monitor); });
  });
}

void inverse_adjoint(const py::array& images, const Filters& filters, int level, const std::string& mode,
                     py::array out, const py::object& progress) {
  expect_some(images);
  const Wavelet wavelet = wavelet_of(filters);
  const WaveletOptions options{level, extension_named(mode)};
  PythonMonitor monitor(progress);
  for_dtype(images, [&](auto zero) {
    using T = decltype(zero);
    const auto planes = planes_of<const T>(images, images.data());
    const auto length = static_cast<std::ptrdiff_t>(wavelet.dec_lo.size());
    const auto to = coefficients_of<T>(out, planes, length, options, out.mutable_data());
    without_gil([&] { wavelet_inverse_adjoint<T>(wavelet, options, planes, to, monitor); });
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
