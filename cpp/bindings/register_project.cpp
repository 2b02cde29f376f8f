#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/project.hpp"

namespace wavelens {
namespace {

// Where a part of the rows goes; nowhere for None.
template <class T>
MatrixView<T> part(const py::object& wanted, const char* name, const py::array& basis,
                   const py::array& rows) {
  if (wanted.is_none()) return {};
  if (!py::isinstance<py::array>(wanted))
    throw py::type_error("`" + std::string(name) + "` must be an array or None");
  auto array = py::reinterpret_borrow<py::array>(wanted);
  T* const data = mutable_entries<T>(array, name);
  expect_shape(array, {rows.shape(0), rows.shape(1)}, name, "of the rows");
  expect_distinct(array, name);
  expect_apart(array, name, {{basis, "basis"}, {rows, "rows"}});
  constexpr std::ptrdiff_t item = sizeof(T);
  return {data, array.shape(0), array.shape(1), element_stride(array, 0, item, name),
          element_stride(array, 1, item, name)};
}

}  // namespace

void register_project(py::module_& m) {
  m.def(
      "project",
      [](const py::array& basis, const py::array& rows, const py::object& inside, const py::object& outside,
         py::object progress) {
        return for_dtype(rows, "rows", [&](auto zero) -> py::tuple {
          using T = decltype(zero);
          const auto q = matrix_view<T>(basis, "basis");
          const auto x = matrix_view<T>(rows, "rows");
          expect(q.rows == x.cols, "basis",
                 "must have as many rows as `rows` has columns, got shapes " + shape_of(basis) + " and " +
                     shape_of(rows));
          auto inside_energy = new_vector<double>(x.rows), outside_energy = new_vector<double>(x.rows);
          const ProjectedRows<T> out{part<T>(inside, "inside", basis, rows),
                                     part<T>(outside, "outside", basis, rows), inside_energy.mutable_data(),
                                     outside_energy.mutable_data()};
          if (!inside.is_none() && !outside.is_none())
            expect_apart(py::reinterpret_borrow<py::array>(outside), "outside", {{inside, "inside"}});
          PythonMonitor monitor(std::move(progress));
          without_gil(monitor, [&] { project<T>(q, x, out, monitor); });
          return py::make_tuple(inside_energy, outside_energy);
        });
      },
      py::arg("basis"), py::arg("rows"), py::arg("inside"), py::arg("outside"),
      py::arg("progress") = py::none());
}

}  // namespace wavelens
