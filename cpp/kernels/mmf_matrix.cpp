#include "mmf_matrix.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "wavelens/gemm.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;
constexpr Index block_levels = 64;  // downdates made together

// Rows and columns are read a page apart: large pages spare most of the misses of the address cache.
void ask_for_large_pages(Buffer<double>& x) {
#ifdef __linux__
  constexpr std::uintptr_t page = std::uintptr_t{1} << 21u;
  const auto first = (reinterpret_cast<std::uintptr_t>(x.data()) + page - 1) / page * page;
  const auto last = reinterpret_cast<std::uintptr_t>(x.data() + x.size()) / page * page;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): only an advice, which may be refused
  if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
  (void)x;
#endif
}

// k entries of a row, at the tuple's places, become combinations of one another.
template <int k>
inline void rotate_few(double* row, const Index* places, const double* rotation) {
  double before[k];
  for (int i = 0; i < k; ++i) before[i] = row[places[i]];
  for (int i = 0; i < k; ++i) {
    double sum = rotation[i * k] * before[0];
    for (int j = 1; j < k; ++j) sum += rotation[i * k + j] * before[j];
    row[places[i]] = sum;
  }
}

void rotate_many(Index k, double* row, const Index* places, const double* rotation) {
  constexpr Index few = 64;
  double on_stack[few];
  std::vector<double> on_heap(k > few ? k : 0);
  double* before = k > few ? on_heap.data() : on_stack;
  for (Index i = 0; i < k; ++i) before[i] = row[places[i]];
  for (Index i = 0; i < k; ++i) {
    double sum = rotation[i * k] * before[0];
    for (Index j = 1; j < k; ++j) sum += rotation[i * k + j] * before[j];
    row[places[i]] = sum;
  }
}

}  // namespace

MmfMatrix::MmfMatrix(MatrixView<const double> c, Index order, int exponent, bool with_gram)
    : leaf_(mmf_leaf()), k_(order), n_(c.rows), stride_((c.rows + 7) / 8 * 8), with_gram_(with_gram) {
  if (stride_ % 512 == 0) stride_ += 8;  // rows that start alike compete for the same places in the cache
  active_.resize(n_);
  std::iota(active_.begin(), active_.end(), Index(0));
  place_ = index_ = active_;
  alive_.assign(n_, 1);
  c_stamp_.assign(n_, 0);
  c_.resize(n_ * stride_);
  ask_for_large_pages(c_);
  // In two steps: 2^exponent alone may be no number.
  const double half = std::ldexp(1.0, exponent / 2), other_half = std::ldexp(1.0, exponent - exponent / 2);
  const MatrixView<const double> from = c.col_stride == 1 ? c : c.transposed();
  std::vector<double> norms(n_);
  parallel_ranges(n_, 16, [&](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) {
      double* row = c_.data() + i * stride_;
      for (Index j = 0; j < n_; ++j) row[j] = from(i, j) * half * other_half;
      std::fill(row + n_, row + stride_, 0.0);
      norms[i] = leaf_.dot(stride_, row, row);
    }
  });
  squared_norm_ = std::accumulate(norms.begin(), norms.end(), 0.0);
  tiny_ = std::numeric_limits<double>::epsilon() * squared_norm_;
  rows_.resize(k_);
  lanes_.resize(8 * k_);
  c_weight_.assign(stride_, 0.0);
  for (Index p = 0; p < n_; ++p) weigh(p);
  if (with_gram_) start_gram();
}

void MmfMatrix::weigh(Index p) {
  const double size = std::abs(c_[p * stride_ + p]);
  const double least = std::numeric_limits<double>::epsilon() * std::sqrt(squared_norm_);
  c_weight_[p] = size > least ? 1 / std::sqrt(size) : 0;
}

void MmfMatrix::start_gram() {
  g_.resize(n_ * stride_);
  ask_for_large_pages(g_);
  g_stamp_.assign(n_, 0);
  pending_.assign(block_levels * stride_, 0.0);
  diagonal_.assign(stride_, 0.0);
  weight_.assign(stride_, 0.0);
  const MatrixView<const double> rows{c_.data(), n_, n_, stride_, 1};
  gram<double>(1, rows, {g_.data(), n_, n_, 1, stride_});
  for (Index i = 0; i < n_; ++i) {
    std::fill(g_.begin() + i * stride_ + n_, g_.begin() + (i + 1) * stride_, 0.0);
    diagonal_[i] = g_[i * stride_ + i];
    weight_[i] = diagonal_[i] > tiny_ ? 1 / std::sqrt(diagonal_[i]) : 0;
  }
}

void MmfMatrix::begin_gram() {
  compact();
  with_gram_ = true;
  start_gram();
}

double MmfMatrix::entry(const Buffer<double>& x, const std::vector<Index>& stamp, Index p, Index q) const {
  return stamp[p] >= stamp[q] ? x[p * stride_ + q] : x[q * stride_ + p];
}

void MmfMatrix::block(const Index* tuple, Index count, double* f) const {
  for (Index i = 0; i < count; ++i) {
    for (Index j = 0; j <= i; ++j) {
      f[i * count + j] = f[j * count + i] = entry(c_, c_stamp_, place_[tuple[i]], place_[tuple[j]]);
    }
  }
}

void MmfMatrix::gram_block(const Index* tuple, Index count, double* g) const {
  for (Index i = 0; i < count; ++i) {
    for (Index j = 0; j <= i; ++j) {
      const Index p = place_[tuple[i]], q = place_[tuple[j]];
      double value = 0;
      if (with_gram_) {
        value = entry(g_, g_stamp_, p, q);
        for (Index l = 0; l < n_pending_; ++l) value -= pending_[l * stride_ + p] * pending_[l * stride_ + q];
      } else {
        value = leaf_.dot(padded(), c_.data() + p * stride_, c_.data() + q * stride_);
      }
      g[i * count + j] = g[j * count + i] = value;
    }
  }
}

void MmfMatrix::rotate_entries(double* row, const Index* places, const double* rotation) const {
  switch (k_) {
    case 2:
      return rotate_few<2>(row, places, rotation);
    case 3:
      return rotate_few<3>(row, places, rotation);
    case 4:
      return rotate_few<4>(row, places, rotation);
    case 5:
      return rotate_few<5>(row, places, rotation);
    default:
      return rotate_many(k_, row, places, rotation);
  }
}

void MmfMatrix::freshen_row(Buffer<double>& x, std::vector<Index>& stamp, Index p) {
  double* row = x.data() + p * stride_;
  for (Index l = stamp[p]; l < n_past_; ++l) {
    rotate_entries(row, past_places_.data() + l * k_, past_rotations_.data() + l * k_ * k_);
    row[past_finished_[l]] = 0;
  }
  stamp[p] = n_past_;
}

void MmfMatrix::freshen_all(Buffer<double>& x, std::vector<Index>& stamp) {
  parallel_ranges(n_, 16, [&](Index begin, Index end) {
    for (Index p = begin; p < end; ++p) {
      if (alive_[p]) freshen_row(x, stamp, p);
    }
  });
}

void MmfMatrix::rotate_rows(Buffer<double>& x, std::vector<Index>& stamp, const Index* places,
                            const double* rotation) {
  for (Index i = 0; i < k_; ++i) freshen_row(x, stamp, places[i]);
  for (Index i = 0; i < k_; ++i) rows_[i] = x.data() + places[i] * stride_;
  leaf_.mix(padded(), k_, rows_.data(), rotation, lanes_.data());
  for (Index i = 0; i < k_; ++i) {
    rotate_entries(x.data() + places[i] * stride_, places, rotation);
    stamp[places[i]] = n_past_ + 1;
  }
}

MmfMatrix::Finished MmfMatrix::rotate(const Index* tuple, const double* rotation, Index at) {
  std::vector<Index> places(k_);
  for (Index i = 0; i < k_; ++i) places[i] = place_[tuple[i]];
  const Index s = places[at];
  rotate_rows(c_, c_stamp_, places.data(), rotation);
  double* wavelet = c_.data() + s * stride_;
  Finished done;
  done.frequency = wavelet[s];
  for (const Index p : places) {
    c_[p * stride_ + s] = 0;
    weigh(p);
  }
  wavelet[s] = 0;
  done.error = 2 * leaf_.dot(padded(), wavelet, wavelet);
  if (with_gram_) {
    rotate_rows(g_, g_stamp_, places.data(), rotation);
    for (Index l = 0; l < n_pending_; ++l) {
      rotate_entries(pending_.data() + l * stride_, places.data(), rotation);
      pending_[l * stride_ + s] = 0;
    }
    std::copy_n(wavelet, stride_, pending_.begin() + n_pending_ * stride_);
    for (const Index p : places) {
      double value = g_[p * stride_ + p];
      for (Index l = 0; l < n_pending_; ++l) value -= pending_[l * stride_ + p] * pending_[l * stride_ + p];
      diagonal_[p] = value;
      g_[p * stride_ + s] = 0;
    }
    diagonal_[s] = 0;
    ++n_pending_;
    leaf_.shrink(padded(), wavelet, tiny_, diagonal_.data(), weight_.data());
  }
  past_places_.insert(past_places_.end(), places.begin(), places.end());
  past_rotations_.insert(past_rotations_.end(), rotation, rotation + k_ * k_);
  past_finished_.push_back(s);
  ++n_past_;
  alive_[s] = 0;
  place_[tuple[at]] = -1;
  active_.erase(std::lower_bound(active_.begin(), active_.end(), tuple[at]));
  if (n_pending_ == block_levels) downdate();
  // A product pays for what is finished too; rotations hardly do.
  const Index left = static_cast<Index>(active_.size());
  if (n_ > 64 && (with_gram_ ? left * 6 < n_ * 5 : left * 2 < n_)) compact();
  return done;
}

void MmfMatrix::downdate() {
  freshen_all(g_, g_stamp_);
  const MatrixView<const double> rows{pending_.data(), n_pending_, n_, stride_, 1};
  gram<double>(-1, rows, {g_.data(), n_, n_, 1, stride_}, 1);
  n_pending_ = 0;
  for (Index p = 0; p < n_; ++p) diagonal_[p] = alive_[p] ? g_[p * stride_ + p] : 0;
}

void MmfMatrix::compact() {
  freshen_all(c_, c_stamp_);
  if (with_gram_) downdate();
  std::vector<Index> kept;
  kept.reserve(active_.size());
  for (const Index i : active_) kept.push_back(place_[i]);
  compact(c_, kept);
  if (with_gram_) compact(g_, kept);
  n_ = static_cast<Index>(kept.size());
  for (Index p = 0; p < n_; ++p) {
    index_[p] = active_[p];
    place_[active_[p]] = p;
    c_weight_[p] = c_weight_[kept[p]];
    if (with_gram_) {
      diagonal_[p] = diagonal_[kept[p]];
      weight_[p] = weight_[kept[p]];
    }
  }
  for (auto* each : {&c_weight_, &weight_, &diagonal_}) {
    if (!each->empty()) std::fill(each->begin() + n_, each->end(), 0.0);
  }
  alive_.assign(n_, 1);
  c_stamp_.assign(n_, 0);
  g_stamp_.assign(n_, 0);
  past_places_.clear();
  past_rotations_.clear();
  past_finished_.clear();
  n_past_ = 0;
}

void MmfMatrix::compact(Buffer<double>& x, const std::vector<Index>& kept) {
  // Rows first to themselves, in parallel; then rows move up.
  parallel_ranges(static_cast<Index>(kept.size()), 16, [&](Index begin, Index end) {
    for (Index p = begin; p < end; ++p) {
      double* row = x.data() + kept[p] * stride_;
      for (std::size_t q = 0; q < kept.size(); ++q) row[q] = row[kept[q]];
      std::fill(row + kept.size(), row + stride_, 0.0);
    }
  });
  for (std::size_t p = 0; p < kept.size(); ++p) {
    if (static_cast<Index>(p) != kept[p])
      std::copy_n(x.data() + kept[p] * stride_, stride_, x.data() + p * stride_);
  }
}

void MmfMatrix::select(const double* values, const double* weights, Index self, Index count,
                       Index* out) const {
  thread_local std::vector<double> best;
  best.assign(count, 0.0);
  Index found = 0;
  const Index n = padded();
  for (Index p = 0;; ++p) {
    p = leaf_.next_above(n, values, weights, best[count - 1], p);
    if (p >= n) break;
    if (p == self) continue;
    const double key = std::abs(values[p]) * weights[p];
    Index at = std::min(found, count - 1);
    for (; at > 0 && key > best[at - 1]; --at) {
      best[at] = best[at - 1];
      out[at] = out[at - 1];
    }
    best[at] = key;
    out[at] = index_[p];
    found = std::min(found + 1, count);
  }
  // Nothing else is similar at all: the lowest indices.
  for (const Index i : active_) {
    if (found == count) break;
    if (place_[i] != self && std::find(out, out + found, i) == out + found) out[found++] = i;
  }
}

void MmfMatrix::nearest(Index i, Index count, Index* out, double* scratch) const {
  const Index p = place_[i];
  if (weight_[p] == 0) {
    std::fill_n(scratch, padded(), 0.0);
  } else {
    double factors[block_levels];
    for (Index l = 0; l < n_pending_; ++l) factors[l] = pending_[l * stride_ + p];
    leaf_.subtract(padded(), n_pending_, factors, pending_.data(), stride_, g_.data() + p * stride_, scratch);
  }
  select(scratch, weight_.data(), p, count, out);
}

void MmfMatrix::nearest_in_c(Index i, Index count, Index* out) const {
  const Index p = place_[i];
  select(c_.data() + p * stride_, c_weight_.data(), p, count, out);
}

std::vector<double> MmfMatrix::core() {
  const Index n = static_cast<Index>(active_.size());
  freshen_all(c_, c_stamp_);
  std::vector<double> out(n * n);
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j <= i; ++j)
      out[i * n + j] = out[j * n + i] = entry(c_, c_stamp_, place_[active_[i]], place_[active_[j]]);
  }
  return out;
}

}  // namespace wavelens
