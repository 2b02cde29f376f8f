#include "wavelens/thread_pool.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define WAVELENS_HAS_FORK
#endif

namespace wavelens {
namespace {

struct Job;

thread_local Job* current_job = nullptr;   // whose task this thread is running
thread_local Monitor* watching = nullptr;  // of this thread's MonitorScope

// Ends a task on a worker after the call has failed elsewhere.
struct Stopped : std::exception {};

// One call of parallel_for. Threads draw the next index until there is none left.
struct Job {
  const std::function<void(std::ptrdiff_t)>* task;
  std::ptrdiff_t count;
  int helpers_wanted;  // guarded by Pool::mutex
  int helpers_running = 0;
  std::atomic<std::ptrdiff_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error = nullptr;  // guarded by Pool::mutex

  void run(std::mutex& mutex) {
    current_job = this;
    for (;;) {
      const std::ptrdiff_t i = next.fetch_add(1, std::memory_order_relaxed);
      if (i >= count) break;
      try {
        (*task)(i);
        check_interrupted();
      } catch (const Stopped&) {
        break;
      } catch (...) {
        fail(mutex);
      }
    }
    current_job = nullptr;
  }

  // Keeps the exception being handled, if it is the first, and hands out no further task.
  void fail(std::mutex& mutex) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (!error) error = std::current_exception();
    next.store(count, std::memory_order_relaxed);
    failed.store(true, std::memory_order_relaxed);
  }
};

// How long the calling thread waits for its workers before it polls.
constexpr std::chrono::milliseconds poll_interval{20};

class Pool {
public:
  ~Pool() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  void run(std::ptrdiff_t count, int threads, const std::function<void(std::ptrdiff_t)>& task) {
    Job job{&task, count, static_cast<int>(std::min<std::ptrdiff_t>(threads, count)) - 1};
    std::unique_lock<std::mutex> lock(mutex_);
    hire(job.helpers_wanted);
    jobs_.push_back(&job);
    lock.unlock();
    wake_.notify_all();
    job.run(mutex_);
    lock.lock();
    jobs_.erase(std::remove(jobs_.begin(), jobs_.end(), &job), jobs_.end());
    wait_for_helpers(job, lock);
    if (job.error) std::rethrow_exception(job.error);
  }

private:
  void wait_for_helpers(Job& job, std::unique_lock<std::mutex>& lock) {
    const auto idle = [&] { return job.helpers_running == 0; };
    while (watching != nullptr && !job.failed.load(std::memory_order_relaxed)) {
      if (idle_.wait_for(lock, poll_interval, idle)) return;
      lock.unlock();
      try {
        watching->poll();
      } catch (...) {
        job.fail(mutex_);
      }
      lock.lock();
    }
    idle_.wait(lock, idle);
  }

  // Up to `count` helpers, under the lock; fewer where the system gives no more threads, which costs time
  // only.
  void hire(int count) {
    try {
      while (static_cast<int>(workers_.size()) < count) workers_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      return;
    }
  }

  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      Job* job = nullptr;
      wake_.wait(lock, [&] { return stopping_ || (job = open_job()) != nullptr; });
      if (stopping_) return;
      ++job->helpers_running;
      --job->helpers_wanted;
      lock.unlock();
      job->run(mutex_);
      lock.lock();
      --job->helpers_running;
      idle_.notify_all();
    }
  }

  Job* open_job() {
    for (Job* job : jobs_) {
      if (job->helpers_wanted > 0 && job->next.load(std::memory_order_relaxed) < job->count) return job;
    }
    return nullptr;
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<Job*> jobs_;
  std::vector<std::thread> workers_;
  bool stopping_ = false;
};

// Held by a bare pointer: after fork() the child must drop it without joining threads that don't exist there.
Pool* pool = nullptr;
std::mutex pool_mutex;
std::atomic<int> wanted_threads{0};

Pool& the_pool() {
  const std::lock_guard<std::mutex> lock(pool_mutex);
  if (pool == nullptr) {
#ifdef WAVELENS_HAS_FORK
    static const bool registered = [] {
      pthread_atfork(nullptr, nullptr, [] {
        pool = nullptr;
        new (&pool_mutex) std::mutex;  // another thread may have held it
        current_job = nullptr;
      });
      return true;
    }();
    (void)registered;
#endif
    pool = new Pool;
  }
  return *pool;
}

}  // namespace

MonitorScope::MonitorScope(Monitor& monitor) : before_(watching) { watching = &monitor; }

MonitorScope::~MonitorScope() { watching = before_; }

void check_interrupted() {
  if (current_job != nullptr && current_job->failed.load(std::memory_order_relaxed)) throw Stopped{};
  if (watching != nullptr) watching->poll();
}

void parallel_for(std::ptrdiff_t count, const std::function<void(std::ptrdiff_t)>& task) {
  const int threads = num_threads();
  if (count <= 1 || threads == 1 || current_job != nullptr) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      task(i);
      check_interrupted();
    }
    return;
  }
  the_pool().run(count, threads, task);
}

void parallel_ranges(std::ptrdiff_t size, std::ptrdiff_t grain,
                     const std::function<void(std::ptrdiff_t, std::ptrdiff_t)>& body) {
  parallel_for((size + grain - 1) / grain,
               [&](std::ptrdiff_t i) { body(i * grain, std::min(size, (i + 1) * grain)); });
}

int num_threads() {
  const int count = wanted_threads.load(std::memory_order_relaxed);
  if (count > 0) return count;
  const unsigned available = std::thread::hardware_concurrency();
  return std::clamp(static_cast<int>(available), 1, most_threads);
}

void set_num_threads(int count) {
  if (count < 1 || count > most_threads) {
    throw std::invalid_argument("`count` must be between 1 and " + std::to_string(most_threads) + ", got " +
                                std::to_string(count));
  }
  wanted_threads.store(count, std::memory_order_relaxed);
}

}  // namespace wavelens
