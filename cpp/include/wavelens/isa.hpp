// Instruction sets.
//
// A leaf is a file of kernels/simd that is compiled once per instruction set. It takes raw pointers, has
// internal linkage but for one function named by WAVELENS_LEAF(name), and includes no header with inline
// functions of the standard library: the linker could otherwise keep the copy compiled for the wrong machine.
#pragma once

#include <string>
#include <vector>

namespace wavelens {

enum class Isa { baseline, avx2, avx512 };

Isa isa();                              // the one in use: the best this machine has, unless said otherwise
void set_isa(const std::string& name);  // std::invalid_argument if unknown or not on this machine
std::string isa_name(Isa which);
std::vector<Isa> available_isas();  // weakest first

}  // namespace wavelens
