#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/row_checksums.hpp"

namespace wavelens {

void register_row_checksums(py::module_& m) {
  m.def(
      "row_checksums",
      [](const py::array& rows) {
        if (!holds<unsigned char>(rows) || rows.ndim() != 2 || (rows.flags() & py::array::c_style) == 0)
          throw py::type_error("`rows` must be a C-contiguous matrix of uint8");
        py::array_t<std::uint64_t> out = new_vector<std::uint64_t>(rows.shape(0));
        const auto* const data = static_cast<const unsigned char*>(rows.data());
        std::uint64_t* const sums = out.mutable_data();
        without_gil([&] { row_checksums(data, rows.shape(0), rows.shape(1), sums); });
        return out;
      },
      py::arg("rows"));
}

}  // namespace wavelens
