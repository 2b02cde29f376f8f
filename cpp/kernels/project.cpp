// Let Q (n × k) have orthonormal columns. Every x in Rⁿ is QQᵀx, what the subspace holds, plus what it does
// not; by Pythagoras their energies add up. Two products do all the work, C = XQ and CQᵀ, so the rest of it,
// a difference and two sums of squares, is done strip by strip of rows while the strip is in cache: the
// samples are read once, every part is written once.
//
// Where x lies almost wholly in the subspace, x − QQᵀx is a small difference of large numbers. It is as small
// as it should be, but the rounding of the products, eps·‖x‖, leaves a component along Q in it that may be as
// large as itself. Projecting the difference once more, and moving what is found to the other part, takes it
// out: twice is enough (Kahan, in Parlett's book). Only rows whose outside holds less than 1e-4 of the energy
// need it.
//
// Where the energies alone are wanted, ‖QQᵀx‖² = ‖Qᵀx‖² spares the second product; the other energy is the
// difference to ‖x‖² unless that would cancel (less than 1e-2 of it is left), when the row goes the full way.
//
// Sums of squares are in float64, of eight lanes each, so that they don't depend on threads.
//
// B. N. Parlett, The Symmetric Eigenvalue Problem, SIAM 1998, section 6.9.

#include "wavelens/project.hpp"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "wavelens/buffer.hpp"
#include "wavelens/gemm.hpp"
#include "wavelens/thread_pool.hpp"

namespace wavelens {
namespace {

using Index = std::ptrdiff_t;

constexpr Index strip = 1536;        // rows at a time: several tasks of the product
constexpr Index grain = 16;          // rows for a task of the sums
constexpr double faint = 1e-4;       // share of the energy below which a difference is projected again
constexpr double cancelling = 1e-2;  // and below which it is not taken from energies alone

template <class T>
double energy(const T* x, Index n, Index stride) {
  double lanes[8] = {};
  Index j = 0;
  if (stride == 1) {
    for (; j + 8 <= n; j += 8) {
      for (int lane = 0; lane < 8; ++lane) {
        const double value = static_cast<double>(x[j + lane]);
        lanes[lane] += value * value;
      }
    }
  }
  for (; j < n; ++j) {
    const double value = static_cast<double>(x[j * stride]);
    lanes[j % 8] += value * value;
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

template <class T>
double row_energy(MatrixView<const T> x, Index i) {
  return energy(x.data + i * x.row_stride, x.cols, x.col_stride);
}

template <class T>
class Splitter {
public:
  Splitter(MatrixView<const T> basis, const ProjectedRows<T>& out) : basis_(basis), out_(out) {}

  // Rows [first, first + x.rows) of all, which are those of x.
  void full(MatrixView<const T> x, Index first) {
    const MatrixView<T> inside = place(out_.inside, own_inside_, first, x.rows);
    const MatrixView<T> outside = place(out_.outside, own_outside_, first, x.rows);
    multiply(x, inside);
    parallel_ranges(x.rows, grain, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        for (Index j = 0; j < x.cols; ++j) outside(i, j) = x(i, j) - inside(i, j);
        out_.inside_energy[first + i] = row_energy<T>(inside, i);
        out_.outside_energy[first + i] = row_energy<T>(outside, i);
      }
    });
    std::vector<Index> again;
    for (Index i = 0; i < x.rows; ++i) {
      const double in = out_.inside_energy[first + i], rest = out_.outside_energy[first + i];
      if (rest > 0 && rest < faint * in) again.push_back(i);
    }
    if (!again.empty()) repeat(again, inside, outside, first);
  }

  void energies(MatrixView<const T> x, Index first) {
    const MatrixView<T> c = coefficients(x);
    parallel_ranges(x.rows, grain, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        const double total = row_energy(x, i);
        out_.inside_energy[first + i] = row_energy<T>(c, i);
        out_.outside_energy[first + i] = total - out_.inside_energy[first + i];
      }
    });
    for (Index i = 0; i < x.rows;) {
      // Runs of neighbours, as one product each.
      Index end = i;
      while (end < x.rows && cancels(first + end)) ++end;
      if (end > i) full(x.block(i, 0, end - i, x.cols), first + i);
      i = std::max(end, i + 1);
    }
  }

private:
  bool cancels(Index row) const { return out_.outside_energy[row] < cancelling * out_.inside_energy[row]; }

  MatrixView<T> place(MatrixView<T> wanted, Buffer<T>& own, Index first, Index rows) {
    if (wanted.data) return wanted.block(first, 0, rows, wanted.cols);
    own.resize(static_cast<std::size_t>(std::max(rows * basis_.rows, static_cast<Index>(own.size()))));
    return row_major(own.data(), rows, basis_.rows);
  }

  MatrixView<T> coefficients(MatrixView<const T> x) {
    coefficients_.resize(static_cast<std::size_t>(x.rows * basis_.cols));
    const MatrixView<T> c = row_major(coefficients_.data(), x.rows, basis_.cols);
    gemm<T>(T(1), x, basis_, T(0), c);
    return c;
  }

  void multiply(MatrixView<const T> x, MatrixView<T> inside) {
    const MatrixView<T> c = coefficients(x);
    gemm<T>(T(1), c, basis_.transposed(), T(0), inside);
  }

  void repeat(const std::vector<Index>& again, MatrixView<T> inside, MatrixView<T> outside, Index first) {
    const Index count = static_cast<Index>(again.size()), n = basis_.rows;
    Buffer<T> left(static_cast<std::size_t>(count * n)), found(left.size());
    const MatrixView<T> rest = row_major(left.data(), count, n), moved = row_major(found.data(), count, n);
    for (Index i = 0; i < count; ++i) {
      for (Index j = 0; j < n; ++j) rest(i, j) = outside(again[static_cast<std::size_t>(i)], j);
    }
    multiply(rest, moved);
    parallel_ranges(count, grain, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        const Index row = again[static_cast<std::size_t>(i)];
        for (Index j = 0; j < n; ++j) {
          outside(row, j) -= moved(i, j);
          inside(row, j) += moved(i, j);
        }
        out_.inside_energy[first + row] = row_energy<T>(inside, row);
        out_.outside_energy[first + row] = row_energy<T>(outside, row);
      }
    });
  }

  MatrixView<const T> basis_;
  const ProjectedRows<T>& out_;
  Buffer<T> coefficients_, own_inside_, own_outside_;
};

template <class T>
void check(MatrixView<const T> basis, MatrixView<const T> rows, const ProjectedRows<T>& out) {
  const auto fits = [&](const MatrixView<T>& part) {
    return !part.data || (part.rows == rows.rows && part.cols == rows.cols);
  };
  if (basis.rows != rows.cols || !fits(out.inside) || !fits(out.outside))
    throw std::invalid_argument("basis, rows and parts must have as many entries in a row");
  if (!out.inside_energy || !out.outside_energy)
    throw std::invalid_argument("both energies must have a place to go");
}

}  // namespace

template <class T>
void project(MatrixView<const T> basis, MatrixView<const T> rows, const ProjectedRows<T>& out,
             Monitor& monitor) {
  check(basis, rows, out);
  Splitter<T> splitter(basis, out);
  const bool parts = out.inside.data || out.outside.data;
  for (Index first = 0; first < rows.rows; first += strip) {
    const MatrixView<const T> x = rows.block(first, 0, std::min(strip, rows.rows - first), rows.cols);
    if (parts) {
      splitter.full(x, first);
    } else {
      splitter.energies(x, first);
    }
    monitor.tick(static_cast<double>(first + x.rows) / static_cast<double>(rows.rows));
  }
}

template void project<float>(MatrixView<const float>, MatrixView<const float>, const ProjectedRows<float>&,
                             Monitor&);
template void project<double>(MatrixView<const double>, MatrixView<const double>,
                              const ProjectedRows<double>&, Monitor&);

}  // namespace wavelens
