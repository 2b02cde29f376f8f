// What the engine's tests are written in: CHECK, CHECK_THROWS, a list of cases and a main().
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "naive_lapack.hpp"

namespace check {

struct Case {
  const char* name;
  void (*run)();
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

inline int& failures() {
  static int count = 0;
  return count;
}

struct Register {
  Register(const char* name, void (*run)()) { cases().push_back({name, run}); }
};

inline void fail(const char* file, int line, const std::string& text) {
  std::fprintf(stderr, "%s:%d: %s\n", file, line, text.c_str());
  ++failures();
}

template <class T>
std::vector<T> normal(std::ptrdiff_t n, unsigned seed = 0) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> draw;
  std::vector<T> x(static_cast<std::size_t>(n));
  for (T& entry : x) entry = static_cast<T>(draw(engine));
  return x;
}

}  // namespace check

#define TEST_CASE(name)                                      \
  static void name();                                        \
  static const check::Register register_##name(#name, name); \
  static void name()

#define CHECK(condition)                                                               \
  do {                                                                                 \
    if (!(condition)) check::fail(__FILE__, __LINE__, "CHECK(" #condition ") failed"); \
  } while (false)

#define CHECK_NEAR(a, b, tolerance)                                                                     \
  do {                                                                                                  \
    const double left = static_cast<double>(a), right = static_cast<double>(b);                         \
    if (!(left - right <= (tolerance) && right - left <= (tolerance))) {                                \
      check::fail(                                                                                      \
          __FILE__, __LINE__,                                                                           \
          "CHECK_NEAR(" #a ", " #b ") failed: " + std::to_string(left) + ", " + std::to_string(right)); \
    }                                                                                                   \
  } while (false)

#define CHECK_THROWS(expression, exception)                                                 \
  do {                                                                                      \
    bool thrown = false;                                                                    \
    try {                                                                                   \
      (void)(expression);                                                                   \
    } catch (const exception&) {                                                            \
      thrown = true;                                                                        \
    }                                                                                       \
    if (!thrown) check::fail(__FILE__, __LINE__, #expression " did not throw " #exception); \
  } while (false)

int main() {
  wavelens::fill_naive_lapack();
  for (const auto& each : check::cases()) {
    const int before = check::failures();
    each.run();
    std::printf("%s %s\n", check::failures() == before ? "ok    " : "FAILED", each.name);
  }
  std::printf("%zu cases, %d failed checks\n", check::cases().size(), check::failures());
  return check::failures() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
