// Table of contents of the compiled module.
#include "registers.hpp"

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled engine of wavelens; its typed face is _core.pyi.";
  wavelens::fill_lapack_from_scipy();
  wavelens::register_engine(m);
  wavelens::register_finite(m);
  wavelens::register_mask(m);
  wavelens::register_mmf(m);
  wavelens::register_pairwise(m);
  wavelens::register_pivoted_qr(m);
  wavelens::register_gemm(m);
  wavelens::register_project(m);
  wavelens::register_ho_gsvd(m);
  wavelens::register_row_checksums(m);
  wavelens::register_streaming(m);
  wavelens::register_wavelet(m);
}
