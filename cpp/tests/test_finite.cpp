#include <limits>

#include "check.hpp"
#include "wavelens/finite.hpp"

using namespace wavelens;

TEST_CASE(the_first_bad_entry_in_row_order_is_named) {
  auto x = check::normal<float>(300 * 200);
  CHECK(!first_nonfinite<float>(row_major(x.data(), 300, 200)));
  x[250 * 200 + 3] = std::numeric_limits<float>::quiet_NaN();
  x[120 * 200 + 199] = -std::numeric_limits<float>::infinity();
  const auto place = first_nonfinite<float>(row_major(x.data(), 300, 200));
  CHECK(place && place->first == 120 && place->second == 199);
  const auto transposed = first_nonfinite<float>(column_major(x.data(), 200, 300));
  CHECK(transposed && transposed->first == 3 && transposed->second == 250);
}

TEST_CASE(the_largest_number_is_finite) {
  const double x[] = {std::numeric_limits<double>::max(), std::numeric_limits<double>::denorm_min()};
  CHECK(!first_nonfinite<double>(row_major(x, 1, 2)));
}
