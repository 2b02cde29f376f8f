#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "check.hpp"
#include "wavelens/isa.hpp"
#include "wavelens/mask.hpp"
#include "wavelens/thread_pool.hpp"

using namespace wavelens;

namespace {

using Index = std::ptrdiff_t;
using Four = std::array<std::uint32_t, 4>;

std::uint32_t rotated(std::uint32_t x, int count) { return (x << count) | (x >> (32 - count)); }

// Threefry-4x32 with 20 rounds, as the article writes it.
Four threefry(Four x, const Four& key) {
  const int rotations[8][2] = {{10, 26}, {11, 21}, {13, 27}, {23, 5}, {6, 20}, {17, 11}, {25, 10}, {18, 20}};
  const std::uint32_t keys[5] = {key[0], key[1], key[2], key[3],
                                 0x1BD11BDAU ^ key[0] ^ key[1] ^ key[2] ^ key[3]};
  for (std::size_t i = 0; i < 4; ++i) x[i] += keys[i];
  for (unsigned r = 0; r < 20; ++r) {
    const std::size_t b = r % 2 == 0 ? 1 : 3, d = 4 - b;
    x[0] += x[b];
    x[b] = rotated(x[b], rotations[r % 8][0]) ^ x[0];
    x[2] += x[d];
    x[d] = rotated(x[d], rotations[r % 8][1]) ^ x[2];
    if (r % 4 != 3) continue;
    const unsigned time = r / 4 + 1;
    for (unsigned i = 0; i < 4; ++i) x[i] += keys[(time + i) % 5];
    x[3] += time;
  }
  return x;
}

double reference_normal(std::uint64_t seed, std::uint32_t image, std::uint32_t stream, std::uint32_t sample,
                        std::uint32_t channel, Index i) {
  const auto output = static_cast<std::uint32_t>(i / 64 * 16 + i % 16);
  const auto number = static_cast<std::size_t>(i % 64 / 16);
  const Four words =
      threefry({output, 0, channel, sample},
               {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32), image, stream});
  const double pi = std::acos(-1.0);
  const std::size_t pair = number / 2 * 2;
  const double u = ((words[pair] >> 1) + 0.5) * std::ldexp(1.0, -31);
  const double angle = ((words[pair + 1] >> 6) + 0.5) * 2 * pi * std::ldexp(1.0, -26) - pi / 4;
  return std::sqrt(-2 * std::log(u)) * (number % 2 == 0 ? std::cos(angle) : std::sin(angle));
}

struct Problem {
  Index samples, channels, k;
  std::vector<double> mask, h, mean, deviation;

  Problem(Index n, Index c, Index size) : samples(n), channels(c), k(size) {
    mask = check::normal<double>(k, 1);
    for (double& s : mask) s = std::min(1.0, std::fabs(s));
    h = check::normal<double>(channels * k, 2);
    mean = check::normal<double>(k, 3);
    deviation = check::normal<double>(k, 4);
  }
  MaskedImage<double> image() const {
    MaskedImage<double> found;
    found.mask = mask.data();
    found.coefficients = h.data();
    found.channel_stride = k;
    found.noise = {mean.data(), 0, deviation.data(), 0, 77, 5, 9};
    return found;
  }
  std::vector<double> mixed(Index n, std::uint32_t first) const {
    std::vector<double> out(static_cast<std::size_t>(n * channels * k));
    mask_mix<double>(image(), {out.data(), channels * k, k, n, channels, k, first});
    return out;
  }
};

}  // namespace

TEST_CASE(the_generator_gives_the_published_answers) {
  // From the known answers that its authors publish with it.
  const Four zeros = threefry({0, 0, 0, 0}, {0, 0, 0, 0});
  CHECK((zeros == Four{0x9c6ca96aU, 0xe17eae66U, 0xfc10ecd4U, 0x5256a7d8U}));
  const std::uint32_t one = 0xffffffffU;
  const Four ones = threefry({one, one, one, one}, {one, one, one, one});
  CHECK((ones == Four{0x2a881696U, 0x57012287U, 0xf6c7446eU, 0xa16a6732U}));
}

TEST_CASE(normals_are_those_of_the_definition) {
  const Index n = 1000;
  std::vector<float> z(static_cast<std::size_t>(n));
  mask_normals(0x123456789abcdefULL, 3, 4, 5, 2, n, z.data());
  for (Index i = 0; i < n; ++i)
    CHECK_NEAR(z[static_cast<std::size_t>(i)], reference_normal(0x123456789abcdefULL, 3, 4, 5, 2, i), 3e-6);
}

TEST_CASE(normals_have_the_moments_of_normals) {
  const Index n = 1 << 20;
  std::vector<float> z(static_cast<std::size_t>(n));
  mask_normals(1, 0, 0, 0, 0, n, z.data());
  double sums[4] = {};
  for (const float each : z) {
    double power = 1;
    for (double& sum : sums) sum += power *= each;
  }
  const double expected[] = {0, 1, 0, 3}, variances[] = {1, 2, 15, 96};
  for (int i = 0; i < 4; ++i)
    CHECK_NEAR(sums[i] / static_cast<double>(n), expected[i],
               4 * std::sqrt(variances[i] / static_cast<double>(n)));
}

TEST_CASE(mixing_and_reducing_are_as_defined) {
  const Problem problem(3, 2, 150);
  const auto out = problem.mixed(3, 4);
  const auto g = check::normal<double>(3 * 2 * 150, 6);
  std::vector<double> sum(150, 1.0), expected(150, 1.0);
  mask_reduce<double>(problem.image(), {g.data(), 300, 150, 3, 2, 150, 4}, sum.data());
  for (Index b = 0; b < 3; ++b) {
    for (Index c = 0; c < 2; ++c) {
      for (Index i = 0; i < 150; ++i) {
        const auto at = static_cast<std::size_t>(i), here = static_cast<std::size_t>((b * 2 + c) * 150 + i);
        const double h = problem.h[static_cast<std::size_t>(c * 150 + i)];
        const double z =
            reference_normal(77, 5, 9, static_cast<std::uint32_t>(4 + b), static_cast<std::uint32_t>(c), i);
        const double v = problem.mean[at] + problem.deviation[at] * z;
        CHECK_NEAR(out[here], problem.mask[at] * h + (1 - problem.mask[at]) * v, 1e-5);
        expected[at] += g[here] * (h - v);
      }
    }
  }
  for (std::size_t i = 0; i < 150; ++i) CHECK_NEAR(sum[i], expected[i], 1e-4);
}

TEST_CASE(neither_cuts_nor_threads_nor_instruction_sets_change_a_bit) {
  const int before = num_threads();
  const Isa usual = isa();
  const Problem problem(4, 3, 40007);
  const auto g = check::normal<double>(4 * 3 * 40007, 6);
  std::vector<double> first_mixed, first_sum;
  for (const Isa each : available_isas()) {
    set_isa(isa_name(each));
    for (const int threads : {1, 3}) {
      set_num_threads(threads);
      for (const Index step : {4, 1}) {
        std::vector<double> mixed, sum(40007, 0.0);
        for (Index at = 0; at < 4; at += step) {
          const auto part = problem.mixed(step, static_cast<std::uint32_t>(at));
          mixed.insert(mixed.end(), part.begin(), part.end());
          mask_reduce<double>(
              problem.image(),
              {g.data() + at * 3 * 40007, 3 * 40007, 40007, step, 3, 40007, static_cast<std::uint32_t>(at)},
              sum.data());
        }
        if (first_mixed.empty()) {
          first_mixed = mixed;
          first_sum = sum;
        }
        CHECK(mixed == first_mixed);
        CHECK(sum == first_sum);
      }
    }
  }
  set_isa(isa_name(usual));
  set_num_threads(before);
}

TEST_CASE(clamping_and_its_gate) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> values{-1, 0, 0.25, 1, 3, nan}, gradient(6, 2.0);
  mask_clamp<double>(6, values.data());
  CHECK((std::vector<double>(values.begin(), values.end() - 1) == std::vector<double>{0, 0, 0.25, 1, 1}));
  CHECK(std::isnan(values[5]));
  mask_gate<double>(6, values.data(), gradient.data());
  CHECK((gradient == std::vector<double>{0, 0, 2, 0, 0, 0}));
}

TEST_CASE(the_update_is_projected_adam) {
  std::vector<double> sum{3, -1, 0, 5}, first{1, 0, 0, 0}, second{2, 0, 0, 1}, free{0.5, 0.99, 0.2, -0.1};
  std::vector<double> mask(4), start = free, m0 = first, v0 = second;
  MaskStep step;
  step.rate = 0.3;
  step.beta2 = 0.9;
  step.correction1 = 1 / (1 - 0.9);
  step.correction2 = 1 / (1 - 0.9);
  step.slack = 0.2;
  step.scale = 2;
  step.shift = 0.5;
  mask_update<double>(step, 4, sum.data(), first.data(), second.data(), free.data(), mask.data());
  for (std::size_t i = 0; i < 4; ++i) {
    const double g = 2 * sum[i] + 0.5, m = 0.9 * m0[i] + 0.1 * g, v = 0.9 * v0[i] + 0.1 * g * g;
    const double moved = start[i] - 0.3 * (m * 10) / (std::sqrt(v * 10) + 1e-8);
    CHECK_NEAR(free[i], std::min(1.2, std::max(-0.2, moved)), 1e-12);
    CHECK_NEAR(mask[i], std::min(1.0, std::max(0.0, free[i])), 0);
  }
}

TEST_CASE(an_empty_mask_is_refused) {
  const Problem problem(1, 1, 64);
  double out = 0;
  CHECK_THROWS(mask_mix<double>(problem.image(), {&out, 0, 0, 1, 1, 0, 0}), std::invalid_argument);
}
