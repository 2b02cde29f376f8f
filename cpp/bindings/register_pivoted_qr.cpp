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
  throw py::value_error("unknown method " + name);
}

// Hands a vector's memory to NumPy.
template <class T>
py::array_t<T> as_array(std::vector<T>&& from, std::vector<py::ssize_t> shape,
                        std::vector<py::ssize_t> strides) {
  auto* owned = new std::vector<T>(std::move(from));
  const py::capsule owner(owned, [](void* memory) { delete static_cast<std::vector<T>*>(memory); });
  return py::array_t<T>(std::move(shape), std::move(strides), owned->data(), owner);
}

template <class T>
py::array_t<T> as_vector(std::vector<T>&& from) {
  const auto n = static_cast<py::ssize_t>(from.size());
  return as_array(std::move(from), {n}, {static_cast<py::ssize_t>(sizeof(T))});
}

}  // namespace

void register_pivoted_qr(py::module_& m) {
  m.def(
      "pivoted_qr",
      [](const py::array& a, std::ptrdiff_t k, const std::string& method, double rtol, bool with_q,
         bool with_r, std::uint64_t seed, py::object progress) {
        const PivotedQrOptions options{method_named(method), rtol, with_q, with_r, seed};
        return for_dtype(a, [&](auto zero) -> py::tuple {
          using T = decltype(zero);
          constexpr auto item = static_cast<py::ssize_t>(sizeof(T));
          const auto view = matrix_view<T>(a);
          PythonMonitor monitor(std::move(progress));
          auto result = without_gil([&] { return pivoted_qr(view, k, options, monitor); });
          const py::ssize_t n = view.rows, p = view.cols, rank = result.rank;
          py::object q = py::none(), r = py::none();
          if (with_q) q = as_array(std::move(result.q), {n, rank}, {item, item * n});
          if (with_r) r = as_array(std::move(result.r), {rank, p}, {item * p, item});
          return py::make_tuple(as_vector(std::move(result.permutation)), as_vector(std::move(result.r_diag)),
                                std::move(q), std::move(r));
        });
      },
      py::arg("a"), py::arg("k"), py::arg("method"), py::arg("rtol"), py::arg("with_q"), py::arg("with_r"),
      py::arg("seed"), py::arg("progress") = py::none());
}

}  // namespace wavelens
