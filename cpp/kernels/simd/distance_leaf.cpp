// Compiled once per instruction set (see wavelens/isa.hpp). Everything between the product and the result is
// float64, for float32 data too: eight (four, two) entries at a time.

#include "simd/distance_leaf.hpp"

#include "simd/convert.hpp"
#include "simd/leaf.hpp"

namespace wavelens {
namespace {

constexpr int lanes = double_lanes;
typedef long long Integers __attribute__((vector_size(WAVELENS_VECTOR_BYTES)));

inline Doubles all(double value) { return value - Doubles{}; }

inline double total(Doubles value) {
  double sum = 0;
  for (int lane = 0; lane < lanes; ++lane) sum += value[lane];
  return sum;
}

bool squared(double* __restrict products, const double* __restrict norms, double norm, double threshold,
             std::ptrdiff_t n) {
  Integers cancelled = {};
  for (std::ptrdiff_t i = 0; i < n; i += lanes) {
    const Doubles size = load(norms + i) + norm;
    Doubles square = size - 2.0 * load(products + i);
    square = square > 0.0 ? square : Doubles{};
    cancelled |= square < size * threshold;
    store(products + i, square);
  }
  long long any = 0;
  for (int lane = 0; lane < lanes; ++lane) any |= cancelled[lane];
  return any != 0;
}

template <class T>
void scaled(const double* __restrict squares, double factor, T* __restrict out, std::ptrdiff_t n) {
  for (std::ptrdiff_t i = 0; i < n; i += lanes) store(out + i, load(squares + i) * factor * factor);
}

template <class T>
void root(const double* __restrict squares, double factor, T* __restrict out, std::ptrdiff_t n) {
  for (std::ptrdiff_t i = 0; i < n; ++i) out[i] = static_cast<T>(__builtin_sqrt(squares[i]) * factor);
}

// 1/i!: the series of exp. |r| ≤ ln(2)/2, so the first term left out is under 5e-9 after degree 7 and under
// 5e-18 after degree 13.
constexpr double inverse_factorials[] = {
    1.0,        1.0,         1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,
    1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};

// Adding `shifter` to |n| < 2⁵¹ rounds n to an integer, which then is the low part of the sum's bits.
constexpr double shifter = 0x1.8p52;

inline Doubles power_of_two(Doubles n) {
  const Doubles shifted = n + shifter;
  Integers bits = reinterpret_cast<Integers>(shifted);
  bits = (bits + 1023) << 52;
  return reinterpret_cast<Doubles>(bits);
}

// exp(t) for t ≤ 0: t = n·ln 2 + r, exp(t) = 2ⁿ·exp(r). 2ⁿ is applied in two steps, for results below the
// normal range.
template <int degree>
inline Doubles exponential(Doubles t) {
  t = t < -750.0 ? all(-750.0) : t;
  const Doubles n = (t * 1.4426950408889634 + shifter) - shifter;
  const Doubles r = (t - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  Doubles series = all(inverse_factorials[degree]);
#pragma GCC unroll 16
  for (int i = degree - 1; i >= 0; --i) series = series * r + inverse_factorials[i];
  const Doubles first = n < -1000.0 ? all(-1000.0) : n;
  return series * power_of_two(first) * power_of_two(n - first);
}

template <class T>
void gaussian(const double* __restrict squares, const double* __restrict factors, double factor,
              T* __restrict out, std::ptrdiff_t n) {
  constexpr int degree = sizeof(T) == 4 ? 7 : 13;
  for (std::ptrdiff_t i = 0; i < n; i += lanes) {
    store(out + i, exponential<degree>(-load(squares + i) * (load(factors + i) * factor)));
  }
}

template <class T>
void centre(T* __restrict panel, const T* centres, T scale, double* __restrict norms, std::ptrdiff_t width,
            std::ptrdiff_t depth) {
  for (std::ptrdiff_t p = 0; p < depth; ++p) {
    T* entries = panel + p * width;
    const T middle = centres[p];
    for (std::ptrdiff_t i = 0; i < width; i += lanes) {
      typename Entries<T>::unaligned* at = reinterpret_cast<typename Entries<T>::unaligned*>(entries + i);
      *at = *at * scale - middle;
      const Doubles entry = load(entries + i);
      store(norms + i, load(norms + i) + entry * entry);
    }
  }
}

template <class T>
double direct(const T* x, const T* y, T scale, std::ptrdiff_t n) {
  Doubles sums[4] = {};
  const double by = scale;
  std::ptrdiff_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part) {
      const Doubles difference = load(x + i + part * lanes) * by - load(y + i + part * lanes) * by;
      sums[part] += difference * difference;
    }
  }
  double rest = 0;
  for (; i < n; ++i) {
    const double difference = by * x[i] - by * y[i];
    rest += difference * difference;
  }
  return total((sums[0] + sums[1]) + (sums[2] + sums[3])) + rest;
}

template <class T>
double sum(const T* values, std::ptrdiff_t n) {
  Doubles sums[4] = {};
  std::ptrdiff_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part) sums[part] += load(values + i + part * lanes);
  }
  double rest = 0;
  for (; i < n; ++i) rest += values[i];
  return total((sums[0] + sums[1]) + (sums[2] + sums[3])) + rest;
}

template <class T>
void add(const T* __restrict values, double* __restrict sums, std::ptrdiff_t n) {
  std::ptrdiff_t i = 0;
  for (; i + lanes <= n; i += lanes) store(sums + i, load(sums + i) + load(values + i));
  for (; i < n; ++i) sums[i] += values[i];
}

// Sixty-four entries are compared at once; only a block with a hit is looked at entry by entry.
template <class T, class Bound>
inline std::ptrdiff_t next_where(const T* values, Bound bound, std::ptrdiff_t start, std::ptrdiff_t n) {
  std::ptrdiff_t i = start;
  while (i < n) {
    if (i + 64 <= n) {
      int hits = 0;
      for (int e = 0; e < 64; ++e) hits |= values[i + e] <= bound(i + e);
      if (hits == 0) {
        i += 64;
        continue;
      }
    }
    const std::ptrdiff_t stop = i + 64 < n ? i + 64 : n;
    for (; i < stop; ++i) {
      if (values[i] <= bound(i)) return i;
    }
  }
  return n;
}

template <class T>
std::ptrdiff_t next_within(const T* values, T bound, std::ptrdiff_t start, std::ptrdiff_t n) {
  return next_where(values, [bound](std::ptrdiff_t) { return bound; }, start, n);
}

template <class T>
std::ptrdiff_t next_within_each(const T* values, const T* bounds, std::ptrdiff_t start, std::ptrdiff_t n) {
  return next_where(values, [bounds](std::ptrdiff_t i) { return bounds[i]; }, start, n);
}

template <class T>
DistanceLeaf<T> leaf() {
  return {squared,   scaled<T>, root<T>, gaussian<T>,    centre<T>,
          direct<T>, sum<T>,    add<T>,  next_within<T>, next_within_each<T>};
}

}  // namespace

DistanceLeaves WAVELENS_LEAF(distance_leaves)();
DistanceLeaves WAVELENS_LEAF(distance_leaves)() { return {leaf<float>(), leaf<double>()}; }

}  // namespace wavelens
