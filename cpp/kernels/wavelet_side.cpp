#include "wavelet_side.hpp"

#include <algorithm>
#include <stdexcept>

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

// Quotient rounded down, and the rest, which is never negative.
struct Turn {
  Index turn, place;
};

Turn turn_of(Index e, Index period) {
  const Index place = (e % period + period) % period;
  return {(e - place) / period, place};
}

PastEnd straight_line(Index e, Index n) {
  if (e < 0) return {0, 1, static_cast<double>(e), static_cast<double>(1 - e), 0};
  const auto beyond = static_cast<double>(e - n + 1);
  return {0, n - 2, -beyond, 0, 1 + beyond};
}

// A half turn about the value at either end: x(e + 2(n − 1)) = x(e) + 2(x(n − 1) − x(0)).
PastEnd half_turns(Index e, Index n) {
  const auto [turn, place] = turn_of(e, 2 * n - 2);
  const auto rise = 2 * static_cast<double>(turn);
  if (place < n) return {0, place, 1, -rise, rise};
  return {0, 2 * n - 2 - place, -1, -rise, rise + 2};
}

// `at` is filled in by the caller.
PastEnd past_end_of(Index e, Index n, Extension mode, Use use) {
  if (mode == Extension::periodization) {
    const Index place = turn_of(e, n + n % 2).place;
    // What makes an odd number even repeats the last entry; rebuilding drops it, so there the adjoint has zero.
    if (place == n) return {0, n - 1, use == Use::forward ? 1.0 : 0.0, 0, 0};
    return {0, place, 1, 0, 0};
  }
  if (use == Use::adjoint || mode == Extension::zero) return {0, 0, 0, 0, 0};
  if (n == 1 && mode != Extension::antisymmetric) return {0, 0, 1, 0, 0};
  switch (mode) {
    case Extension::symmetric:
    case Extension::antisymmetric: {
      const auto [turn, place] = turn_of(e, n);
      const bool turned = turn % 2 != 0;
      return {0, turned ? n - 1 - place : place, turned && mode == Extension::antisymmetric ? -1.0 : 1.0, 0,
              0};
    }
    case Extension::reflect: {
      const Index place = turn_of(e, 2 * n - 2).place;
      return {0, std::min(place, 2 * n - 2 - place), 1, 0, 0};
    }
    case Extension::periodic:
      return {0, turn_of(e, n).place, 1, 0, 0};
    case Extension::smooth:
      return straight_line(e, n);
    case Extension::antireflect:
      return half_turns(e, n);
    default:  // constant
      return {0, e < 0 ? 0 : n - 1, 1, 0, 0};
  }
}

}  // namespace

const PastEnd* Side::past_end(std::ptrdiff_t at) const {
  if (at < lead) return &past[static_cast<std::size_t>(at)];
  if (at >= lead + size) return &past[static_cast<std::size_t>(at - size)];
  return nullptr;
}

Side make_side(Index size, Index length, Extension mode, Use use) {
  Side side;
  side.size = size;
  side.count = wavelet_count(size, length, mode);
  side.length = length;
  side.periodized = mode == Extension::periodization;
  side.lead = side.periodized ? length / 2 - 1 : length - 2;
  if (use == Use::inverse) return side;
  for (Index at = 0; at < side.extended(); ++at) {
    const Index e = at - side.lead;
    if (e >= 0 && e < size) continue;
    side.past.push_back(past_end_of(e, size, mode, use));
    side.past.back().at = at;
  }
  return side;
}

std::ptrdiff_t wavelet_count(std::ptrdiff_t n, std::ptrdiff_t filter_length, Extension mode) {
  return mode == Extension::periodization ? (n + 1) / 2 : (n + filter_length - 1) / 2;
}

Extension extension_named(const std::string& name) {
  static const char* const names[] = {"zero",          "constant",    "symmetric",
                                      "reflect",       "periodic",    "smooth",
                                      "antisymmetric", "antireflect", "periodization"};
  const auto* const found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names)) throw std::invalid_argument("unknown extension " + name);
  return static_cast<Extension>(found - std::begin(names));
}

}  // namespace wavelens
