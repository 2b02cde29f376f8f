// Compiled once per instruction set (see wavelens/isa.hpp), without fused multiply-add: all of them give the
// same bits.

#include "simd/mask_leaf.hpp"

#include "simd/leaf.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

constexpr int lanes = WAVELENS_VECTOR_BYTES / 4;
constexpr int words = 4;                                       // of one output of the generator
constexpr int outputs = static_cast<int>(mask_block) / words;  // of the generator, in a block
constexpr int groups = outputs / lanes;

typedef std::uint32_t Words __attribute__((vector_size(WAVELENS_VECTOR_BYTES)));
typedef std::int32_t Integers __attribute__((vector_size(WAVELENS_VECTOR_BYTES)));
typedef float Floats __attribute__((vector_size(WAVELENS_VECTOR_BYTES)));
typedef float UnalignedFloats
    __attribute__((vector_size(WAVELENS_VECTOR_BYTES), aligned(alignof(float)), may_alias));

template <int count>
inline Words rotated(Words x) {
  return (x << count) | (x >> (32 - count));
}

// One of the two kinds of rounds: words (0, 1) and (2, 3), or (0, 3) and (2, 1).
template <int first, int second>
inline void round(Words& a, Words& b, Words& c, Words& d) {
  a += b;
  b = rotated<first>(b) ^ a;
  c += d;
  d = rotated<second>(d) ^ c;
}

inline void inject(Words (&x)[words], const std::uint32_t (&key)[words + 1], std::uint32_t time) {
  for (std::uint32_t i = 0; i < words; ++i) x[i] += key[(time + i) % (words + 1)];
  x[words - 1] += time;
}

// Threefry-4x32 with 20 rounds; lane j is the output number first + j.
inline void threefry(const NoiseAddress& at, std::uint32_t first, Words (&x)[words]) {
  std::uint32_t key[words + 1] = {at.key[0], at.key[1], at.key[2], at.key[3], 0x1BD11BDAU};
  for (int i = 0; i < words; ++i) key[words] ^= key[i];
  const Words zero = {};
  for (int j = 0; j < lanes; ++j) x[0][j] = first + static_cast<std::uint32_t>(j);
  x[1] = zero;
  x[2] = zero + at.channel;
  x[3] = zero + at.sample;
  for (int i = 0; i < words; ++i) x[i] += key[i];
#pragma GCC unroll 3
  for (std::uint32_t time = 1; time <= 5; time += 2) {
    round<10, 26>(x[0], x[1], x[2], x[3]);
    round<11, 21>(x[0], x[3], x[2], x[1]);
    round<13, 27>(x[0], x[1], x[2], x[3]);
    round<23, 5>(x[0], x[3], x[2], x[1]);
    inject(x, key, time);
    if (time == 5) return;
    round<6, 20>(x[0], x[1], x[2], x[3]);
    round<17, 11>(x[0], x[3], x[2], x[1]);
    round<25, 10>(x[0], x[1], x[2], x[3]);
    round<18, 20>(x[0], x[3], x[2], x[1]);
    inject(x, key, time + 1);
  }
}

inline Floats as_floats(Words x) { return __builtin_convertvector(reinterpret_cast<Integers>(x), Floats); }

inline Floats chosen(Integers mask, Floats yes, Floats no) {
  return reinterpret_cast<Floats>((mask & reinterpret_cast<Integers>(yes)) |
                                  (~mask & reinterpret_cast<Integers>(no)));
}

inline Floats root(Floats x) {
  Floats out;
  for (int j = 0; j < lanes; ++j) out[j] = __builtin_sqrtf(x[j]);
  return out;
}

// −2·ln(u), u = (w + ½)·2⁻³¹ with the upper 31 bits of the word: u = 2ᵉ·m with m in [√½, √2), and with
// t = (m − 1)/(m + 1) ln m = 2·(t + t³/3 + t⁵/5 + …); |t| < 0.172, what is left out is below 2·10⁻⁹.
inline Floats minus_two_logs(Words w) {
  const Floats u = (as_floats(w >> 1) + 0.5F) * 0x1p-31F;
  Integers bits = reinterpret_cast<Integers>(u);
  const Integers exponent = (bits - 0x3F3504F3) >> 23;
  bits -= exponent << 23;
  const Floats m = reinterpret_cast<Floats>(bits);
  const Floats t = (m - 1.0F) / (m + 1.0F), square = t * t;
  Floats series = square * (1.0F / 9.0F) + 1.0F / 7.0F;
  series = series * square + 1.0F / 5.0F;
  series = series * square + 1.0F / 3.0F;
  series = series * square + 1.0F;
  const Floats log = __builtin_convertvector(exponent, Floats) * 0.693147180559945F + 2.0F * t * series;
  const Floats found = -2.0F * log;
  return chosen(found > 0.0F, found, Floats{});
}

// cos and sin of 2π·w/2³²: the two upper bits are the quarter, the rest an angle in [−π/4, π/4) about its
// middle. Taylor's series; what is left out is below 4·10⁻⁹. A word's lowest 6 bits are dropped.
inline void turn(Words w, Floats& cosine, Floats& sine) {
  const Integers quarter = reinterpret_cast<Integers>(w >> 30);
  const Integers within = reinterpret_cast<Integers>((w & 0x3FFFFFFFU) >> 6) - (1 << 23);
  const Floats angle = (__builtin_convertvector(within, Floats) + 0.5F) * (0x1p-24F * 1.57079632679489662F);
  const Floats square = angle * angle;
  Floats s = square * (1.0F / 362880.0F) - 1.0F / 5040.0F;
  s = s * square + 1.0F / 120.0F;
  s = s * square - 1.0F / 6.0F;
  s = s * square * angle + angle;
  Floats c = square * (1.0F / 40320.0F) - 1.0F / 720.0F;
  c = c * square + 1.0F / 24.0F;
  c = c * square - 0.5F;
  c = c * square + 1.0F;
  const Integers swap = (quarter & 1) == 1;
  const Floats a = chosen(swap, s, c), b = chosen(swap, c, s);
  cosine = chosen((quarter == 1) | (quarter == 2), -a, a);
  sine = chosen(quarter >= 2, -b, b);
}

// Box and Muller: words 0 and 1 of an output give two normals, words 2 and 3 two more. Coefficient 16·w + j
// of a block is number w of the block's output j.
inline void block_normals(const NoiseAddress& at, Index block, float* out) {
  for (int g = 0; g < groups; ++g) {
    Words x[words] = {};
    threefry(at, static_cast<std::uint32_t>(block * outputs + g * lanes), x);
    for (int half = 0; half < 2; ++half) {
      const Floats radius = root(minus_two_logs(x[2 * half]));
      Floats cosine, sine;
      turn(x[2 * half + 1], cosine, sine);
      float* to = out + 2 * half * outputs + g * lanes;
      *reinterpret_cast<UnalignedFloats*>(to) = radius * cosine;
      *reinterpret_cast<UnalignedFloats*>(to + outputs) = radius * sine;
    }
  }
}

void normals(const NoiseAddress& at, Index block, float* out) { block_normals(at, block, out); }

// Calls each(i, v) with the noise v of every coefficient i of [begin, end).
template <class T, class Each>
inline void for_each_noise(const NoiseAddress& at, Index begin, Index end, const MaskPlane<T>& plane,
                           Each each) {
  if (plane.deviation == nullptr) {
    for (Index i = begin; i < end; ++i) each(i, plane.mean[i]);
    return;
  }
  float z[mask_block];
  Index i = begin;
  for (; i + mask_block <= end; i += mask_block) {
    block_normals(at, i / mask_block, z);
    for (Index j = 0; j < mask_block; ++j)
      each(i + j, plane.mean[i + j] + plane.deviation[i + j] * static_cast<T>(z[j]));
  }
  if (i == end) return;
  block_normals(at, i / mask_block, z);
  for (Index j = 0; i + j < end; ++j)
    each(i + j, plane.mean[i + j] + plane.deviation[i + j] * static_cast<T>(z[j]));
}

template <class T>
void mix(const NoiseAddress& at, Index begin, Index end, const MaskPlane<T>& plane, T* __restrict out) {
  const T* __restrict mask = plane.mask, * __restrict h = plane.h;
  for_each_noise(at, begin, end, plane, [=](Index i, T v) { out[i] = mask[i] * h[i] + (1 - mask[i]) * v; });
}

template <class T>
void reduce(const NoiseAddress& at, Index begin, Index end, const MaskPlane<T>& plane, const T* __restrict g,
            T* __restrict sum) {
  const T* __restrict h = plane.h;
  for_each_noise(at, begin, end, plane, [=](Index i, T v) { sum[i] += g[i] * (h[i] - v); });
}

template <class T>
void clamp(Index n, T* values) {
  for (Index i = 0; i < n; ++i) {
    const T x = values[i];
    const T low = x < 0 ? T(0) : x;
    values[i] = low > 1 ? T(1) : low;
  }
}

template <class T>
void gate(Index n, const T* __restrict clamped, T* __restrict gradient) {
  for (Index i = 0; i < n; ++i) {
    const bool within = (clamped[i] > 0) & (clamped[i] < 1);
    gradient[i] = within ? gradient[i] : T(0);
  }
}

inline float root_of(float x) { return __builtin_sqrtf(x); }
inline double root_of(double x) { return __builtin_sqrt(x); }

template <class T>
void update(const double* step, Index n, const T* __restrict sum, T* __restrict first, T* __restrict second,
            T* __restrict free, T* __restrict mask) {
  const T rate = static_cast<T>(step[0] * step[4]), beta1 = static_cast<T>(step[1]);
  const T beta2 = static_cast<T>(step[2]), epsilon = static_cast<T>(step[3]);
  const T correction = static_cast<T>(step[5]), slack = static_cast<T>(step[6]);
  const T scale = static_cast<T>(step[7]), shift = static_cast<T>(step[8]);
  const T other1 = static_cast<T>(1 - step[1]), other2 = static_cast<T>(1 - step[2]);
  for (Index i = 0; i < n; ++i) {
    const T g = scale * sum[i] + shift;
    const T m = beta1 * first[i] + other1 * g;
    const T v = beta2 * second[i] + other2 * g * g;
    first[i] = m;
    second[i] = v;
    const T moved = free[i] - rate * m / (root_of(v * correction) + epsilon);
    const T above = moved < -slack ? -slack : moved;
    const T within = above > 1 + slack ? 1 + slack : above;
    free[i] = within;
    const T low = within < 0 ? T(0) : within;
    mask[i] = low > 1 ? T(1) : low;
  }
}

template <class T>
MaskLeaf<T> leaf() {
  return {mix<T>, reduce<T>, clamp<T>, gate<T>, update<T>};
}

}  // namespace

MaskLeaves WAVELENS_LEAF(mask_leaves)();
MaskLeaves WAVELENS_LEAF(mask_leaves)() { return {leaf<float>(), leaf<double>(), normals}; }

}  // namespace wavelens
