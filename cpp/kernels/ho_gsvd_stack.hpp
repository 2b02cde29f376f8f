// The first stage of the HO-GSVD: the stacked matrices as [Q_1; …; Q_N]·R with orthonormal columns.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "dense.hpp"
#include "wavelens/ho_gsvd.hpp"
#include "wavelens/matrix_view.hpp"
#include "wavelens/monitor.hpp"

namespace wavelens {

template <class T>
struct Stack {
  std::vector<Dense<T>> q;  // w_i·D_i = q[i]·r·diag(scale); n_i × rank
  Dense<T> second;          // R₂ with Σ qᵢᵀqᵢ = R₂ᵀR₂ where that is not I but well-conditioned, else empty
  Dense<T> second_inverse;
  Dense<T> r;            // rank × m
  std::vector<T> scale;  // powers of two: columns of the stack over them have norms in [1, 2)
  std::vector<std::ptrdiff_t>
      pivots;  // make r[:, pivots] triangular (a column of zeros is none); empty: 0, 1, …
  std::ptrdiff_t rank = 0;
  Dense<T> excess;                             // E = Σ qᵢᵀqᵢ − I, small; empty where it is eps
  std::vector<Dense<T>> grams;                 // qᵢᵀqᵢ; empty where it has to be formed when wanted
  std::vector<unsigned char> own_rounding;     // whether the errors of q[i] are relative to q[i], not to 1
  std::function<Dense<T>(std::size_t)> fetch;  // makes q[i], where they are not kept; see Held
};

// q[i] is there as long as this lives.
template <class T>
class Held {
public:
  Held(Stack<T>& stack, std::size_t i) : stack_(stack), i_(i) {
    if (stack_.fetch) stack_.q[i_] = stack_.fetch(i_);
  }
  ~Held() {
    if (stack_.fetch) stack_.q[i_] = Dense<T>();
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

private:
  Stack<T>& stack_;
  const std::size_t i_;
};

// G_i of the orthonormal factor; it is kept no longer.
template <class T>
Dense<T> take_gram(Stack<T>& stack, std::size_t i);

// (I + E)^(½)·Z and (I + E)^(−½)·Z to first order; or R₂ᵀZ and R₂⁻¹Z.
template <class T>
struct Corrected {
  Dense<T> plus;
  Dense<T> minus;
};
template <class T>
Corrected<T> corrected(const Stack<T>& stack, MatrixView<const T> z);

// Rows of the orthonormal factor that belong to matrix i, times Z.
template <class T>
Dense<T> block_product(const Stack<T>& stack, std::size_t i, MatrixView<const T> z);

// RᵀZ in the scale of the data; Z is `corrected(…).plus`.
template <class T>
Dense<T> right_factor(const Stack<T>& stack, MatrixView<const T> z);

// `weights` has one entry a matrix; rtol as in HoGsvdOptions, but not negative.
template <class T>
Stack<T> stack_factor(const std::vector<MatrixView<const T>>& matrices, const std::vector<double>& weights,
                      double rtol, Monitor& monitor);

// The stack of matrices that are read when they are wanted, from the triangular factor of all.
template <class T>
Stack<T> streamed_stack(std::size_t count, const MatrixReader<T>& read, MatrixView<const T> factor,
                        const std::vector<double>& weights, double rtol, Monitor& monitor);

}  // namespace wavelens
