// Fills the BLAS/LAPACK table from the capsules that SciPy exports for Cython. A capsule's name is the C
// signature of what it holds; it is compared with the type of the table's entry, so that a SciPy built
// otherwise (64-bit integers, say) is refused at import and not met as a crash.
#include <string>
#include <type_traits>

#include "registers.hpp"
#include "wavelens/lapack.hpp"

namespace py = pybind11;

namespace wavelens {
namespace {

template <class A>
std::string type_name() {
  if constexpr (std::is_same_v<A, char*>) {
    return "char *";
  } else if constexpr (std::is_same_v<A, int*>) {
    return "int *";
  } else {
    return "scalar *";
  }
}

template <class... A>
std::string signature(void (*)(A...)) {
  std::string text;
  ((text += (text.empty() ? "" : ", ") + type_name<A>()), ...);
  return "void (" + text + ")";
}

// Cython mangles its typedefs of float and double: "__pyx_t_5scipy_6linalg_11cython_blas_d *".
std::string unmangled(std::string text) {
  for (std::size_t at; (at = text.find("__pyx_t_")) != std::string::npos;) {
    text.replace(at, text.find(' ', at) - at, "scalar");
  }
  return text;
}

template <class T>
void fill(const py::dict& blas, const py::dict& linear_algebra) {
  lapack<T>().each([&](const char* name, auto& entry) {
    using Function = std::remove_reference_t<decltype(entry)>;
    const std::string full = (std::is_same_v<T, float> ? "s" : "d") + std::string(name);
    const py::dict& source = blas.contains(full.c_str()) ? blas : linear_algebra;
    if (!source.contains(full.c_str())) {
      throw py::import_error("SciPy's cython_blas and cython_lapack offer no routine `" + full + "`");
    }
    const py::object capsule = source[full.c_str()];
    const char* found = PyCapsule_GetName(capsule.ptr());
    const std::string expected = signature(Function{});
    if (found == nullptr || unmangled(found) != expected) {
      throw py::import_error("SciPy's `" + full + "` has the signature '" + (found ? found : "") +
                             "', expected '" + expected + "'");
    }
    entry = reinterpret_cast<Function>(PyCapsule_GetPointer(capsule.ptr(), found));
  });
}

}  // namespace

void fill_lapack_from_scipy() {
  const py::dict blas = py::module_::import("scipy.linalg.cython_blas").attr("__pyx_capi__");
  const py::dict linear_algebra = py::module_::import("scipy.linalg.cython_lapack").attr("__pyx_capi__");
  fill<float>(blas, linear_algebra);
  fill<double>(blas, linear_algebra);
}

}  // namespace wavelens
