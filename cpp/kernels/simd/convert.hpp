// Vectors of float64 and as many entries of T. For leaves only (see wavelens/isa.hpp): everything is
// internal.
#pragma once

#if defined(WAVELENS_LEAF_avx512) || defined(WAVELENS_LEAF_avx2)
#include <immintrin.h>
#endif

#include "simd/leaf.hpp"

namespace wavelens {
namespace {

constexpr int double_lanes = WAVELENS_VECTOR_BYTES / 8;
typedef double Doubles __attribute__((vector_size(WAVELENS_VECTOR_BYTES)));

template <class T>
struct Entries {
  typedef T type __attribute__((vector_size(double_lanes * sizeof(T))));
  typedef T unaligned __attribute__((vector_size(double_lanes * sizeof(T)), aligned(alignof(T)), may_alias));
};

// Intrinsics, as GCC 12 splits __builtin_convertvector of wide vectors into pieces of four lanes; with a full
// mask, as its unmasked ones warn of an uninitialised operand.
inline Doubles widened(Entries<double>::type entries) { return entries; }
inline Doubles widened(Entries<float>::type entries) {
#if defined(WAVELENS_LEAF_avx512)
  return reinterpret_cast<Doubles>(_mm512_maskz_cvtps_pd(0xff, reinterpret_cast<__m256>(entries)));
#elif defined(WAVELENS_LEAF_avx2)
  return reinterpret_cast<Doubles>(_mm256_cvtps_pd(reinterpret_cast<__m128>(entries)));
#else
  return __builtin_convertvector(entries, Doubles);
#endif
}

template <class T>
inline typename Entries<T>::type narrowed(Doubles value) {
  if constexpr (sizeof(T) == sizeof(double)) {
    return value;
  } else {
#if defined(WAVELENS_LEAF_avx512)
    return reinterpret_cast<Entries<float>::type>(
        _mm512_maskz_cvtpd_ps(0xff, reinterpret_cast<__m512d>(value)));
#elif defined(WAVELENS_LEAF_avx2)
    return reinterpret_cast<Entries<float>::type>(_mm256_cvtpd_ps(reinterpret_cast<__m256d>(value)));
#else
    return __builtin_convertvector(value, Entries<float>::type);
#endif
  }
}

template <class T>
inline Doubles load(const T* from) {
  typename Entries<T>::type entries = *reinterpret_cast<const typename Entries<T>::unaligned*>(from);
  return widened(entries);
}

template <class T>
inline void store(T* to, Doubles value) {
  *reinterpret_cast<typename Entries<T>::unaligned*>(to) = narrowed<T>(value);
}

}  // namespace
}  // namespace wavelens
