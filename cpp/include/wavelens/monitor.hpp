// How a computation is interrupted, and how it reports its progress.
#pragma once

#include <stdexcept>

namespace wavelens {

// Thrown by a monitor that wants the computation to stop; kernels let it pass.
struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

// Both functions are called from the calling thread only, never from a worker, and may throw.
class Monitor {
public:
  virtual ~Monitor() = default;

  // Called every few milliseconds of work. `done` is the share of the work that is finished, in [0, 1].
  virtual void tick(double done) { (void)done; }

  // Called between tasks, where nothing is known about the progress; must be cheap when nothing is due. Only
  // inside a MonitorScope (thread_pool.hpp).
  virtual void poll() {}
};

}  // namespace wavelens
