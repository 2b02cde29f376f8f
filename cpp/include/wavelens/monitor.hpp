// How a long computation hears of Ctrl-C and tells how far it has come.
#pragma once

#include <stdexcept>

namespace wavelens {

// Thrown by a monitor that wants the computation to stop; kernels let it pass.
struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

class Monitor {
public:
  virtual ~Monitor() = default;

  // Called from the calling thread only, never from a worker, every few milliseconds of work.
  // `done` is the share of the work that is finished, in [0, 1]. May throw.
  virtual void tick(double done) { (void)done; }
};

}  // namespace wavelens
