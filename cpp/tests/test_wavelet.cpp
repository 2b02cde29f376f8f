#include <cmath>
#include <stdexcept>

#include "check.hpp"
#include "wavelens/isa.hpp"
#include "wavelens/thread_pool.hpp"
#include "wavelens/wavelet.hpp"

using namespace wavelens;

namespace {

using Index = std::ptrdiff_t;

const Extension all_modes[] = {Extension::zero,          Extension::constant,    Extension::symmetric,
                               Extension::reflect,       Extension::periodic,    Extension::smooth,
                               Extension::antisymmetric, Extension::antireflect, Extension::periodization};

// D4, whose taps are closed forms; the pair 1.3/3.1 of Cohen, Daubechies and Feauveau in place of a
// biorthogonal one.
Wavelet daubechies4() {
  const double root = std::sqrt(3.0), scale = 4 * std::sqrt(2.0);
  const std::vector<double> lo{(1 - root) / scale, (3 - root) / scale, (3 + root) / scale,
                               (1 + root) / scale};
  return {lo, {-lo[3], lo[2], -lo[1], lo[0]}, {lo[3], lo[2], lo[1], lo[0]}, {lo[0], -lo[1], lo[2], -lo[3]}};
}

Wavelet spline13() {
  const double half = std::sqrt(0.5), eighth = half / 8;
  return {{-eighth, eighth, half, half, eighth, -eighth},
          {0, 0, -half, half, 0, 0},
          {0, 0, half, half, 0, 0},
          {-eighth, -eighth, half, -half, eighth, eighth}};
}

template <class T>
struct Batch {
  Index images, rows, cols, k;
  Wavelet wavelet;
  WaveletOptions options;
  Monitor monitor;

  Batch(Index n, Index height, Index width, const Wavelet& filters, WaveletOptions how)
      : images(n), rows(height), cols(width), wavelet(filters), options(how) {
    k = wavelet_coefficients(rows, cols, static_cast<Index>(filters.dec_lo.size()), options);
  }
  template <class P>
  Planes<P> planes(P* data) const {
    return {data, images, 1, rows, cols, rows * cols, rows * cols, cols, 1};
  }
  std::vector<T> forward(const std::vector<T>& x) {
    std::vector<T> out(static_cast<std::size_t>(images * k));
    wavelet_forward<T, T>(wavelet, options, planes<const T>(x.data()), {out.data(), k, k}, monitor);
    return out;
  }
  std::vector<T> inverse(const std::vector<T>& c) {
    std::vector<T> out(static_cast<std::size_t>(images * rows * cols));
    wavelet_inverse<T>(wavelet, options, {c.data(), k, k}, planes<T>(out.data()), monitor);
    return out;
  }
  std::vector<T> adjoint(const std::vector<T>& x) {
    std::vector<T> out(static_cast<std::size_t>(images * k));
    wavelet_inverse_adjoint<T>(wavelet, options, planes<const T>(x.data()), {out.data(), k, k}, monitor);
    return out;
  }
};

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

template <class Each>
void for_each_case(Each each) {
  for (const Wavelet& wavelet : {daubechies4(), spline13()}) {
    for (const Extension mode : all_modes) {
      for (const auto& [rows, cols, level] :
           {std::tuple<Index, Index, int>{9, 14, 2}, {1, 1, 1}, {1, 7, 3}, {2, 3, 5}, {33, 21, 3}}) {
        each(Batch<double>(3, rows, cols, wavelet, {level, mode}));
      }
    }
  }
}

}  // namespace

TEST_CASE(the_inverse_gives_images_back) {
  for_each_case([](Batch<double> batch) {
    const auto x = check::normal<double>(batch.images * batch.rows * batch.cols);
    const auto back = batch.inverse(batch.forward(x));
    for (std::size_t i = 0; i < x.size(); ++i) CHECK_NEAR(back[i], x[i], 1e-11);
  });
}

TEST_CASE(the_adjoint_is_exact) {
  for_each_case([](Batch<double> batch) {
    const auto g = check::normal<double>(batch.images * batch.rows * batch.cols, 1);
    const auto c = check::normal<double>(batch.images * batch.k, 2);
    const double down = dot(batch.inverse(c), g), up = dot(c, batch.adjoint(g));
    CHECK_NEAR(down, up, 1e-12 * (1 + std::sqrt(dot(c, c) * dot(g, g))));
  });
}

TEST_CASE(a_constant_has_no_details) {
  for (const Extension mode : {Extension::constant, Extension::symmetric, Extension::reflect,
                               Extension::periodic, Extension::smooth, Extension::antireflect}) {
    Batch<double> batch(1, 16, 12, daubechies4(), {1, mode});
    const auto c = batch.forward(std::vector<double>(16 * 12, 5.0));
    const auto approximation = static_cast<std::size_t>(batch.k / 4);
    for (std::size_t i = 0; i < c.size(); ++i) CHECK_NEAR(c[i], i < approximation ? 10.0 : 0.0, 1e-13);
  }
}

TEST_CASE(strips_threads_and_instruction_sets_change_no_bit) {
  const int before = num_threads();
  const Isa usual = isa();
  for (const Index n : {1, 70}) {
    Batch<float> batch(n, 370, 365, daubechies4(), {3, Extension::symmetric});
    const auto one = check::normal<float>(370 * 365);
    std::vector<float> x;
    for (Index i = 0; i < n; ++i) x.insert(x.end(), one.begin(), one.end());
    static std::vector<float> first[3];
    for (const Isa each : available_isas()) {
      set_isa(isa_name(each));
      for (const int threads : {1, 3}) {
        set_num_threads(threads);
        const auto c = batch.forward(x);
        const std::vector<float> found[3] = {c, batch.inverse(c), batch.adjoint(x)};
        for (int i = 0; i < 3; ++i) {
          if (first[i].empty()) first[i] = found[i];
          CHECK(std::equal(first[i].begin(), first[i].end(),
                           found[i].end() - static_cast<Index>(first[i].size())));
        }
      }
    }
  }
  set_isa(isa_name(usual));
  set_num_threads(before);
}

TEST_CASE(a_pixel_that_is_not_finite_is_noticed) {
  Batch<double> batch(2, 11, 8, daubechies4(), {2, Extension::zero});
  auto x = check::normal<double>(2 * 88);
  std::vector<double> out(static_cast<std::size_t>(2 * batch.k));
  const auto finite = [&] {
    return wavelet_forward<double, double>(batch.wavelet, batch.options, batch.planes<const double>(x.data()),
                                           {out.data(), batch.k, batch.k}, batch.monitor);
  };
  CHECK(finite());
  for (std::size_t i = 0; i < x.size(); i += 5) {
    const double usual = x[i];
    x[i] = i % 2 == 0 ? std::nan("") : HUGE_VAL;
    CHECK(!finite());
    x[i] = usual;
  }
}

TEST_CASE(bad_arguments_are_refused) {
  CHECK_THROWS(extension_named("mirror"), std::invalid_argument);
  CHECK(extension_named("periodization") == Extension::periodization);
  CHECK_THROWS(wavelet_coefficients(8, 8, 4, {0, Extension::zero}), std::invalid_argument);
  CHECK_THROWS(wavelet_coefficients(Index(1) << 40, Index(1) << 40, 4, {1, Extension::zero}),
               std::invalid_argument);
  Batch<double> batch(1, 8, 8, daubechies4(), {1, Extension::zero});
  batch.wavelet.rec_hi.pop_back();
  CHECK_THROWS(batch.forward(std::vector<double>(64)), std::invalid_argument);
}
