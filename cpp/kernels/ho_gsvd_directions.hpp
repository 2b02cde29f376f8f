// The second stage of the HO-GSVD: the orthogonal Z whose columns are the common directions of the Q_i.
#pragma once

#include <cstddef>
#include <vector>

#include "dense.hpp"
#include "ho_gsvd_stack.hpp"
#include "wavelens/monitor.hpp"

namespace wavelens {

template <class T>
struct Directions {
  Dense<T> z;                           // rank × rank
  std::vector<double> tau;              // ascending; equal inside a cluster
  std::vector<unsigned char> resolved;  // the direction itself is determined, not only a subspace it lies in
  double isolated_below = 0;            // a direction belongs to one matrix where the other σ are not larger
};

// Any number of matrices.
template <class T>
Directions<T> general_directions(Stack<T>& stack, double ridge, Monitor& monitor);

// Two matrices: the CS decomposition.
template <class T>
Directions<T> pair_directions(Stack<T>& stack, double ridge, Monitor& monitor);

}  // namespace wavelens
