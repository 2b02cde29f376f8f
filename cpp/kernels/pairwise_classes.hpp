// Rows in the order of their classes, so that the rows of one class are neighbours in every tile.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace wavelens {

class ByClass {
public:
  // A run of equal classes among the entries [0, count) of a part.
  struct Run {
    std::int64_t code;
    std::ptrdiff_t begin, end;
  };

  ByClass(const std::int64_t* codes, std::ptrdiff_t n)
      : order_(static_cast<std::size_t>(n)), codes_(static_cast<std::size_t>(n), 0) {
    std::iota(order_.begin(), order_.end(), std::ptrdiff_t{0});
    if (codes == nullptr) return;
    std::sort(order_.begin(), order_.end(), [&](std::ptrdiff_t i, std::ptrdiff_t j) {
      return codes[i] < codes[j] || (codes[i] == codes[j] && i < j);
    });
    for (std::size_t at = 0; at < order_.size(); ++at) codes_[at] = codes[order_[at]];
  }

  const std::ptrdiff_t* order() const { return order_.data(); }
  std::int64_t code(std::ptrdiff_t at) const { return codes_[static_cast<std::size_t>(at)]; }

  std::vector<Run> runs(std::ptrdiff_t first, std::ptrdiff_t count) const {
    std::vector<Run> found;
    for (std::ptrdiff_t begin = 0; begin < count;) {
      const auto run = equal(first, count, code(first + begin));
      found.push_back(run);
      begin = run.end;
    }
    return found;
  }

  // The run of `code` among the `count` entries from `first` on; empty where there is none.
  Run equal(std::ptrdiff_t first, std::ptrdiff_t count, std::int64_t code) const {
    const auto begin = codes_.begin() + first;
    const auto range = std::equal_range(begin, begin + count, code);
    return {code, range.first - begin, range.second - begin};
  }

private:
  std::vector<std::ptrdiff_t> order_;
  std::vector<std::int64_t> codes_;  // in that order
};

}  // namespace wavelens
