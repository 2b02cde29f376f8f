// Names of leaves: WAVELENS_LEAF(gemm_leaf) is gemm_leaf_avx2 where the file is compiled for AVX2.
#pragma once

#define WAVELENS_PASTE_(a, b) a##_##b
#define WAVELENS_PASTE(a, b) WAVELENS_PASTE_(a, b)
#define WAVELENS_LEAF(name) WAVELENS_PASTE(name, WAVELENS_LEAF_ISA)

#if defined(WAVELENS_LEAF_avx512)
#define WAVELENS_VECTOR_BYTES 64
#elif defined(WAVELENS_LEAF_avx2)
#define WAVELENS_VECTOR_BYTES 32
#else
#define WAVELENS_VECTOR_BYTES 16
#endif

// Declares the variants of a leaf and a function `name()` that picks the one for the machine.
#ifdef WAVELENS_X86
#define WAVELENS_CHOOSE_LEAF(type, name) \
  type name##_baseline();                \
  type name##_avx2();                    \
  type name##_avx512();                  \
  inline type name() {                   \
    switch (isa()) {                     \
      case Isa::avx512:                  \
        return name##_avx512();          \
      case Isa::avx2:                    \
        return name##_avx2();            \
      default:                           \
        return name##_baseline();        \
    }                                    \
  }
#else
#define WAVELENS_CHOOSE_LEAF(type, name) \
  type name##_baseline();                \
  inline type name() { return name##_baseline(); }
#endif
