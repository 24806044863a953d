#include "lib/base/file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "lib/base/error.h"

namespace espalier {
namespace {

namespace fs = std::filesystem;

/// A file descriptor that is closed at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Descriptor() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int get() const { return descriptor_; }
  bool valid() const { return descriptor_ >= 0; }

 private:
  int descriptor_;
};

[[noreturn]] void fail_io(const std::string& what, const std::string& name, int error) {
  throw Error(ErrorKind::io, "cannot " + what + " '" + name + "': " + std::strerror(error));
}

[[noreturn]] void fail_link(const std::string& name, const char* why) {
  throw Error(ErrorKind::bad_data, "external file '" + name + "' " + why)
      .hint("links are not followed, as they can lead out of the model's folder; caches of model hubs are made of "
            "links: copy the files");
}

struct stat status_of(int descriptor, const std::string& name) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0) fail_io("read", name, errno);
  if (!S_ISREG(status.st_mode)) throw Error(ErrorKind::io, "cannot read '" + name + "': not a regular file");
  return status;
}

// O_NONBLOCK: a pipe under that name must not stop us.
constexpr int kReadFlags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

Descriptor open_for_reading(const fs::path& path) {
  Descriptor file(open(path.c_str(), kReadFlags));
  if (!file.valid()) fail_io("read", path.string(), errno);
  return file;
}

int open_beneath(int folder, const fs::path& relative) {
  struct open_how how {};
  how.flags = kReadFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const long result = syscall(SYS_openat2, folder, relative.c_str(), &how, sizeof how);
  if (result >= 0 || (errno != ENOSYS && errno != EPERM && errno != E2BIG)) return static_cast<int>(result);
  return detail::open_stepwise(folder, relative);
}

void require_confined_name(const std::string& name) {
  const fs::path path(name);
  const bool has_nul = name.find('\0') != name.npos;
  const bool leaves = std::any_of(path.begin(), path.end(), [](const fs::path& p) { return p == ".."; });
  if (name.empty() || has_nul || path.is_absolute() || leaves || !path.has_filename()) {
    throw Error(ErrorKind::bad_data, "external file '" + name.substr(0, 200) + "' is not a plain path below the model's folder");
  }
}

}  // namespace

int detail::open_stepwise(int folder, const fs::path& relative) {
  Descriptor at(dup(folder));
  for (auto part = relative.begin(); part != relative.end(); ++part) {
    const bool last = std::next(part) == relative.end();
    const int flags = last ? kReadFlags | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    Descriptor next(openat(at.get(), part->c_str(), flags));
    if (!next.valid()) {
      struct stat status {};
      const int error = errno;
      const bool link = fstatat(at.get(), part->c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode);
      errno = link ? ELOOP : error;
      return -1;
    }
    at = std::move(next);
  }
  return dup(at.get());
}

std::string read_file(const fs::path& path, int64_t max_bytes) {
  const Descriptor file = open_for_reading(path);
  const int64_t size = status_of(file.get(), path.string()).st_size;
  if (size > max_bytes) {
    throw Error(ErrorKind::bad_data, "file '" + path.string() + "' has " + std::to_string(size) +
                                         " bytes, expected at most " + std::to_string(max_bytes));
  }
  std::string result(static_cast<size_t>(size), '\0');
  size_t done = 0;
  while (done < result.size()) {
    const ssize_t n = read(file.get(), result.data() + done, result.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_io("read", path.string(), errno);
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  result.resize(done);
  return result;
}

MappedFile::MappedFile(const fs::path& path) { map(open_for_reading(path).get(), path.string()); }
MappedFile::MappedFile(int descriptor, const std::string& name) { map(descriptor, name); }

void MappedFile::map(int descriptor, const std::string& name) {
  const auto size = static_cast<size_t>(status_of(descriptor, name).st_size);
  if (size == 0) return;
  void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (address == MAP_FAILED) fail_io("map", name, errno);
  bytes_ = {static_cast<const std::byte*>(address), size};
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

std::shared_ptr<const MappedFile> MappedFile::confined(const fs::path& folder, const std::string& relative) {
  require_confined_name(relative);
  const fs::path start = folder.empty() ? fs::path(".") : folder;
  const Descriptor base(open(start.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!base.valid()) fail_io("open folder", start.string(), errno);
  const Descriptor file(open_beneath(base.get(), fs::path(relative)));
  if (!file.valid()) {
    if (errno == ELOOP || errno == EXDEV) fail_link(relative, "is a link or lies behind one");
    fail_io("read external file", (start / relative).string(), errno);
  }
  if (status_of(file.get(), relative).st_nlink != 1) fail_link(relative, "has another hard link");
  return std::shared_ptr<const MappedFile>(new MappedFile(file.get(), relative));
}

void AtomicFile::fail(const char* what) const { fail_io(what, path_.string(), errno); }

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  static std::atomic<unsigned> counter{0};
  struct stat status {};
  if (!path_.has_filename()) throw Error(ErrorKind::io, "cannot write '" + path_.string() + "': not a file name");
  if (stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    throw Error(ErrorKind::io, "cannot write '" + path_.string() + "': not a regular file");
  }
  do {
    temporary_ = path_.parent_path() / ("." + path_.filename().string() + "." + std::to_string(getpid()) + "-" +
                                        std::to_string(counter++) + ".tmp");
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EEXIST);
  if (descriptor_ < 0) fail("write");
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor_, bytes.data(), std::min<size_t>(bytes.size(), size_t{1} << 30));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("write");
    bytes = bytes.subspan(static_cast<size_t>(n));
    size_ += n;
  }
}

void AtomicFile::write_zeros(int64_t count) {
  static constexpr std::array<std::byte, 4096> zeros{};
  for (; count > 0; count -= static_cast<int64_t>(zeros.size())) {
    write(std::span(zeros).first(static_cast<size_t>(std::min<int64_t>(count, zeros.size()))));
  }
}

void AtomicFile::sync() {
  if (fsync(descriptor_) != 0) fail("write");
}

void AtomicFile::commit() {
  check(descriptor_ >= 0, "a file that was not committed yet");
  sync();
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail("write");
  close(std::exchange(descriptor_, -1));
  const fs::path folder = path_.has_parent_path() ? path_.parent_path() : fs::path(".");
  const Descriptor parent(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.valid()) fsync(parent.get());  // file systems that cannot sync folders say so here
}

void write_file(const fs::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace espalier
