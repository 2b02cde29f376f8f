// Vectors of the width that a leaf is compiled for. Included by leaves only, inside their anonymous
// namespace's reach: the width differs from one instruction set to the next.
#pragma once

#include <cstddef>

#include "simd/leaf.hpp"

namespace wavelens {
namespace {  // NOLINT: one definition for each instruction set

template <class T>
struct Vector {
  typedef T type __attribute__((vector_size(WAVELENS_VECTOR_BYTES)));
  typedef T unaligned __attribute__((vector_size(WAVELENS_VECTOR_BYTES), aligned(alignof(T)), may_alias));
  static constexpr int lanes = WAVELENS_VECTOR_BYTES / static_cast<int>(sizeof(T));
};

}  // namespace
}  // namespace wavelens
