// The distance leaf for the machine.
#pragma once

#include <type_traits>

#include "simd/distance_leaf.hpp"
#include "simd/leaf.hpp"
#include "wavelens/isa.hpp"

namespace wavelens {

WAVELENS_CHOOSE_LEAF(DistanceLeaves, distance_leaves)

template <class T>
DistanceLeaf<T> distance_leaf() {
  if constexpr (std::is_same_v<T, float>) {
    return distance_leaves().s;
  } else {
    return distance_leaves().d;
  }
}

}  // namespace wavelens
