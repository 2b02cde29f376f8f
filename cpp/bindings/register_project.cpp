#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/project.hpp"

namespace wavelens {
namespace {

template <class T>
MatrixView<T> part(const py::object& wanted) {
  if (wanted.is_none()) return {};
  auto array = py::reinterpret_borrow<py::array>(wanted);
  if (!holds<T>(array) || array.ndim() != 2)
    throw py::type_error("a part must be a matrix of the rows' dtype");
  check_aligned(array);
  constexpr std::ptrdiff_t item = sizeof(T);
  return {static_cast<T*>(array.mutable_data()), array.shape(0), array.shape(1),
          element_stride(array, 0, item), element_stride(array, 1, item)};
}

}  // namespace

void register_project(py::module_& m) {
  m.def(
      "project",
      [](const py::array& basis, const py::array& rows, const py::object& inside, const py::object& outside,
         py::object progress) {
        return for_dtype(rows, [&](auto zero) -> py::tuple {
          using T = decltype(zero);
          const auto q = matrix_view<T>(basis);
          const auto x = matrix_view<T>(rows);
          auto inside_energy = new_vector<double>(x.rows), outside_energy = new_vector<double>(x.rows);
          const ProjectedRows<T> out{part<T>(inside), part<T>(outside), inside_energy.mutable_data(),
                                     outside_energy.mutable_data()};
          PythonMonitor monitor(std::move(progress));
          without_gil([&] { project<T>(q, x, out, monitor); });
          return py::make_tuple(inside_energy, outside_energy);
        });
      },
      py::arg("basis"), py::arg("rows"), py::arg("inside"), py::arg("outside"),
      py::arg("progress") = py::none());
}

}  // namespace wavelens
