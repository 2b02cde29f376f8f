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
