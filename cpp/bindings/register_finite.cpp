#include <pybind11/stl.h>

#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/finite.hpp"

namespace wavelens {

void register_finite(py::module_& m) {
  m.def(
      "first_nonfinite",
      [](const py::array& a) {
        PythonMonitor monitor;
        return for_dtype(a, "a", [&](auto zero) {
          const auto view = matrix_view<decltype(zero)>(a, "a");
          return without_gil(monitor, [&] { return first_nonfinite(view); });
        });
      },
      py::arg("a"));
}

}  // namespace wavelens
