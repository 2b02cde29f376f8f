// Compiled once per instruction set (see wavelens/isa.hpp).

#include "simd/row_sketch_leaf.hpp"

#include "simd/convert.hpp"
#include "simd/vector.hpp"
#include "wavelens/row_sketch.hpp"

namespace wavelens {
namespace {

// The row stays in registers while it goes to its eight places. A sign times an entry is exact, so that a
// fused multiply-add gives the same bits as none.
template <class T>
void add(std::ptrdiff_t count, const T* rows, const SketchBucket* buckets, T* sums) {
  using V = typename Vector<T>::type;
  using U = typename Vector<T>::unaligned;
  constexpr std::ptrdiff_t slab = row_sketch_slab<T>;
  constexpr std::ptrdiff_t lanes = Vector<T>::lanes;
  constexpr std::ptrdiff_t held = slab / lanes < 8 ? slab / lanes : 8;
  for (std::ptrdiff_t begin = 0; begin < slab; begin += held * lanes) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      V row[held];
#pragma GCC unroll 8
      for (std::ptrdiff_t c = 0; c < held; ++c)
        row[c] = *reinterpret_cast<const U*>(rows + i * slab + begin + c * lanes);
      const SketchBucket* to = buckets + i * row_sketch_entries;
      for (std::ptrdiff_t e = 0; e < row_sketch_entries; ++e) {
        T* const target = sums + to[e].row * slab + begin;
        const V sign = static_cast<T>(to[e].sign) - V{};
#pragma GCC unroll 8
        for (std::ptrdiff_t c = 0; c < held; ++c) *reinterpret_cast<U*>(target + c * lanes) += sign * row[c];
      }
    }
  }
}

template <class T>
void squares(std::ptrdiff_t count, const T* rows, double* sums) {
  constexpr std::ptrdiff_t slab = row_sketch_slab<T>;
  constexpr std::ptrdiff_t held = 4;
  for (std::ptrdiff_t begin = 0; begin < slab; begin += held * double_lanes) {
    Doubles sum[held];
#pragma GCC unroll 4
    for (std::ptrdiff_t c = 0; c < held; ++c) sum[c] = load(sums + begin + c * double_lanes);
    for (std::ptrdiff_t i = 0; i < count; ++i) {
#pragma GCC unroll 4
      for (std::ptrdiff_t c = 0; c < held; ++c) {
        const Doubles x = load(rows + i * slab + begin + c * double_lanes);
        sum[c] += x * x;
      }
    }
#pragma GCC unroll 4
    for (std::ptrdiff_t c = 0; c < held; ++c) store(sums + begin + c * double_lanes, sum[c]);
  }
}

template <class T>
void widen(std::ptrdiff_t n, const unsigned char* from, T* to) {
  for (std::ptrdiff_t i = 0; i < n; ++i) to[i] = static_cast<T>(from[i]);
}

template <class T>
RowSketchLeaf<T> leaf() {
  return {add<T>, squares<T>, widen<T>};
}

}  // namespace

RowSketchLeaves WAVELENS_LEAF(row_sketch_leaves)();
RowSketchLeaves WAVELENS_LEAF(row_sketch_leaves)() { return {leaf<float>(), leaf<double>()}; }

}  // namespace wavelens
