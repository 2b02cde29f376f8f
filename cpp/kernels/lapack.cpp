#include "wavelens/lapack.hpp"

namespace wavelens {

template <class T>
Lapack<T>& lapack() {
  static Lapack<T> table{};
  return table;
}

template Lapack<float>& lapack<float>();
template Lapack<double>& lapack<double>();

}  // namespace wavelens
