// The steps of a mask's search, for a batch of images. Arrays are C-contiguous and of one dtype; results go
// into arrays of the caller's.
#include "arrays.hpp"
#include "registers.hpp"
#include "wavelens/mask.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;
using Words = Contiguous<std::uint32_t>;

template <class T>
const T* plain(const py::array& a, const char* name) {
  check_dtype<T>(a, name);
  expect((a.flags() & py::array::c_style) != 0, name, "must be C-contiguous");
  check_aligned(a, name);
  return static_cast<const T*>(a.data());
}

template <class T>
T* plain_out(py::array& a, const char* name) {
  plain<T>(a, name);
  return mutable_entries<T>(a, name);
}

void expect_like(const py::array& a, const py::array& other, const char* name, const char* other_name) {
  bool same = a.ndim() == other.ndim();
  for (py::ssize_t axis = 0; same && axis < a.ndim(); ++axis) same = a.shape(axis) == other.shape(axis);
  expect(same, name,
         "must have the shape of `" + std::string(other_name) + "`, " + shape_of(other) + ", got " +
             shape_of(a));
}

// What mix and reduce have in common. Numbers of images and streams are copied, so that they stay what they
// are.
struct Batch {
  py::array masks, coefficients, mean;
  py::object deviation;
  std::uint64_t seed;
  Words images, streams;
  std::uint32_t first_sample;

  Batch(const py::array& masks_, const py::array& coefficients_, const py::array& mean_,
        const py::object& deviation_, std::uint64_t seed_, const py::array& images_,
        const py::array& streams_, std::uint32_t first)
      : masks(masks_),
        coefficients(coefficients_),
        mean(mean_),
        deviation(deviation_),
        seed(seed_),
        images(contiguous<std::uint32_t>(images_, "images")),
        streams(contiguous<std::uint32_t>(streams_, "streams")),
        first_sample(first) {
    check();
  }

  Index count() const { return masks.shape(0); }
  Index channels() const { return coefficients.shape(1); }
  Index k() const { return masks.shape(1); }

  // (images, channels or 1, k)
  bool is_noise(const py::array& a) const {
    return a.ndim() == 3 && a.shape(0) == count() && (a.shape(1) == channels() || a.shape(1) == 1) &&
           a.shape(2) == k();
  }
  void check() const {
    expect(masks.ndim() == 2 && masks.size() > 0, "masks",
           "must have shape (images, k), neither of them 0, got shape " + shape_of(masks));
    expect(coefficients.ndim() == 3 && coefficients.shape(0) == count() && coefficients.shape(2) == k() &&
               channels() > 0,
           "coefficients", "must have shape (images, channels, k), got shape " + shape_of(coefficients));
    expect(is_noise(mean), "mean", "must have shape (images, channels or 1, k), got shape " + shape_of(mean));
    if (!deviation.is_none()) {
      if (!py::isinstance<py::array>(deviation)) throw py::type_error("`deviation` must be an array or None");
      const auto a = py::reinterpret_borrow<py::array>(deviation);
      expect(is_noise(a), "deviation",
             "must have shape (images, channels or 1, k), got shape " + shape_of(a));
    }
    expect_shape(images, {count()}, "images", "(images,)");
    expect_shape(streams, {count()}, "streams", "(images,)");
  }
  void check_out(const py::array& out) const {
    expect_apart(out, "out",
                 {{masks, "masks"},
                  {coefficients, "coefficients"},
                  {mean, "mean"},
                  {deviation, "deviation"},
                  {images, "images"},
                  {streams, "streams"}});
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
         const py::object& deviation, std::uint64_t seed, const py::array& images, const py::array& streams,
         std::uint32_t first_sample, py::array out) {
  const Batch batch(masks, coefficients, mean, deviation, seed, images, streams, first_sample);
  expect(batch.fits(out), "out",
         "must have shape (images, samples, channels, k), got shape " + shape_of(out));
  batch.check_out(out);
  PythonMonitor monitor;
  for_dtype(out, "out", [&](auto zero) {
    using T = decltype(zero);
    const auto all = batch.all<T>();
    T* const data = plain_out<T>(out, "out");
    const Index n = out.shape(1);
    without_gil(monitor, [&] {
      for (std::size_t i = 0; i < all.size(); ++i)
        mask_mix<T>(all[i], batch.samples<T>(data, n, static_cast<Index>(i)));
    });
  });
}

void reduce(const py::array& masks, const py::array& coefficients, const py::array& mean,
            const py::object& deviation, std::uint64_t seed, const py::array& images,
            const py::array& streams, std::uint32_t first_sample, const py::array& gradients, py::array out) {
  const Batch batch(masks, coefficients, mean, deviation, seed, images, streams, first_sample);
  expect(batch.fits(gradients), "gradients",
         "must have shape (images, samples, channels, k), got shape " + shape_of(gradients));
  expect_like(out, masks, "out", "masks");
  batch.check_out(out);
  expect_apart(out, "out", {{gradients, "gradients"}});
  PythonMonitor monitor;
  for_dtype(out, "out", [&](auto zero) {
    using T = decltype(zero);
    const auto all = batch.all<T>();
    const T* const data = plain<T>(gradients, "gradients");
    T* const sum = plain_out<T>(out, "out");
    const Index n = gradients.shape(1), k = batch.k();
    without_gil(monitor, [&] {
      for (std::size_t i = 0; i < all.size(); ++i) {
        check_interrupted();
        const auto at = static_cast<Index>(i);
        mask_reduce<T>(all[i], batch.samples<const T>(data, n, at), sum + at * k);
      }
    });
  });
}

void clamp(py::array values) {
  for_dtype(values, "values", [&](auto zero) {
    using T = decltype(zero);
    T* const data = plain_out<T>(values, "values");
    const Index n = values.size();
    without_gil([&] { mask_clamp<T>(n, data); });
  });
}

void gate(const py::array& clamped, py::array gradient) {
  expect_like(gradient, clamped, "gradient", "clamped");
  expect_apart(gradient, "gradient", {{clamped, "clamped"}});
  for_dtype(gradient, "gradient", [&](auto zero) {
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
  expect_like(sum, mask, "sum", "mask");
  expect_like(first, mask, "first", "mask");
  expect_like(second, mask, "second", "mask");
  expect_like(free, mask, "free", "mask");
  expect_apart(mask, "mask", {{sum, "sum"}, {first, "first"}, {second, "second"}, {free, "free"}});
  expect_apart(first, "first", {{sum, "sum"}, {second, "second"}, {free, "free"}});
  expect_apart(second, "second", {{sum, "sum"}, {free, "free"}});
  expect_apart(free, "free", {{sum, "sum"}});
  const MaskStep step{rate, beta1, beta2, epsilon, correction1, correction2, slack, scale, shift};
  for_dtype(mask, "mask", [&](auto zero) {
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
  expect_side(n, "n");
  py::array_t<float> out(n);
  float* const data = out.mutable_data();
  PythonMonitor monitor;
  without_gil(monitor, [&] { mask_normals(seed, image, stream, sample, channel, n, data); });
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
