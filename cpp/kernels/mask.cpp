// A mask s ∈ [0, 1]^k keeps a part of an image: where s is 1 the image's coefficients h stay, where it is 0
// noise v takes their place, S turns coefficients into pixels, and a classifier Φ looks at S(s∘h + (1 −
// s)∘v). Wanted is the smallest mask under which it still sees what it saw: the minimum of
//
//     F(s) = E_v[d(Φ(S(s∘h + (1 − s)∘v)))] + λ·mean(s),
//
// rate and distortion weighed against each other (MacDonald, Wäldchen, Hauch and Kutyniok; Kolek et al.).
// With the gradient g of d by pixels, sample by sample, ∂F/∂s = E_v[Σ_channels (Sᵀg)∘(h − v)] + λ/k. The
// model gives g, the kernel `wavelet` S and Sᵀ; this one does what stands around them.
//
// The noise appears twice, in the mixing and in the gradient. Instead of being kept, 54 MB for 64 samples of
// a photo, it is made again, by a generator without state: Threefry-4x32 with 20 rounds, which scrambles an
// address (seed, image, stream; coefficient, channel, sample) into four words. It needs nothing but
// additions, rotations and exclusive ors, so that all lanes of a vector work on addresses of their own; Box
// and Muller's formula makes two normals of two words. A normal costs about as much as reading it from memory
// would.
//
// Mixing is cut into ranges of coefficients of one sample and channel; the reduction into ranges of
// coefficients alone, each of which adds sample after sample and channel after channel, so that neither
// threads nor the size of calls change the order of a sum.
//
// J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11
// (2011); G. E. P. Box, M. E. Muller, Annals of Mathematical Statistics 29 (1958); D. P. Kingma, J. Ba,
// "Adam", ICLR 2015; J. MacDonald et al., "A rate-distortion framework for explaining neural network
// decisions", 2019; S. Kolek et al., "Cartoon explanations of image classifiers", ECCV 2022.

#include "wavelens/mask.hpp"

#include <algorithm>
#include <stdexcept>

#include "simd/leaf.hpp"
#include "simd/mask_leaf.hpp"
#include "wavelens/isa.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {

WAVELENS_CHOOSE_LEAF(MaskLeaves, mask_leaves)

namespace {

using Index = std::ptrdiff_t;

// Whole blocks of noise; large enough to be worth a task.
constexpr Index range = 256 * mask_block;
constexpr Index most_coefficients = 8589934592;  // 2^33, of the generator's 2^34
// Below this a thread takes longer to wake than the work.
constexpr Index worth_threads = 65536;

template <class T>
MaskLeaf<T> mask_leaf() {
  const MaskLeaves leaves = mask_leaves();
  if constexpr (sizeof(T) == sizeof(float)) {
    return leaves.s;
  } else {
    return leaves.d;
  }
}

NoiseAddress address(std::uint64_t seed, std::uint32_t image, std::uint32_t stream, std::uint32_t sample,
                     Index channel) {
  return {{static_cast<std::uint32_t>(seed),
           static_cast<std::uint32_t>(seed / (std::uint64_t(1) + UINT32_MAX)), image, stream},
          static_cast<std::uint32_t>(channel),
          sample};
}

template <class T>
NoiseAddress address(const MaskNoise<T>& noise, std::uint32_t sample, Index channel) {
  return address(noise.seed, noise.image, noise.stream, sample, channel);
}

template <class T>
MaskPlane<T> plane_of(const MaskedImage<T>& image, Index channel) {
  const MaskNoise<T>& noise = image.noise;
  return {image.mask, image.coefficients + channel * image.channel_stride,
          noise.mean + channel * noise.mean_stride,
          noise.deviation == nullptr ? nullptr : noise.deviation + channel * noise.deviation_stride};
}

void check(Index k) {
  if (k < 1 || k > most_coefficients) throw std::invalid_argument("a mask must have 1 to 2^33 coefficients");
}

// body(begin, end) over [0, n), in threads if there is work for them.
template <class Body>
void by_ranges(Index n, Index work, Body body) {
  if (work < worth_threads) return body(Index(0), n);
  parallel_ranges(n, range, body);
}

}  // namespace

template <class T>
void mask_mix(const MaskedImage<T>& image, const MaskSamples<T>& out) {
  check(out.k);
  const MaskLeaf<T> leaf = mask_leaf<T>();
  const Index ranges = (out.k + range - 1) / range, planes = out.samples * out.channels;
  const auto one = [&](Index task) {
    const Index plane = task / ranges, begin = task % ranges * range;
    const Index sample = plane / out.channels, channel = plane % out.channels;
    const NoiseAddress at = address(image.noise, out.first + static_cast<std::uint32_t>(sample), channel);
    leaf.mix(at, begin, std::min(out.k, begin + range), plane_of(image, channel),
             out.data + sample * out.sample_stride + channel * out.channel_stride);
  };
  if (planes * out.k >= worth_threads) return parallel_for(planes * ranges, one);
  for (Index task = 0; task < planes * ranges; ++task) one(task);
}

template <class T>
void mask_reduce(const MaskedImage<T>& image, const MaskSamples<const T>& g, T* sum) {
  check(g.k);
  const MaskLeaf<T> leaf = mask_leaf<T>();
  by_ranges(g.k, g.samples * g.channels * g.k, [&](Index begin, Index end) {
    for (Index sample = 0; sample < g.samples; ++sample) {
      for (Index channel = 0; channel < g.channels; ++channel) {
        const NoiseAddress at = address(image.noise, g.first + static_cast<std::uint32_t>(sample), channel);
        leaf.reduce(at, begin, end, plane_of(image, channel),
                    g.data + sample * g.sample_stride + channel * g.channel_stride, sum);
      }
    }
  });
}

template <class T>
void mask_clamp(Index n, T* values) {
  const MaskLeaf<T> leaf = mask_leaf<T>();
  by_ranges(n, n, [&](Index begin, Index end) { leaf.clamp(end - begin, values + begin); });
}

template <class T>
void mask_gate(Index n, const T* clamped, T* gradient) {
  const MaskLeaf<T> leaf = mask_leaf<T>();
  by_ranges(n, n, [&](Index begin, Index end) { leaf.gate(end - begin, clamped + begin, gradient + begin); });
}

template <class T>
void mask_update(const MaskStep& step, Index k, const T* sum, T* first, T* second, T* free, T* mask) {
  const double numbers[] = {step.rate,        step.beta1, step.beta2, step.epsilon, step.correction1,
                            step.correction2, step.slack, step.scale, step.shift};
  const MaskLeaf<T> leaf = mask_leaf<T>();
  by_ranges(k, k, [&](Index begin, Index end) {
    leaf.update(numbers, end - begin, sum + begin, first + begin, second + begin, free + begin, mask + begin);
  });
}

void mask_normals(std::uint64_t seed, std::uint32_t image, std::uint32_t stream, std::uint32_t sample,
                  std::uint32_t channel, Index n, float* out) {
  const NoiseAddress at = address(seed, image, stream, sample, channel);
  const MaskLeaves leaves = mask_leaves();
  float block[mask_block];
  for (Index begin = 0; begin < n; begin += mask_block) {
    leaves.normals(at, begin / mask_block, block);
    std::copy(block, block + std::min(mask_block, n - begin), out + begin);
    check_interrupted();
  }
}

template void mask_mix(const MaskedImage<float>&, const MaskSamples<float>&);
template void mask_reduce(const MaskedImage<float>&, const MaskSamples<const float>&, float*);
template void mask_clamp(Index, float*);
template void mask_gate(Index, const float*, float*);
template void mask_update(const MaskStep&, Index, const float*, float*, float*, float*, float*);
template void mask_mix(const MaskedImage<double>&, const MaskSamples<double>&);
template void mask_reduce(const MaskedImage<double>&, const MaskSamples<const double>&, double*);
template void mask_clamp(Index, double*);
template void mask_gate(Index, const double*, double*);
template void mask_update(const MaskStep&, Index, const double*, double*, double*, double*, double*);

}  // namespace wavelens
