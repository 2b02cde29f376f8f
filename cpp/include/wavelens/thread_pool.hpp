// One pool of threads for the whole engine.
//
// parallel_for(count, task) runs task(0) … task(count − 1), each once, in any order, on the calling thread
// and on the pool's; it returns when all are done. What is split into tasks never depends on the number of
// threads, so results don't either. Inside a task, parallel_for runs serially. Several threads may call it at
// once. The first exception of a task stops the remaining ones and is thrown to the caller. After fork() the
// child starts a pool of its own.
#pragma once

#include <cstddef>
#include <functional>

namespace wavelens {

void parallel_for(std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task);

// Splits [0, size) into ranges of `grain` (the last may be shorter): body(begin, end).
void parallel_ranges(std::ptrdiff_t size, std::ptrdiff_t grain,
                     const std::function<void(std::ptrdiff_t, std::ptrdiff_t)>& body);

// More would cost memory and gain nothing. The system may refuse even fewer; then fewer run.
constexpr int most_threads = 1024;

int num_threads();
void set_num_threads(int count);  // between 1 and most_threads, else std::invalid_argument

}  // namespace wavelens
