#include <pybind11/stl.h>

#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/ho_gsvd.hpp"

namespace wavelens {
namespace {

template <class T>
std::vector<MatrixView<const T>> views(const std::vector<py::array>& arrays) {
  std::vector<MatrixView<const T>> out;
  for (const py::array& each : arrays) out.push_back(matrix_view<T>(each));
  return out;
}

template <class T>
py::object solver_tuple(RowSolver<T>&& s, py::ssize_t r) {
  const py::ssize_t m = static_cast<py::ssize_t>(s.scale.size());
  const bool exact = s.project.empty();
  return py::make_tuple(taken(std::move(s.scale), {m}, false),
                        taken(std::move(s.pivots), {exact ? r : 0}, false),
                        taken(std::move(s.project), {exact ? 0 : m, exact ? 0 : r}, true),
                        taken(std::move(s.triangle), {r, r}, true), taken(std::move(s.z), {r, r}, true));
}

// sigma, v, tau, owner, resolved, solver
template <class T>
py::tuple parts_of(HoGsvd<T>&& result, py::ssize_t n, py::ssize_t m) {
  const py::ssize_t r = result.rank;
  py::array_t<bool> resolved(r);
  std::copy(result.resolved.begin(), result.resolved.end(), resolved.mutable_data());
  return py::make_tuple(taken(std::move(result.sigma), {n, r}, false),
                        taken(std::move(result.v), {m, r}, true), taken(std::move(result.tau), {r}, false),
                        taken(std::move(result.owner), {r}, false), resolved,
                        solver_tuple(std::move(result.solver), r));
}

template <class T>
py::tuple decompose(const std::vector<py::array>& arrays, const HoGsvdOptions& options,
                    const py::object& progress) {
  const auto matrices = views<T>(arrays);
  PythonMonitor monitor(progress);
  HoGsvd<T> result = without_gil([&] { return ho_gsvd(matrices, options, monitor); });
  py::tuple u(arrays.size());
  for (std::size_t i = 0; i < arrays.size(); ++i)
    u[i] = taken(std::move(result.u[i]), {matrices[i].rows, static_cast<py::ssize_t>(result.rank)}, true);
  return py::make_tuple(u) +
         parts_of(std::move(result), static_cast<py::ssize_t>(arrays.size()), matrices[0].cols);
}

// `load(i)` gives matrix i, of the dtype and with the columns of `factor`.
template <class T>
py::tuple decompose_streamed(std::size_t count, const py::object& load, const py::array& factor,
                             const HoGsvdOptions& options, const py::object& progress) {
  const MatrixView<const T> r = matrix_view<T>(factor);
  if (r.rows != r.cols) throw py::value_error("the factor must be square");
  PythonMonitor monitor(progress);
  const MatrixReader<T> read = [&](std::size_t i, const std::function<void(MatrixView<const T>)>& visit) {
    const py::gil_scoped_acquire acquire;
    const py::array d = py::cast<py::array>(load(i));
    const MatrixView<const T> view = matrix_view<T>(d);
    if (view.cols != r.cols || view.rows < 1)
      throw py::value_error("a matrix must have rows, and the columns of the factor");
    without_gil([&] { visit(view); });
  };
  HoGsvd<T> result = without_gil([&] { return ho_gsvd_streamed<T>(count, read, r, options, monitor); });
  return parts_of(std::move(result), static_cast<py::ssize_t>(count), r.cols);
}

// The data of a column-major array of this shape; the parts are the face's own, so a mismatch is a bug of a
// caller.
template <class T>
const T* part(const py::handle& handle, py::ssize_t size) {
  const py::array array = py::cast<py::array>(handle);
  if (!holds<T>(array) || array.size() != size || !(array.flags() & py::array::f_style)) {
    throw py::type_error("not a solver that ho_gsvd returned");
  }
  check_aligned(array);
  return static_cast<const T*>(array.data());
}

template <class T>
py::array_t<T> rows_of(const py::tuple& parts, const py::array& x) {
  if (parts.size() != 5) throw py::type_error("not a solver that ho_gsvd returned");
  const auto size = [&](std::size_t i) { return py::cast<py::array>(parts[i]).size(); };
  const py::ssize_t m = size(0);
  const py::ssize_t r = py::cast<py::array>(parts[4]).shape(0);
  const bool exact = size(2) == 0;
  const RowSolverView<T> solver{m,
                                r,
                                part<T>(parts[0], m),
                                exact ? part<std::ptrdiff_t>(parts[1], r) : nullptr,
                                exact ? nullptr : part<T>(parts[2], m * r),
                                part<T>(parts[3], r * r),
                                part<T>(parts[4], r * r)};
  const auto view = matrix_view<T>(x);
  py::array_t<T> out = new_row_major<T>(view.rows, r);
  const MatrixView<T> target = mutable_view(out);
  without_gil([&] { ho_gsvd_rows(solver, view, target); });
  return out;
}

}  // namespace

void register_ho_gsvd(py::module_& m) {
  m.def(
      "ho_gsvd",
      [](const std::vector<py::array>& matrices, double ridge, std::vector<double> weights, double rtol,
         bool unit, const py::object& progress) {
        if (matrices.empty()) throw py::value_error("at least two matrices are needed");
        const HoGsvdOptions options{ridge, std::move(weights), rtol, unit};
        return for_dtype(matrices[0],
                         [&](auto zero) { return decompose<decltype(zero)>(matrices, options, progress); });
      },
      py::arg("matrices"), py::arg("ridge"), py::arg("weights"), py::arg("rtol"), py::arg("unit"),
      py::arg("progress") = py::none());
  m.def(
      "ho_gsvd_streamed",
      [](std::size_t count, const py::object& load, const py::array& factor, double ridge,
         std::vector<double> weights, double rtol, bool unit, const py::object& progress) {
        const HoGsvdOptions options{ridge, std::move(weights), rtol, unit};
        return for_dtype(factor, [&](auto zero) {
          return decompose_streamed<decltype(zero)>(count, load, factor, options, progress);
        });
      },
      py::arg("count"), py::arg("load"), py::arg("factor"), py::arg("ridge"), py::arg("weights"),
      py::arg("rtol"), py::arg("unit"), py::arg("progress") = py::none());
  m.def(
      "ho_gsvd_rows",
      [](const py::tuple& solver, const py::array& x) -> py::array {
        return for_dtype(x, [&](auto zero) -> py::array { return rows_of<decltype(zero)>(solver, x); });
      },
      py::arg("solver"), py::arg("x"));
}

}  // namespace wavelens
