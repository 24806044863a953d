#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "lib/tensor/tensor.h"

namespace espalier {

/// What stands before the numbers of a .npy file.
struct NpyHeader {
  DataType type = DataType::undefined;  ///< of the tensor that it becomes; string for <U and S arrays
  Dims dims;
  bool fortran_order = false;
  bool big_endian = false;
  int64_t item_bytes = 0;    ///< bytes of one element in the file
  bool utf32 = false;        ///< a <U array: four bytes a character
  int64_t header_bytes = 0;  ///< offset of the first element

  int64_t data_bytes() const;  ///< bytes that must follow the header. Throws Error(bad_data) on overflow.
};

/// Longest header that is read; numpy's own are about 100 bytes.
inline constexpr size_t kNpyHeaderCap = 65536;

/// Reads the header at the start of `bytes` (at least the first kNpyHeaderCap bytes of the file, or all of it).
/// `where` names the array in errors. Throws Error(bad_data) for what is no .npy file, a header beyond the cap, element
/// types that are not numbers or strings (object arrays would run code when unpickled; structured types), negative
/// or overflowing sizes.
/// Source: numpy.lib.format, versions 1.0 to 3.0.
NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& where);

/// The elements that follow the header, in row-major order and native byte order; data.size() == data_bytes().
/// Throws Error(bad_data) if it is not, or for text that is not Unicode.
Tensor npy_elements(const NpyHeader& header, std::span<const std::byte> data, const std::string& where);

/// A whole .npy file in memory. Throws Error(bad_data) as above, and unless the sizes agree exactly.
Tensor read_npy(std::span<const std::byte> bytes, const std::string& where);

/// A .npy file (version 1.0, row-major, little-endian). bfloat16 is widened to float. Throws Error(usage) for other
/// types that numpy does not know.
std::vector<std::byte> write_npy(const Tensor& tensor);

}  // namespace espalier
