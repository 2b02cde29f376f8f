#include <pybind11/stl.h>

#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/ho_gsvd.hpp"

namespace wavelens {
namespace {

template <class T>
std::vector<MatrixView<const T>> views(const std::vector<py::array>& arrays) {
  std::vector<MatrixView<const T>> out;
  for (const py::array& each : arrays) out.push_back(matrix_view<T>(each, "matrices"));
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
  HoGsvd<T> result = without_gil(monitor, [&] { return ho_gsvd(matrices, options, monitor); });
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
  const MatrixView<const T> r = matrix_view<T>(factor, "factor");
  expect(r.rows == r.cols && r.rows > 0, "factor",
         "must be square and not empty, got shape " + shape_of(factor));
  PythonMonitor monitor(progress);
  const MatrixReader<T> read = [&](std::size_t i, const std::function<void(MatrixView<const T>)>& visit) {
    const py::gil_scoped_acquire acquire;
    const py::object loaded = load(i);
    if (!py::isinstance<py::array>(loaded)) throw py::type_error("`load` must return arrays");
    const auto d = py::reinterpret_borrow<py::array>(loaded);
    const MatrixView<const T> view = matrix_view<T>(d, "load");
    expect(view.cols == r.cols && view.rows >= 1, "load",
           "must return matrices with rows and the " + std::to_string(r.cols) +
               " columns of `factor`, got shape " + shape_of(d));
    without_gil(monitor, [&] { visit(view); });
  };
  HoGsvd<T> result =
      without_gil(monitor, [&] { return ho_gsvd_streamed<T>(count, read, r, options, monitor); });
  return parts_of(std::move(result), static_cast<py::ssize_t>(count), r.cols);
}

// The parts of a solver: scale, pivots, project, triangle and z. They may come from a file.
py::array solver_part(const py::tuple& parts, std::size_t i) {
  if (!py::isinstance<py::array>(parts[i]))
    throw py::type_error("`solver` must be five arrays, part " + std::to_string(i) + " is none");
  return py::reinterpret_borrow<py::array>(parts[i]);
}

// The entries of a part of this shape, by column.
template <class T>
const T* entries(const py::array& part, const std::vector<std::ptrdiff_t>& sizes, const char* shape) {
  check_dtype<T>(part, "solver");
  expect_shape(part, sizes, "solver", shape);
  expect((part.flags() & py::array::f_style) != 0, "solver", "must have parts in Fortran order");
  check_aligned(part, "solver");
  return static_cast<const T*>(part.data());
}

template <class T>
py::array_t<T> rows_of(const py::tuple& parts, const py::array& x) {
  if (parts.size() != 5) throw py::type_error("`solver` must be a tuple of five arrays");
  const py::array scale = solver_part(parts, 0), pivots = solver_part(parts, 1),
                  project = solver_part(parts, 2), triangle = solver_part(parts, 3),
                  z = solver_part(parts, 4);
  const auto view = matrix_view<T>(x, "x");
  expect(scale.ndim() == 1 && z.ndim() == 2, "solver", "must have a vector of scales and a matrix z");
  const std::ptrdiff_t m = scale.shape(0), r = z.shape(1);
  expect(view.cols == m, "x",
         "must have the " + std::to_string(m) + " columns of the solver, got shape " + shape_of(x));
  expect(r >= 1 && r <= m, "solver", "must have a rank between 1 and " + std::to_string(m));
  const bool exact = project.size() == 0;
  std::vector<std::ptrdiff_t> columns;
  if (exact) {
    expect_shape(pivots, {r}, "solver[1]", "pivots (rank,)");
    columns = checked_indices(pivots, 0, m, "solver[1]");
  }
  const RowSolverView<T> solver{m,
                                r,
                                entries<T>(scale, {m}, "scale (columns,)"),
                                exact ? columns.data() : nullptr,
                                exact ? nullptr : entries<T>(project, {m, r}, "project (columns, rank)"),
                                entries<T>(triangle, {r, r}, "triangle (rank, rank)"),
                                entries<T>(z, {r, r}, "z (rank, rank)")};
  py::array_t<T> out = new_row_major<T>(view.rows, r);
  const MatrixView<T> target = mutable_view(out);
  PythonMonitor monitor;
  without_gil(monitor, [&] { ho_gsvd_rows(solver, view, target); });
  return out;
}

}  // namespace

void register_ho_gsvd(py::module_& m) {
  m.def(
      "ho_gsvd",
      [](const std::vector<py::array>& matrices, double ridge, std::vector<double> weights, double rtol,
         bool unit, const py::object& progress) {
        expect(matrices.size() >= 2, "matrices",
               "must be at least two, got " + std::to_string(matrices.size()));
        const HoGsvdOptions options{ridge, std::move(weights), rtol, unit};
        return for_dtype(matrices[0], "matrices",
                         [&](auto zero) { return decompose<decltype(zero)>(matrices, options, progress); });
      },
      py::arg("matrices"), py::arg("ridge"), py::arg("weights"), py::arg("rtol"), py::arg("unit"),
      py::arg("progress") = py::none());
  m.def(
      "ho_gsvd_streamed",
      [](std::ptrdiff_t count, const py::object& load, const py::array& factor, double ridge,
         std::vector<double> weights, double rtol, bool unit, const py::object& progress) {
        expect(count >= 3 && count <= largest_side, "count",
               "must be between 3 and " + std::to_string(largest_side) + ", got " + std::to_string(count));
        const HoGsvdOptions options{ridge, std::move(weights), rtol, unit};
        return for_dtype(factor, "factor", [&](auto zero) {
          return decompose_streamed<decltype(zero)>(static_cast<std::size_t>(count), load, factor, options,
                                                    progress);
        });
      },
      py::arg("count"), py::arg("load"), py::arg("factor"), py::arg("ridge"), py::arg("weights"),
      py::arg("rtol"), py::arg("unit"), py::arg("progress") = py::none());
  m.def(
      "ho_gsvd_rows",
      [](const py::tuple& solver, const py::array& x) -> py::array {
        return for_dtype(x, "x", [&](auto zero) -> py::array { return rows_of<decltype(zero)>(solver, x); });
      },
      py::arg("solver"), py::arg("x"));
}

}  // namespace wavelens
