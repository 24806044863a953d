#include "lib/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "lib/base/error.h"

namespace espalier {
namespace {

[[noreturn]] void fail(const std::string& doing, const std::string& path, int number = errno) {
  throw Error(ErrorKind::io, "cannot " + doing + " '" + path + "': " + std::strerror(number));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int close() {
    const int result = ::close(fd_);
    fd_ = -1;
    return result;
  }

 private:
  int fd_;
};

int64_t regular_size(int fd, const std::string& path) {
  struct stat info {};
  if (fstat(fd, &info) != 0) fail("read", path);
  if (!S_ISREG(info.st_mode)) {
    throw Error(ErrorKind::io, "cannot read '" + path + "': not a regular file");
  }
  return info.st_size;
}

/// Removes the temporary unless it was renamed.
struct Temporary {
  std::string path;
  ~Temporary() {
    if (!path.empty()) ::unlink(path.c_str());
  }
};

void write_all(int fd, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), std::min<size_t>(bytes.size(), 1u << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("write", path);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

mode_t mode_for(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) return info.st_mode & 0777;
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

}  // namespace

int64_t file_size(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) fail("read", path);
  if (!S_ISREG(info.st_mode)) throw Error(ErrorKind::io, "cannot read '" + path + "': not a regular file");
  return info.st_size;
}

std::vector<std::byte> read_file(const std::string& path, int64_t cap) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) fail("read", path);
  const int64_t size = regular_size(file.get(), path);
  if (size > cap) {
    throw Error(ErrorKind::bad_data, "'" + path + "' has " + std::to_string(size) + " bytes, expected at most " + std::to_string(cap));
  }
  std::vector<std::byte> bytes(static_cast<size_t>(size));
  size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t got = ::read(file.get(), bytes.data() + at, std::min<size_t>(bytes.size() - at, 1u << 30));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read", path);
    if (got == 0) throw Error(ErrorKind::io, "cannot read '" + path + "': it became shorter meanwhile");
    at += static_cast<size_t>(got);
  }
  return bytes;
}

void write_file_atomically(const std::string& path, std::span<const std::byte> bytes) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const std::string folder = parent.empty() ? "." : parent;
  std::string name = path + ".XXXXXX";
  Descriptor file(::mkostemp(name.data(), O_CLOEXEC));
  if (file.get() < 0) fail("write", path);
  Temporary temporary{name};
  write_all(file.get(), bytes, path);
  if (::fchmod(file.get(), mode_for(path)) != 0 || ::fsync(file.get()) != 0 || file.close() != 0) fail("write", path);
  if (::rename(name.c_str(), path.c_str()) != 0) fail("write", path);
  temporary.path.clear();
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) ::fsync(directory.get());
}

void write_file_atomically(const std::string& path, const std::string& text) {
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

}  // namespace espalier
