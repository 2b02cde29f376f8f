// One register_<kernel>() for each kernel, defined in register_<kernel>.cpp.
#pragma once

#include <pybind11/pybind11.h>

namespace wavelens {

void fill_lapack_from_scipy();

void register_engine(pybind11::module_& m);
void register_finite(pybind11::module_& m);
void register_mask(pybind11::module_& m);
void register_mmf(pybind11::module_& m);
void register_pairwise(pybind11::module_& m);
void register_pivoted_qr(pybind11::module_& m);
void register_gemm(pybind11::module_& m);
void register_project(pybind11::module_& m);
void register_ho_gsvd(pybind11::module_& m);
void register_row_checksums(pybind11::module_& m);
void register_streaming(pybind11::module_& m);
void register_wavelet(pybind11::module_& m);

}  // namespace wavelens
