// The steps of a mask's search, for a batch of images. Arrays are C-contiguous and of one dtype; results go
// into arrays of the caller's.
#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/mask.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;
using Words = py::array_t<std::uint32_t, py::array::c_style>;

template <class T>
const T* plain(const py::array& a, const char* name) {
  if (!holds<T>(a) || (a.flags() & py::array::c_style) == 0)
    throw py::value_error(std::string(name) + " must be C-contiguous and of the dtype of the others");
  check_aligned(a);
  return static_cast<const T*>(a.data());
}

template <class T>
T* plain_out(py::array& a, const char* name) {
  plain<T>(a, name);
  return static_cast<T*>(a.mutable_data());  // throws if it is read-only
}

void expect(bool fits, const char* message) {
  if (!fits) throw py::value_error(message);
}

// What mix and reduce have in common.
struct Batch {
  py::array masks, coefficients, mean;
  py::object deviation;
  std::uint64_t seed;
  Words images, streams;
  std::uint32_t first_sample;

  Index count() const { return masks.shape(0); }
  Index channels() const { return coefficients.shape(1); }
  Index k() const { return masks.shape(1); }

  // (images, channels or 1, k)
  bool is_noise(const py::array& a) const {
    return a.ndim() == 3 && a.shape(0) == count() && (a.shape(1) == channels() || a.shape(1) == 1) &&
           a.shape(2) == k();
  }
  void check() const {
    expect(masks.ndim() == 2 && masks.size() > 0, "masks must have shape (images, k)");
    expect(coefficients.ndim() == 3 && coefficients.shape(0) == count() && coefficients.shape(2) == k() &&
               channels() > 0,
           "coefficients must have shape (images, channels, k)");
    expect(is_noise(mean), "mean must have shape (images, channels or 1, k)");
    expect(deviation.is_none() || is_noise(py::reinterpret_borrow<py::array>(deviation)),
           "deviation must have shape (images, channels or 1, k)");
    expect(images.ndim() == 1 && images.shape(0) == count() && streams.ndim() == 1 &&
               streams.shape(0) == count(),
           "images and streams must have one entry for each image");
  }
  template <class T>
  MaskedImage<T> image(Index i) const {
    MaskedImage<T> image;
    image.mask = plain<T>(masks, "masks") + i * k();
    image.coefficients = plain<T>(coefficients, "coefficients") + i * channels() * k();
    image.channel_stride = k();
    MaskNoise<T>& noise = image.noise;
    noise.mean = plain<T>(mean, "mean") + i * mean.shape(1) * k();
    noise.mean_stride = mean.shape(1) == 1 ? 0 : k();
    if (!deviation.is_none()) {
      const auto a = py::reinterpret_borrow<py::array>(deviation);
      noise.deviation = plain<T>(a, "deviation") + i * a.shape(1) * k();
      noise.deviation_stride = a.shape(1) == 1 ? 0 : k();
    }
    noise.seed = seed;
    noise.image = images.data()[i];
    noise.stream = streams.data()[i];
    return image;
  }
  template <class T>
  std::vector<MaskedImage<T>> all() const {
    std::vector<MaskedImage<T>> found;
    for (Index i = 0; i < count(); ++i) found.push_back(image<T>(i));
    return found;
  }
  template <class T>
  MaskSamples<T> samples(T* data, Index n, Index i) const {
    const Index plane = channels() * k();
    return {data + i * n * plane, plane, k(), n, channels(), k(), first_sample};
  }
  bool fits(const py::array& a) const {
    return a.ndim() == 4 && a.shape(0) == count() && a.shape(2) == channels() && a.shape(3) == k();
  }
};

void mix(const py::array& masks, const py::array& coefficients, const py::array& mean,
         const py::object& deviation, std::uint64_t seed, const Words& images, const Words& streams,
         std::uint32_t first_sample, py::array out) {
  const Batch batch{masks, coefficients, mean, deviation, seed, images, streams, first_sample};
  batch.check();
  expect(batch.fits(out), "out must have shape (images, samples, channels, k)");
  for_dtype(out, [&](auto zero) {
    using T = decltype(zero);
    const auto all = batch.all<T>();
    T* const data = plain_out<T>(out, "out");
    const Index n = out.shape(1);
    without_gil([&] {
      for (std::size_t i = 0; i < all.size(); ++i)
        mask_mix<T>(all[i], batch.samples<T>(data, n, static_cast<Index>(i)));
    });
  });
}

void reduce(const py::array& masks, const py::array& coefficients, const py::array& mean,
            const py::object& deviation, std::uint64_t seed, const Words& images, const Words& streams,
            std::uint32_t first_sample, const py::array& gradients, py::array out) {
  const Batch batch{masks, coefficients, mean, deviation, seed, images, streams, first_sample};
  batch.check();
  expect(batch.fits(gradients), "gradients must have shape (images, samples, channels, k)");
  expect(out.ndim() == 2 && out.shape(0) == batch.count() && out.shape(1) == batch.k(),
         "out must have the shape of masks");
  for_dtype(out, [&](auto zero) {
    using T = decltype(zero);
    const auto all = batch.all<T>();
    const T* const data = plain<T>(gradients, "gradients");
    T* const sum = plain_out<T>(out, "out");
    const Index n = gradients.shape(1), k = batch.k();
    without_gil([&] {
      for (std::size_t i = 0; i < all.size(); ++i) {
        const auto at = static_cast<Index>(i);
        mask_reduce<T>(all[i], batch.samples<const T>(data, n, at), sum + at * k);
      }
    });
  });
}

void clamp(py::array values) {
  for_dtype(values, [&](auto zero) {
    using T = decltype(zero);
    T* const data = plain_out<T>(values, "values");
    const Index n = values.size();
    without_gil([&] { mask_clamp<T>(n, data); });
  });
}

void gate(const py::array& clamped, py::array gradient) {
  expect(clamped.size() == gradient.size(), "clamped and gradient must have one shape");
  for_dtype(gradient, [&](auto zero) {
    using T = decltype(zero);
    const T* const from = plain<T>(clamped, "clamped");
    T* const to = plain_out<T>(gradient, "gradient");
    const Index n = gradient.size();
    without_gil([&] { mask_gate<T>(n, from, to); });
  });
}

void update(py::array mask, const py::array& sum, py::array first, py::array second, py::array free,
            double rate, double beta1, double beta2, double epsilon, double correction1, double correction2,
            double slack, double scale, double shift) {
  expect(mask.size() == sum.size() && mask.size() == first.size() && mask.size() == second.size() &&
             mask.size() == free.size(),
         "mask, sum, first, second and free must have one shape");
  const MaskStep step{rate, beta1, beta2, epsilon, correction1, correction2, slack, scale, shift};
  for_dtype(mask, [&](auto zero) {
    using T = decltype(zero);
    T* const s = plain_out<T>(mask, "mask");
    const T* const g = plain<T>(sum, "sum");
    T* const m = plain_out<T>(first, "first");
    T* const v = plain_out<T>(second, "second");
    T* const y = plain_out<T>(free, "free");
    const Index k = mask.size();
    without_gil([&] { mask_update<T>(step, k, g, m, v, y, s); });
  });
}

py::array_t<float> normals(std::uint64_t seed, std::uint32_t image, std::uint32_t stream,
                           std::uint32_t sample, std::uint32_t channel, Index n) {
  expect(n >= 0, "n must not be negative");
  py::array_t<float> out(n);
  mask_normals(seed, image, stream, sample, channel, n, out.mutable_data());
  return out;
}

}  // namespace

void register_mask(py::module_& m) {
  m.def("mask_mix", &mix, py::arg("masks"), py::arg("coefficients"), py::arg("mean"), py::arg("deviation"),
        py::arg("seed"), py::arg("images"), py::arg("streams"), py::arg("first_sample"), py::arg("out"));
  m.def("mask_reduce", &reduce, py::arg("masks"), py::arg("coefficients"), py::arg("mean"),
        py::arg("deviation"), py::arg("seed"), py::arg("images"), py::arg("streams"), py::arg("first_sample"),
        py::arg("gradients"), py::arg("out"));
  m.def("mask_clamp", &clamp, py::arg("values"));
  m.def("mask_gate", &gate, py::arg("clamped"), py::arg("gradient"));
  m.def("mask_update", &update, py::arg("mask"), py::arg("sum"), py::arg("first"), py::arg("second"),
        py::arg("free"), py::arg("rate"), py::arg("beta1"), py::arg("beta2"), py::arg("epsilon"),
        py::arg("correction1"), py::arg("correction2"), py::arg("slack"), py::arg("scale"), py::arg("shift"));
  m.def("mask_normals", &normals, py::arg("seed"), py::arg("image"), py::arg("stream"), py::arg("sample"),
        py::arg("channel"), py::arg("n"));
}

}  // namespace wavelens
