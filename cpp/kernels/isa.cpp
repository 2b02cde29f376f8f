#include "wavelens/isa.hpp"

#include <atomic>
#include <stdexcept>

namespace wavelens {
namespace {

Isa best() { return available_isas().back(); }

std::atomic<Isa>& chosen() {
  static std::atomic<Isa> value{best()};
  return value;
}

}  // namespace

std::vector<Isa> available_isas() {
  std::vector<Isa> isas{Isa::baseline};
#ifdef WAVELENS_X86
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    isas.push_back(Isa::avx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
      isas.push_back(Isa::avx512);
    }
  }
#endif
  return isas;
}

Isa isa() { return chosen().load(std::memory_order_relaxed); }

std::string isa_name(Isa which) {
  switch (which) {
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    default:
      return "baseline";
  }
}

void set_isa(const std::string& name) {
  std::string known;
  for (const Isa each : available_isas()) {
    if (isa_name(each) == name) {
      chosen().store(each, std::memory_order_relaxed);
      return;
    }
    known += (known.empty() ? "" : ", ") + isa_name(each);
  }
  throw std::invalid_argument("instruction set must be one of " + known + " on this machine, got " + name);
}

}  // namespace wavelens
