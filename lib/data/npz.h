#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/data/npy.h"

namespace espalier {

/// What a .npz file may hold. The defaults bound the memory that a small hostile file can ask for.
struct NpzLimits {
  int64_t entries = 65536;                 ///< arrays
  int64_t free_bytes = int64_t{64} << 20;  ///< an entry up to this size may be compressed at any ratio
  int64_t ratio = 200;                     ///< unpacked to packed bytes of a larger entry, and of all entries together
  int64_t total_bytes = int64_t{64} << 30; ///< unpacked, all entries
};

/// A .npz file: a zip of .npy arrays, read one array at a time. Nothing is unpacked to disk, and an entry's name is
/// a key, never a path.
class NpzFile {
 public:
  /// Opens the file and checks its directory. Throws Error(io) if it cannot be read, Error(bad_data) for what is no
  /// zip file, breaks `limits`, is encrypted or names an array twice.
  explicit NpzFile(const std::string& path, const NpzLimits& limits = {});
  ~NpzFile();
  NpzFile(NpzFile&&) noexcept;
  NpzFile& operator=(NpzFile&&) noexcept;

  /// Names of the arrays (without ".npy") in the file's order.
  const std::vector<std::string>& names() const;
  bool contains(const std::string& array) const;
  /// Type and dims alone. Throws Error(bad_data) as parse_npy_header, or if its size differs from the entry's.
  NpyHeader header(const std::string& array) const;
  /// The array. Memory is taken only after the declared size was found equal to the entry's. Throws Error(bad_data)
  /// for a missing or damaged array.
  Tensor read(const std::string& array) const;

 private:
  struct Archive;
  std::unique_ptr<Archive> archive_;
};

/// Writes arrays as a deflate-compressed .npz file that numpy reads; the file appears whole or not at all.
/// Throws Error(io) if it cannot be written.
void write_npz(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& arrays);

}  // namespace espalier
