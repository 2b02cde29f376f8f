// What the engine is and how it runs: compiler, instruction set, threads.
#include <pybind11/stl.h>

#include "registers.hpp"
#include "wavelens/isa.hpp"
#include "wavelens/thread_pool.hpp"

namespace py = pybind11;

namespace wavelens {
namespace {

std::string compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#else
  return "unknown";
#endif
}

std::vector<std::string> isa_names() {
  std::vector<std::string> names;
  for (const Isa each : available_isas()) names.push_back(isa_name(each));
  return names;
}

}  // namespace

void register_engine(py::module_& m) {
  m.attr("version") = WAVELENS_VERSION;
  m.attr("compiler") = compiler();
  m.def("isa", [] { return isa_name(isa()); });
  m.def("available_isas", &isa_names);
  m.def("set_isa", &set_isa, py::arg("name"));
  m.def("num_threads", &num_threads);
  m.def("set_num_threads", &set_num_threads, py::arg("count"));
}

}  // namespace wavelens
