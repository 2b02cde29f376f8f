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

PastEnd weighted(Index from, double weight) {
  PastEnd past;
  past.from = from;
  past.weight = weight;
  return past;
}

PastEnd straight_line(Index e, Index n) {
  PastEnd past = weighted(e < 0 ? 0 : n - 1, 1);
  past.slope = static_cast<double>(e < 0 ? -e : e - n + 1);
  past.here = past.from;
  past.there = e < 0 ? 1 : n - 2;
  return past;
}

// A half turn about the value at either end: x(e + 2(n − 1)) = x(e) + 2(x(n − 1) − x(0)).
PastEnd half_turns(Index e, Index n) {
  const auto [turn, place] = turn_of(e, 2 * n - 2);
  PastEnd past = place < n ? weighted(place, 1) : weighted(2 * n - 2 - place, -1);
  past.last = place < n ? 0 : 2;
  past.slope = 2 * static_cast<double>(turn);
  past.here = n - 1;
  return past;
}

PastEnd past_end_of(Index e, Index n, Extension mode, Use use) {
  if (mode == Extension::periodization) {
    const Index place = turn_of(e, n + n % 2).place;
    // What makes an odd number even repeats the last entry; rebuilding drops it, so there the adjoint has
    // zero.
    return place < n ? weighted(place, 1) : weighted(n - 1, use == Use::forward ? 1 : 0);
  }
  if (use == Use::adjoint || mode == Extension::zero) return {};
  if (n == 1 && mode != Extension::antisymmetric) return weighted(0, 1);
  switch (mode) {
    case Extension::symmetric:
    case Extension::antisymmetric: {
      const auto [turn, place] = turn_of(e, n);
      const bool turned = turn % 2 != 0;
      return weighted(turned ? n - 1 - place : place, turned && mode == Extension::antisymmetric ? -1 : 1);
    }
    case Extension::reflect: {
      const Index place = turn_of(e, 2 * n - 2).place;
      return weighted(std::min(place, 2 * n - 2 - place), 1);
    }
    case Extension::periodic:
      return weighted(turn_of(e, n).place, 1);
    case Extension::smooth:
      return straight_line(e, n);
    case Extension::antireflect:
      return half_turns(e, n);
    default:  // constant
      return weighted(e < 0 ? 0 : n - 1, 1);
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
  static const char* const names[] = {"zero",   "constant",      "symmetric",   "reflect",      "periodic",
                                      "smooth", "antisymmetric", "antireflect", "periodization"};
  const auto* const found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names)) throw std::invalid_argument("unknown extension " + name);
  return static_cast<Extension>(found - std::begin(names));
}

}  // namespace wavelens
