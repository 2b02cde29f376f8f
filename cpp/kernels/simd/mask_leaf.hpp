// The inner loops of a mask's step. Noise comes in blocks of 64 coefficients; a call covers whole blocks but
// for the end of the plane. What is done to an entry does not depend on how the loops are cut.
#pragma once

#include <cstddef>
#include <cstdint>

namespace wavelens {

constexpr std::ptrdiff_t mask_block = 64;

// Address of the noise of one plane: the generator's key, and the upper words of its counter.
struct NoiseAddress {
  std::uint32_t key[4];
  std::uint32_t channel, sample;
};

// mask∘h + (1 − mask)∘v of one plane and its kin; null `deviation` for a noise that is its mean.
template <class T>
struct MaskPlane {
  const T *mask, *h, *mean, *deviation;
};

template <class T>
struct MaskLeaf {
  // For coefficients [begin, end); begin is a multiple of mask_block.
  void (*mix)(const NoiseAddress& at, std::ptrdiff_t begin, std::ptrdiff_t end, const MaskPlane<T>& plane,
              T* out);
  void (*reduce)(const NoiseAddress& at, std::ptrdiff_t begin, std::ptrdiff_t end, const MaskPlane<T>& plane,
                 const T* g, T* sum);
  void (*clamp)(std::ptrdiff_t n, T* values);
  void (*gate)(std::ptrdiff_t n, const T* clamped, T* gradient);
  // Numbers as in MaskStep, in order.
  void (*update)(const double* step, std::ptrdiff_t n, const T* sum, T* first, T* second, T* free, T* mask);
};

struct MaskLeaves {
  MaskLeaf<float> s;
  MaskLeaf<double> d;
  // Normals of one block.
  void (*normals)(const NoiseAddress& at, std::ptrdiff_t block, float* out);
};

}  // namespace wavelens
