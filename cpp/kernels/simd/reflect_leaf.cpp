// Compiled once per instruction set (see wavelens/isa.hpp).

#include "simd/reflect_leaf.hpp"

#include "simd/vector.hpp"

namespace wavelens {
namespace {

template <class T>
T sum_of(typename Vector<T>::type v) {
  T sum = 0;
  for (int i = 0; i < Vector<T>::lanes; ++i) sum += v[i];
  return sum;
}

// Several columns share the reads of v; what is done to one column does not depend on how many there are.
template <class T, int columns>
void reflect_some(std::ptrdiff_t start, std::ptrdiff_t stride, const T* v, T* const* x) {
  using V = typename Vector<T>::type;
  using U = typename Vector<T>::unaligned;
  constexpr std::ptrdiff_t lanes = Vector<T>::lanes;
  V even[columns] = {}, odd[columns] = {};
  std::ptrdiff_t i = start;
  for (; i + 2 * lanes <= stride; i += 2 * lanes) {
    const V here = *reinterpret_cast<const U*>(v + i);
    const V next = *reinterpret_cast<const U*>(v + i + lanes);
#pragma GCC unroll 4
    for (int c = 0; c < columns; ++c) {
      even[c] += here * *reinterpret_cast<const U*>(x[c] + i);
      odd[c] += next * *reinterpret_cast<const U*>(x[c] + i + lanes);
    }
  }
  if (i < stride) {
    const V here = *reinterpret_cast<const U*>(v + i);
#pragma GCC unroll 4
    for (int c = 0; c < columns; ++c) even[c] += here * *reinterpret_cast<const U*>(x[c] + i);
  }
  V factor[columns];
#pragma GCC unroll 4
  for (int c = 0; c < columns; ++c) factor[c] = sum_of<T>(even[c] + odd[c]) - V{};
  for (i = start; i < stride; i += lanes) {
    const V here = *reinterpret_cast<const U*>(v + i);
#pragma GCC unroll 4
    for (int c = 0; c < columns; ++c) *reinterpret_cast<U*>(x[c] + i) -= factor[c] * here;
  }
}

template <class T>
void reflect(std::ptrdiff_t first, std::ptrdiff_t stride, const T* v, T* const* x, std::ptrdiff_t count) {
  const std::ptrdiff_t start = first / Vector<T>::lanes * Vector<T>::lanes;
  std::ptrdiff_t c = 0;
  for (; c + 4 <= count; c += 4) reflect_some<T, 4>(start, stride, v, x + c);
  for (; c < count; ++c) reflect_some<T, 1>(start, stride, v, x + c);
}

template <class T>
T tail(std::ptrdiff_t first, std::ptrdiff_t stride, const T* x) {
  using V = typename Vector<T>::type;
  using U = typename Vector<T>::unaligned;
  constexpr std::ptrdiff_t lanes = Vector<T>::lanes;
  const std::ptrdiff_t whole = (first + lanes - 1) / lanes * lanes;
  T head = 0;
  for (std::ptrdiff_t i = first; i < whole && i < stride; ++i) head += x[i] * x[i];
  V sum[2] = {};
  std::ptrdiff_t i = whole;
  for (; i + 2 * lanes <= stride; i += 2 * lanes) {
    const V even = *reinterpret_cast<const U*>(x + i);
    const V odd = *reinterpret_cast<const U*>(x + i + lanes);
    sum[0] += even * even;
    sum[1] += odd * odd;
  }
  for (; i < stride; i += lanes) {
    const V here = *reinterpret_cast<const U*>(x + i);
    sum[0] += here * here;
  }
  return head + sum_of<T>(sum[0] + sum[1]);
}

template <class T>
T largest(std::ptrdiff_t n, const T* x, T floor) {
  using V = typename Vector<T>::type;
  using U = typename Vector<T>::unaligned;
  constexpr std::ptrdiff_t lanes = Vector<T>::lanes;
  V top = floor - V{};
  std::ptrdiff_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const V here = *reinterpret_cast<const U*>(x + i);
    top = here > top ? here : top;
  }
  T best = floor;
  for (int lane = 0; lane < lanes; ++lane) best = top[lane] > best ? top[lane] : best;
  for (; i < n; ++i) best = x[i] > best ? x[i] : best;
  return best;
}

template <class T>
ReflectLeaf<T> leaf() {
  return {reflect<T>, tail<T>, largest<T>};
}

}  // namespace

ReflectLeaves WAVELENS_LEAF(reflect_leaves)();
ReflectLeaves WAVELENS_LEAF(reflect_leaves)() { return {leaf<float>(), leaf<double>()}; }

}  // namespace wavelens
