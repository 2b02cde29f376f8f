// One pool of threads for the whole engine.
//
// parallel_for(count, task) runs task(0) … task(count − 1), each once, in any order, on the calling thread
// and on the pool's; it returns when all are done. What is split into tasks never depends on the number of
// threads, so results don't either. Inside a task, parallel_for runs serially. Several threads may call it at
// once. The first exception of a task stops the remaining ones and is thrown to the caller. After fork() the
// child starts a pool of its own.
//
// Inside a MonitorScope the calling thread polls its monitor between tasks and while it waits for the
// workers, so that every kernel can be interrupted; an exception of the monitor counts as one of a task.
#pragma once

#include <cstddef>
#include <functional>

#include "wavelens/monitor.hpp"

namespace wavelens {

// Has parallel_for, when it is called from this thread, poll `monitor` as long as the scope lives.
class MonitorScope {
public:
  explicit MonitorScope(Monitor& monitor);
  MonitorScope(const MonitorScope&) = delete;
  MonitorScope& operator=(const MonitorScope&) = delete;
  ~MonitorScope();

private:
  Monitor* before_;
};

// For loops that take more than some milliseconds without parallel_for, inside a task or out of one. Ends a
// task if another one of the call has failed; on the calling thread it polls the monitor.
void check_interrupted();

void parallel_for(std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task);

// Splits [0, size) into ranges of `grain` (the last may be shorter): body(begin, end).
void parallel_ranges(std::ptrdiff_t size, std::ptrdiff_t grain,
                     const std::function<void(std::ptrdiff_t, std::ptrdiff_t)>& body);

// More would cost memory and gain nothing. The system may refuse even fewer; then fewer run.
constexpr int most_threads = 1024;

int num_threads();
void set_num_threads(int count);  // between 1 and most_threads, else std::invalid_argument

}  // namespace wavelens
