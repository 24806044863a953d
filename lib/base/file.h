#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace espalier {

/// Size of a regular file in bytes. Throws Error(io) if there is none or it is something else.
int64_t file_size(const std::string& path);

/// All bytes of a regular file. Throws Error(io) if it cannot be read, Error(bad_data) if it has more than `cap`.
std::vector<std::byte> read_file(const std::string& path, int64_t cap = int64_t{1} << 40);

/// Writes a file whole or not at all: a temporary in the same folder, fsync, rename, fsync of the folder. A file that
/// was there keeps its permissions; on any error it stays as it was. Throws Error(io).
void write_file_atomically(const std::string& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::string& path, const std::string& text);

}  // namespace espalier
