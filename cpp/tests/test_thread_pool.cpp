#include <atomic>
#include <stdexcept>
#include <thread>

#include "check.hpp"
#include "wavelens/thread_pool.hpp"

using namespace wavelens;

TEST_CASE(every_task_runs_once) {
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    for (const std::ptrdiff_t count : {0, 1, 2, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
      parallel_for(count, [&](std::ptrdiff_t i) { ++runs[static_cast<std::size_t>(i)]; });
      for (const auto& each : runs) CHECK(each == 1);
    }
  }
}

TEST_CASE(ranges_cover_everything) {
  set_num_threads(3);
  std::atomic<std::ptrdiff_t> total{0};
  parallel_ranges(1001, 10, [&](std::ptrdiff_t begin, std::ptrdiff_t end) { total += end - begin; });
  CHECK(total == 1001);
}

TEST_CASE(an_exception_reaches_the_caller_and_the_pool_lives_on) {
  set_num_threads(4);
  const auto failing = [] {
    parallel_for(100, [](std::ptrdiff_t i) {
      if (i == 57) throw std::domain_error("57");
    });
    return 0;
  };
  CHECK_THROWS(failing(), std::domain_error);
  std::atomic<int> runs{0};
  parallel_for(100, [&](std::ptrdiff_t) { ++runs; });
  CHECK(runs == 100);
}

TEST_CASE(nested_calls_and_several_callers) {
  set_num_threads(2);
  std::atomic<int> runs{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 50; ++repeat) {
        parallel_for(8, [&](std::ptrdiff_t) { parallel_for(4, [&](std::ptrdiff_t) { ++runs; }); });
      }
    });
  }
  for (auto& each : callers) each.join();
  CHECK(runs == 4 * 50 * 8 * 4);
}

TEST_CASE(a_count_out_of_range_is_refused) {
  for (const int count : {-1, 0, most_threads + 1}) {
    const auto wrong = [=] {
      set_num_threads(count);
      return 0;
    };
    CHECK_THROWS(wrong(), std::invalid_argument);
  }
}

namespace {

// Stops everything at the n-th poll.
struct StopsAt : Monitor {
  explicit StopsAt(int n) : left(n) {}
  void poll() override {
    CHECK(std::this_thread::get_id() == caller);
    if (--left <= 0) throw Interrupted();
  }
  int left;
  std::thread::id caller = std::this_thread::get_id();
};

}  // namespace

TEST_CASE(a_monitor_stops_the_tasks_and_the_pool_lives_on) {
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    std::atomic<int> runs{0};
    StopsAt monitor(3);
    const auto stopped = [&] {
      const MonitorScope scope(monitor);
      parallel_for(1000000, [&](std::ptrdiff_t) { ++runs; });
      return 0;
    };
    CHECK_THROWS(stopped(), Interrupted);
    CHECK(runs < 1000000);
    runs = 0;
    parallel_for(100, [&](std::ptrdiff_t) { ++runs; });  // out of the scope nobody is asked
    CHECK(runs == 100);
  }
}

TEST_CASE(tasks_without_end_are_stopped_on_every_thread) {
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    StopsAt monitor(50);
    const auto endless = [&] {
      const MonitorScope scope(monitor);
      parallel_for(threads, [&](std::ptrdiff_t) {
        for (;;) {
          check_interrupted();
          parallel_for(3, [](std::ptrdiff_t) {});
        }
      });
      return 0;
    };
    CHECK_THROWS(endless(), Interrupted);
  }
}

TEST_CASE(the_caller_polls_while_it_waits_for_its_workers) {
  set_num_threads(2);
  const std::thread::id caller = std::this_thread::get_id();
  StopsAt monitor(20);
  const auto waiting = [&] {
    const MonitorScope scope(monitor);
    std::atomic<bool> helped{false};
    parallel_for(2, [&](std::ptrdiff_t) {
      if (std::this_thread::get_id() == caller) {
        // The other task is a worker's, which does not end by itself.
        while (!helped) std::this_thread::yield();
        return;
      }
      helped = true;
      for (;;) check_interrupted();
    });
    return 0;
  };
  CHECK_THROWS(waiting(), Interrupted);
}

TEST_CASE(scopes_are_nested) {
  set_num_threads(1);
  StopsAt outer(2), inner(1000);
  const auto nested = [&] {
    const MonitorScope first(outer);
    {
      const MonitorScope second(inner);
      parallel_for(500, [](std::ptrdiff_t) {});
    }
    CHECK(outer.left == 2);
    CHECK(inner.left == 500);
    parallel_for(500, [](std::ptrdiff_t) {});
    return 0;
  };
  CHECK_THROWS(nested(), Interrupted);
}
