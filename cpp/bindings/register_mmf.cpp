#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/finite.hpp"
#include "wavelens/mmf.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

MmfMethod method_named(const std::string& name) {
  if (name == "exhaustive") return MmfMethod::exhaustive;
  if (name == "topk") return MmfMethod::topk;
  if (name == "random") return MmfMethod::random;
  refuse("method", "must be exhaustive, topk or random, got " + name);
}

MmfRotation rotation_named(const std::string& name) {
  if (name == "eigen") return MmfRotation::eigen;
  if (name == "gram") return MmfRotation::gram;
  if (name == "opt") return MmfRotation::opt;
  refuse("rotation", "must be eigen, gram or opt, got " + name);
}

// The matrix, if it is square and finite: what is not finite cannot be sorted.
MatrixView<const double> square_view(const py::array& c, Monitor& monitor) {
  const auto view = matrix_view<double>(c, "c");
  expect(view.rows == view.cols, "c", "must be square, got shape " + shape_of(c));
  const auto bad = without_gil(monitor, [&] { return first_nonfinite(view); });
  if (bad) {
    refuse("c", "must be finite, got NaN or infinity at row " + std::to_string(bad->first) + ", column " +
                    std::to_string(bad->second));
  }
  return view;
}

// The tuples (levels, k) of a matrix of order m, by rows.
std::vector<Index> checked_tuples(const py::array& tuples, Index m) {
  if (tuples.ndim() != 2) refuse("tuples", "must be a matrix, got shape " + shape_of(tuples));
  return checked_indices(tuples, 0, m, "tuples");
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
  PythonMonitor monitor(std::move(progress));
  const auto view = square_view(c, monitor);
  const MmfOptions options{order, n_levels, method_named(method), rotation_named(rotation), seed};
  return parts(without_gil(monitor, [&] { return mmf_factor(view, options, monitor); }), order);
}

py::tuple insert(const py::array& c, Index n_new, const py::array& tuples, const py::array& wavelets,
                 const std::string& rotation, py::object progress) {
  PythonMonitor monitor(std::move(progress));
  const auto view = square_view(c, monitor);
  expect(n_new >= 0 && n_new <= view.rows, "n_new",
         "must be between 0 and " + std::to_string(view.rows) + ", got " + std::to_string(n_new));
  const std::vector<Index> tuple_list = checked_tuples(tuples, view.rows - n_new);
  const Index levels = tuples.shape(0), k = tuples.shape(1);
  expect_shape(wavelets, {levels}, "wavelets", "(levels,)");
  const std::vector<Index> wavelet_list = checked_indices(wavelets, 0, view.rows - n_new, "wavelets");
  const MmfRotation family = rotation_named(rotation);
  const auto tuple_view = row_major(tuple_list.data(), levels, k);
  return parts(
      without_gil(monitor,
                  [&] { return mmf_insert(view, n_new, tuple_view, wavelet_list.data(), family, monitor); }),
      k);
}

void apply(const py::array& tuples, const py::array& rotations, py::array x, bool transpose) {
  double* const data = mutable_entries<double>(x, "x");
  if (x.ndim() != 2) refuse("x", "must be a matrix, got shape " + shape_of(x));
  expect((x.flags() & py::array::c_style) != 0, "x", "must be C-contiguous");
  const std::vector<Index> tuple_list = checked_tuples(tuples, x.shape(0));
  const Index levels = tuples.shape(0), k = tuples.shape(1);
  expect_shape(rotations, {levels, k, k}, "rotations", "(levels, k, k)");
  const Contiguous<double> turns = contiguous<double>(rotations, "rotations");
  expect_apart(x, "x", {{turns, "rotations"}});
  const auto x_view = row_major(data, x.shape(0), x.shape(1));
  const auto tuple_view = row_major(tuple_list.data(), levels, k);
  const double* const entries = turns.data();
  PythonMonitor monitor;
  without_gil(monitor, [&] { mmf_apply(tuple_view, entries, x_view, transpose); });
}

}  // namespace

void register_mmf(py::module_& m) {
  m.def("mmf_factor", &factor, py::arg("c"), py::arg("order"), py::arg("n_levels"), py::arg("method"),
        py::arg("rotation"), py::arg("seed"), py::arg("progress") = py::none());
  m.def("mmf_insert", &insert, py::arg("c"), py::arg("n_new"), py::arg("tuples"), py::arg("wavelets"),
        py::arg("rotation"), py::arg("progress") = py::none());
  m.def("mmf_apply", &apply, py::arg("tuples"), py::arg("rotations"), py::arg("x"), py::arg("transpose"));
}

}  // namespace wavelens
