#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/gemm.hpp"

namespace wavelens {

void register_gemm(py::module_& m) {
  m.def(
      "gemm",
      [](const py::array& a, const py::array& b) {
        PythonMonitor monitor;
        return for_dtype(a, "a", [&](auto zero) -> py::array {
          using T = decltype(zero);
          const auto left = matrix_view<T>(a, "a"), right = matrix_view<T>(b, "b");
          expect(
              right.rows == left.cols, "b",
              "must have as many rows as `a` has columns, got shapes " + shape_of(a) + " and " + shape_of(b));
          auto c = new_row_major<T>(left.rows, right.cols);
          const auto out = mutable_view(c);
          without_gil(monitor, [&] { gemm<T>(T(1), left, right, T(0), out); });
          return c;
        });
      },
      py::arg("a"), py::arg("b"));
}

}  // namespace wavelens
