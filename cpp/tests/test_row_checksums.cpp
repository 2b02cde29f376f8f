#include <cstdint>
#include <vector>

#include "check.hpp"
#include "wavelens/row_checksums.hpp"
#include "wavelens/thread_pool.hpp"

using namespace wavelens;

namespace {

std::vector<std::uint64_t> checksums(const std::vector<unsigned char>& data, std::ptrdiff_t rows) {
  std::vector<std::uint64_t> out(static_cast<std::size_t>(rows));
  row_checksums(data.data(), rows, rows == 0 ? 0 : static_cast<std::ptrdiff_t>(data.size()) / rows,
                out.data());
  return out;
}

}  // namespace

TEST_CASE(every_bit_of_a_row_counts_and_no_other) {
  for (const std::ptrdiff_t n_bytes : {1, 7, 8, 9, 31, 32, 33, 100}) {
    std::vector<unsigned char> data(static_cast<std::size_t>(3 * n_bytes), 0xA5);
    const auto before = checksums(data, 3);
    CHECK(before[0] == before[1] && before[1] == before[2]);
    for (std::ptrdiff_t byte = 0; byte < n_bytes; ++byte) {
      for (int bit = 0; bit < 8; ++bit) {
        auto& changed = data[static_cast<std::size_t>(n_bytes + byte)];
        changed = static_cast<unsigned char>(changed ^ (1u << bit));
        const auto after = checksums(data, 3);
        CHECK(after[1] != before[1] && after[0] == before[0] && after[2] == before[2]);
        changed = static_cast<unsigned char>(changed ^ (1u << bit));
      }
    }
  }
}

TEST_CASE(the_same_for_any_number_of_threads) {
  std::vector<unsigned char> data(1000 * 4096);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<unsigned char>(i * i >> 7);
  const int threads = num_threads();
  set_num_threads(1);
  const auto one = checksums(data, 1000);
  set_num_threads(4);
  CHECK(checksums(data, 1000) == one);
  set_num_threads(threads);
}

TEST_CASE(no_rows_and_empty_rows) {
  CHECK(checksums({}, 0).empty());
  std::vector<std::uint64_t> out(2);
  row_checksums(nullptr, 2, 0, out.data());
  CHECK(out[0] == out[1]);
}
