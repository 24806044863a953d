#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace espalier {

/// The bytes of a regular file. Throws Error(io) if it cannot be read, Error(bad_data) above `max_bytes`.
std::string read_file(const std::filesystem::path& path, int64_t max_bytes);

/// A file mapped into memory, read-only, for as long as the object lives. An empty file has no bytes.
class MappedFile {
 public:
  /// Throws Error(io) if `path` is not a regular file that can be read.
  explicit MappedFile(const std::filesystem::path& path);

  /// A file below `folder`, for a name that a stranger chose. Throws Error(bad_data) if `relative` is absolute, has `..`,
  /// or if it or a folder on its way is a link, or the file has another hard link; Error(io) if it cannot be read.
  static std::shared_ptr<const MappedFile> confined(const std::filesystem::path& folder, const std::string& relative);

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  MappedFile(int descriptor, const std::string& name);
  void map(int descriptor, const std::string& name);

  std::span<const std::byte> bytes_;
};

namespace detail {
/// What kernels without openat2 do instead: descriptor of `relative` below `folder`, one step at a time, none through a link;
/// -1 with errno, ELOOP for a link.
int open_stepwise(int folder, const std::filesystem::path& relative);
}  // namespace detail

/// A file that appears under its name only when it is complete: written to a temporary one in the same folder, which
/// commit() syncs and renames. Without commit() nothing is left behind and what was there before stays.
/// All members throw Error(io).
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  void write_zeros(int64_t count);
  int64_t size() const { return size_; }

  /// Brings all bytes to the disk; commit() does so itself. Of two files that belong together, both are synced first.
  void sync();
  void commit();

 private:
  [[noreturn]] void fail(const char* what) const;

  std::filesystem::path path_, temporary_;
  int descriptor_ = -1;
  int64_t size_ = 0;
};

/// Writes `text` to `path` by way of AtomicFile. Throws Error(io).
void write_file(const std::filesystem::path& path, std::string_view text);

}  // namespace espalier
