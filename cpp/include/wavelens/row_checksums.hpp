// A 64-bit checksum of each row of bytes, at the speed of memory: to notice that what is read in one pass is
// not what was read in the pass before, or that a file on disk is not what was written.
//
// It protects against accidents, not against an adversary who picks bytes to collide.
#pragma once

#include <cstddef>
#include <cstdint>

namespace wavelens {

// out[i] is the checksum of the `row_bytes` bytes at data + i · row_bytes. Any changed bit changes the
// checksum; other changes go unnoticed with a probability of about 2⁻⁶⁴. The same on every machine of
// little-endian byte order.
void row_checksums(const unsigned char* data, std::ptrdiff_t n_rows, std::ptrdiff_t row_bytes,
                   std::uint64_t* out);

}  // namespace wavelens
