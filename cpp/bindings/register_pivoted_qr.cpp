#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/pivoted_qr.hpp"

namespace wavelens {
namespace {

PivotedQrMethod method_named(const std::string& name) {
  if (name == "blocked") return PivotedQrMethod::blocked;
  if (name == "exact") return PivotedQrMethod::exact;
  if (name == "strong") return PivotedQrMethod::strong;
  if (name == "sketch") return PivotedQrMethod::sketch;
  refuse("method", "must be blocked, exact, strong or sketch, got " + name);
}

template <class T>
py::array_t<T> as_vector(std::vector<T>&& from) {
  const auto n = static_cast<py::ssize_t>(from.size());
  return taken(std::move(from), {n});
}

}  // namespace

void register_pivoted_qr(py::module_& m) {
  m.def(
      "pivoted_qr",
      [](const py::array& a, std::ptrdiff_t k, const std::string& method, double rtol, bool with_q,
         bool with_r, std::uint64_t seed, py::object progress) {
        const PivotedQrOptions options{method_named(method), rtol, with_q, with_r, seed};
        return for_dtype(a, "a", [&](auto zero) -> py::tuple {
          using T = decltype(zero);
          const auto view = matrix_view<T>(a, "a");
          PythonMonitor monitor(std::move(progress));
          auto result = without_gil(monitor, [&] { return pivoted_qr(view, k, options, monitor); });
          const py::ssize_t n = view.rows, p = view.cols, rank = result.rank;
          py::object q = py::none(), r = py::none();
          if (with_q) q = taken(std::move(result.q), {n, rank}, true);
          if (with_r) r = taken(std::move(result.r), {rank, p});
          return py::make_tuple(as_vector(std::move(result.permutation)), as_vector(std::move(result.r_diag)),
                                std::move(q), std::move(r));
        });
      },
      py::arg("a"), py::arg("k"), py::arg("method"), py::arg("rtol"), py::arg("with_q"), py::arg("with_r"),
      py::arg("seed"), py::arg("progress") = py::none());
}

}  // namespace wavelens
