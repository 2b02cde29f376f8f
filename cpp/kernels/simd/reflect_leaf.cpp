// Compiled once per instruction set (see wavelens/isa.hpp).

#include "simd/reflect_leaf.hpp"

#include "simd/leaf.hpp"

namespace wavelens {
namespace {

template <class T>
struct Vector {
  typedef T type __attribute__((vector_size(WAVELENS_VECTOR_BYTES)));
  typedef T unaligned __attribute__((vector_size(WAVELENS_VECTOR_BYTES), aligned(alignof(T)), may_alias));
  static constexpr std::ptrdiff_t lanes = WAVELENS_VECTOR_BYTES / static_cast<std::ptrdiff_t>(sizeof(T));
};

template <class T>
T sum_of(typename Vector<T>::type v) {
  T sum = 0;
  for (int i = 0; i < Vector<T>::lanes; ++i) sum += v[i];
  return sum;
}

template <class T>
void reflect(std::ptrdiff_t first, std::ptrdiff_t stride, const T* v, T* x) {
  using V = typename Vector<T>::type;
  using U = typename Vector<T>::unaligned;
  constexpr std::ptrdiff_t lanes = Vector<T>::lanes;
  const std::ptrdiff_t start = first / lanes * lanes;
  V sum[4] = {};
  std::ptrdiff_t i = start;
  for (; i + 4 * lanes <= stride; i += 4 * lanes) {
#pragma GCC unroll 4
    for (int u = 0; u < 4; ++u) {
      const std::ptrdiff_t at = i + u * lanes;
      sum[u] += *reinterpret_cast<const U*>(v + at) * *reinterpret_cast<const U*>(x + at);
    }
  }
  for (; i < stride; i += lanes) {
    sum[0] += *reinterpret_cast<const U*>(v + i) * *reinterpret_cast<const U*>(x + i);
  }
  const V factor = sum_of<T>((sum[0] + sum[1]) + (sum[2] + sum[3])) - V{};
  for (i = start; i < stride; i += lanes) {
    *reinterpret_cast<U*>(x + i) -= factor * *reinterpret_cast<const U*>(v + i);
  }
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
