// Table of contents of the compiled module.
#include <exception>
#include <new>

#include "registers.hpp"

namespace {

void translate_memory_errors(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    PyErr_SetString(PyExc_MemoryError, "not enough memory for the result or the workspace of the engine");
  }
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled engine of wavelens; its typed face is _core.pyi.";
  pybind11::register_local_exception_translator(translate_memory_errors);
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
