// One step of the search for a mask on an image's coefficients: mixing with noise, the gradient of what was
// mixed, and the projected update.
//
// Noise is a function of its address (seed, image, stream, sample, channel, coefficient): any part of it can
// be had at any time, in any order, and again. It is float32 for both types. Results are the same, to the
// bit, for any number of threads, any instruction set, and however samples and images are cut into calls.
#pragma once

#include <cstddef>
#include <cstdint>

namespace wavelens {

// What one image's noise is: v[c, i] = mean[c, i] + deviation[c, i]·z, z standard normal. A stride of 0 gives
// all channels the same; no deviation, noise that is no noise.
template <class T>
struct MaskNoise {
  const T* mean = nullptr;
  std::ptrdiff_t mean_stride = 0;
  const T* deviation = nullptr;
  std::ptrdiff_t deviation_stride = 0;
  std::uint64_t seed = 0;
  std::uint32_t image = 0, stream = 0;
};

// An image's coefficients h (channels, k), its mask (k), shared by the channels, and its noise.
template <class T>
struct MaskedImage {
  const T* mask = nullptr;
  const T* coefficients = nullptr;
  std::ptrdiff_t channel_stride = 0;
  MaskNoise<T> noise;
};

// Samples of one image: (samples, channels, k), the last contiguous.
template <class T>
struct MaskSamples {
  T* data = nullptr;
  std::ptrdiff_t sample_stride = 0, channel_stride = 0;
  std::ptrdiff_t samples = 0, channels = 0, k = 0;
  std::uint32_t first = 0;  // number of the first sample
};

// out = mask∘h + (1 − mask)∘v.
template <class T>
void mask_mix(const MaskedImage<T>& image, const MaskSamples<T>& out);

// sum += Σ_samples Σ_channels g∘(h − v), v made again. One sample after the other, each with its channels.
template <class T>
void mask_reduce(const MaskedImage<T>& image, const MaskSamples<const T>& g, T* sum);

// Values into [0, 1]; NaN stays.
template <class T>
void mask_clamp(std::ptrdiff_t n, T* values);

// The gradient through mask_clamp: zero where the clamped value is 0 or 1.
template <class T>
void mask_gate(std::ptrdiff_t n, const T* clamped, T* gradient);

// Adam with projection onto [0, 1]. `rate` and the two corrections 1/(1 − βᵗ) are of this step. What moves is
// `free`, kept within [−slack, 1 + slack]; the mask is its projection. With no slack that is projected Adam;
// with some an entry that was often pushed out of [0, 1] does not come back at the first push inwards.
struct MaskStep {
  double rate = 1e-3, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double correction1 = 1, correction2 = 1, slack = 0;
  double scale = 1, shift = 0;  // the gradient is scale·sum + shift
};

template <class T>
void mask_update(const MaskStep& step, std::ptrdiff_t k, const T* sum, T* first, T* second, T* free, T* mask);

// Standard normals of coefficients [0, n) at one address; for tests and for who wants to see the noise.
void mask_normals(std::uint64_t seed, std::uint32_t image, std::uint32_t stream, std::uint32_t sample,
                  std::uint32_t channel, std::ptrdiff_t n, float* out);

}  // namespace wavelens
