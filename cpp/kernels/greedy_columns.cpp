#include "greedy_columns.hpp"

#include <algorithm>
#include <type_traits>

#include "simd/leaf.hpp"
#include "simd/reflect_leaf.hpp"
#include "wavelens/isa.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {

WAVELENS_CHOOSE_LEAF(ReflectLeaves, reflect_leaves)

namespace {

using Index = std::ptrdiff_t;

template <class T>
ReflectLeaf<T> reflect_leaf() {
  if constexpr (std::is_same_v<T, float>) {
    return reflect_leaves().s;
  } else {
    return reflect_leaves().d;
  }
}

constexpr Index padding = 16;
constexpr Index group = 8;  // columns that share one pass over the reflectors

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

template <class T>
GreedyColumns<T>::GreedyColumns(Index rows)
    : rows_(rows), stride_((rows + padding - 1) / padding * padding) {}

template <class T>
MatrixView<T> GreedyColumns<T>::append(const Index* names, Index count) {
  batches_.emplace_back(at(stride_ * count), T(0));
  T* data = batches_.back().data();
  for (Index c = 0; c < count; ++c) {
    columns_.push_back(data + c * stride_);
    names_.push_back(names[c]);
    levels_.push_back(0);
    squares_.push_back(T(0));
  }
  return {data, rows_, count, 1, stride_};
}

template <class T>
void GreedyColumns<T>::measure() {
  const ReflectLeaf<T> leaf = reflect_leaf<T>();
  const Index first = measured_;
  parallel_ranges(size() - first, std::max<Index>(1, 65536 / stride_), [&](Index begin, Index end) {
    for (Index c = first + begin; c < first + end; ++c)
      squares_[at(c)] = purged(leaf.tail(0, stride_, columns_[at(c)]));
  });
  measured_ = size();
}

template <class T>
Index GreedyColumns<T>::best() {
  const ReflectLeaf<T> leaf = reflect_leaf<T>();
  for (;;) {
    const T top = leaf.largest(size(), squares_.data(), T(0));
    if (top == T(0)) return -1;
    // Columns a little below the top are likely to be asked for next: bring them along.
    const T near_top = top * T(0.9);
    Index winner = -1;
    stale_.clear();
    for (Index c = 0; c < size(); ++c) {
      if (squares_[at(c)] < near_top) continue;
      if (levels_[at(c)] < steps_) stale_.push_back(c);
      if (squares_[at(c)] == top && (winner < 0 || names_[at(c)] < names_[at(winner)])) winner = c;
    }
    if (levels_[at(winner)] == steps_) return winner;
    bring_up_to_date(stale_);
  }
}

template <class T>
void GreedyColumns<T>::refresh(Index position) {
  if (levels_[at(position)] < steps_) update_group(&position, 1);
}

template <class T>
T GreedyColumns<T>::residual(Index position) const {
  return std::sqrt(std::max(T(0), squares_[at(position)]));
}

template <class T>
void GreedyColumns<T>::bring_up_to_date(const std::vector<Index>& positions) {
  Index work = 0;
  for (const Index c : positions) work += (steps_ - levels_[at(c)]) * stride_;
  const Index count = static_cast<Index>(positions.size());
  const auto groups = [&](Index begin, Index end) {
    for (Index c = begin; c < end; c += group) update_group(positions.data() + c, std::min(group, end - c));
  };
  if (work < 60000) {
    groups(0, count);
  } else {
    parallel_ranges(count, std::max(group, count / 16 / group * group), groups);
  }
}

template <class T>
void GreedyColumns<T>::update_group(const Index* positions, Index count) {
  const ReflectLeaf<T> leaf = reflect_leaf<T>();
  Index oldest = steps_;
  for (Index c = 0; c < count; ++c) oldest = std::min(oldest, levels_[at(positions[c])]);
  for (Index step = oldest; step < steps_; ++step) {
    T* behind[group];
    Index n_behind = 0;
    for (Index c = 0; c < count; ++c) {
      if (levels_[at(positions[c])] <= step) behind[n_behind++] = columns_[at(positions[c])];
    }
    leaf.reflect(step, stride_, reflectors_.data() + step * stride_, behind, n_behind);
  }
  for (Index c = 0; c < count; ++c) {
    levels_[at(positions[c])] = steps_;
    squares_[at(positions[c])] = purged(leaf.tail(steps_, stride_, columns_[at(positions[c])]));
  }
}

template <class T>
void GreedyColumns<T>::take(Index position) {
  T* x = columns_[at(position)];
  reflectors_.resize(at((steps_ + 1) * stride_), T(0));
  T* v = reflectors_.data() + steps_ * stride_;
  const T norm = residual(position);
  squares_[at(position)] = T(-1);
  const T head = x[steps_];
  const T image = head < T(0) ? norm : -norm;
  if (norm > T(0)) {
    // v = (x − image·e)·√2 / ‖x − image·e‖, where ‖x − image·e‖² = 2·norm·(norm + |head|).
    const T factor = T(1) / std::sqrt(norm * (norm + std::abs(head)));
    for (Index i = steps_; i < rows_; ++i) v[i] = x[i] * factor;
    v[steps_] = (head - image) * factor;
    std::fill(x + steps_ + 1, x + rows_, T(0));
    x[steps_] = image;
  }
  ++steps_;
}

template <class T>
void GreedyColumns<T>::apply_q(T* x) const {
  const ReflectLeaf<T> leaf = reflect_leaf<T>();
  for (Index step = steps_ - 1; step >= 0; --step) {
    leaf.reflect(step, stride_, reflectors_.data() + step * stride_, &x, 1);
  }
}

template class GreedyColumns<float>;
template class GreedyColumns<double>;

}  // namespace wavelens
