#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/mmf.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;
using Indices = py::array_t<Index, py::array::c_style>;
using Doubles = py::array_t<double, py::array::c_style>;

MmfMethod method_named(const std::string& name) {
  if (name == "exhaustive") return MmfMethod::exhaustive;
  if (name == "topk") return MmfMethod::topk;
  if (name == "random") return MmfMethod::random;
  throw py::value_error("unknown method " + name);
}

MmfRotation rotation_named(const std::string& name) {
  if (name == "eigen") return MmfRotation::eigen;
  if (name == "gram") return MmfRotation::gram;
  if (name == "opt") return MmfRotation::opt;
  throw py::value_error("unknown rotation " + name);
}

MatrixView<const Index> index_view(const Indices& a) {
  if (a.ndim() != 2) throw py::value_error("`tuples` must be a matrix");
  check_aligned(a);
  return row_major(a.data(), a.shape(0), a.shape(1));
}

py::tuple parts(Mmf&& mmf, py::ssize_t k) {
  const auto levels = static_cast<py::ssize_t>(mmf.wavelets.size());
  const auto rest = static_cast<py::ssize_t>(mmf.core_indices.size());
  return py::make_tuple(taken(std::move(mmf.tuples), {levels, k}), taken(std::move(mmf.wavelets), {levels}),
                        taken(std::move(mmf.rotations), {levels, k, k}),
                        taken(std::move(mmf.level_errors), {levels}),
                        taken(std::move(mmf.core), {rest, rest}), taken(std::move(mmf.core_indices), {rest}),
                        taken(std::move(mmf.frequencies), {levels}));
}

py::tuple factor(const py::array& c, Index order, Index n_levels, const std::string& method,
                 const std::string& rotation, std::uint64_t seed, py::object progress) {
  const auto view = matrix_view<double>(c);
  const MmfOptions options{order, n_levels, method_named(method), rotation_named(rotation), seed};
  PythonMonitor monitor(std::move(progress));
  return parts(without_gil([&] { return mmf_factor(view, options, monitor); }), order);
}

py::tuple insert(const py::array& c, Index n_new, const Indices& tuples, const Indices& wavelets,
                 const std::string& rotation, py::object progress) {
  const auto view = matrix_view<double>(c);
  const auto tuple_view = index_view(tuples);
  if (wavelets.ndim() != 1 || wavelets.shape(0) != tuple_view.rows)
    throw py::value_error("`wavelets` must have one entry a level");
  const MmfRotation family = rotation_named(rotation);
  PythonMonitor monitor(std::move(progress));
  const Index* const wavelet_list = wavelets.data();
  return parts(
      without_gil([&] { return mmf_insert(view, n_new, tuple_view, wavelet_list, family, monitor); }),
      tuple_view.cols);
}

void apply(const Indices& tuples, const Doubles& rotations, Doubles& x, bool transpose) {
  const auto tuple_view = index_view(tuples);
  if (rotations.ndim() != 3 || rotations.shape(0) != tuple_view.rows ||
      rotations.shape(1) != tuple_view.cols || rotations.shape(2) != tuple_view.cols)
    throw py::value_error("`rotations` must have the shape (levels, k, k)");
  if (x.ndim() != 2) throw py::value_error("`x` must be a matrix");
  check_aligned(x);
  check_aligned(rotations);
  const auto x_view = row_major(x.mutable_data(), x.shape(0), x.shape(1));
  const double* const entries = rotations.data();
  without_gil([&] { mmf_apply(tuple_view, entries, x_view, transpose); });
}

}  // namespace

void register_mmf(py::module_& m) {
  m.def("mmf_factor", &factor, py::arg("c"), py::arg("order"), py::arg("n_levels"), py::arg("method"),
        py::arg("rotation"), py::arg("seed"), py::arg("progress") = py::none());
  m.def("mmf_insert", &insert, py::arg("c"), py::arg("n_new"), py::arg("tuples"), py::arg("wavelets"),
        py::arg("rotation"), py::arg("progress") = py::none());
  // In place: an `x` of another type or layout would be copied and the result lost.
  m.def("mmf_apply", &apply, py::arg("tuples"), py::arg("rotations"), py::arg("x").noconvert(),
        py::arg("transpose"));
}

}  // namespace wavelens
