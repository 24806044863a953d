#include "lib/data/idx.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "lib/base/file.h"

namespace espalier {
namespace {

constexpr int64_t kDeflateRatio = 1032;  // deflate cannot expand more

struct Close {
  void operator()(gzFile_s* file) const { gzclose(file); }
};

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), file_bytes_(static_cast<int64_t>(MappedFile(path).bytes().size())), file_(gzopen(path.c_str(), "rb")) {
    if (!file_) throw Error(ErrorKind::io, "cannot read '" + path + "'");
  }

  void read(std::byte* to, int64_t bytes) {
    while (bytes > 0) {
      const int got = gzread(file_.get(), to, static_cast<unsigned>(std::min<int64_t>(bytes, 1 << 30)));
      if (got <= 0) fail("is damaged or cut short");
      to += got;
      bytes -= got;
    }
  }

  /// Throws unless `bytes` more can follow `header` bytes.
  void check_size(int64_t header, int64_t bytes) {
    const bool plain = gzdirect(file_.get()) != 0;
    const bool right = plain ? file_bytes_ - header == bytes : bytes / kDeflateRatio <= file_bytes_;
    if (!right) {
      fail("declares " + std::to_string(bytes) + " bytes of data, but has " +
           (plain ? std::to_string(file_bytes_ - header) : std::to_string(file_bytes_) + " gzipped"));
    }
  }

  void check_end() {
    std::byte none;
    const int got = gzread(file_.get(), &none, 1);
    if (got != 0) fail(got > 0 ? "has more data than its header declares" : "is damaged (wrong checksum)");
    int code = Z_OK;
    gzerror(file_.get(), &code);
    if (code != Z_OK) fail("is damaged or cut short");
  }

  [[noreturn]] void fail(const std::string& what) { throw Error(ErrorKind::bad_data, "IDX file '" + path_ + "' " + what); }

 private:
  const std::string& path_;
  int64_t file_bytes_;
  std::unique_ptr<gzFile_s, Close> file_;
};

DataType element_type(std::byte code) {
  switch (std::to_integer<int>(code)) {
    case 0x08: return DataType::uint8;
    case 0x09: return DataType::int8;
    case 0x0b: return DataType::int16;
    case 0x0c: return DataType::int32;
    case 0x0d: return DataType::float32;
    case 0x0e: return DataType::float64;
    default: return DataType::undefined;
  }
}

}  // namespace

Tensor read_idx(const std::string& path) {
  Reader file(path);
  std::byte magic[4];
  file.read(magic, 4);
  const DataType type = element_type(magic[2]);
  const auto rank = std::to_integer<size_t>(magic[3]);
  if (magic[0] != std::byte{0} || magic[1] != std::byte{0} || type == DataType::undefined) file.fail("is no IDX file");
  if (rank == 0 || rank > kMaxRank) file.fail("has rank " + std::to_string(rank));
  Dims dims;
  for (size_t i = 0; i < rank; ++i) {
    std::byte size[4];
    file.read(size, 4);
    dims.push_back(std::to_integer<int64_t>(size[0]) << 24 | std::to_integer<int64_t>(size[1]) << 16 |
                   std::to_integer<int64_t>(size[2]) << 8 | std::to_integer<int64_t>(size[3]));
  }
  file.check_size(4 + 4 * static_cast<int64_t>(rank), byte_count(type, dims));
  Tensor result(type, dims);
  const auto bytes = result.mutable_bytes();
  file.read(bytes.data(), static_cast<int64_t>(bytes.size()));
  file.check_end();
  const auto word = static_cast<size_t>(bit_width(type)) / 8;
  for (size_t i = 0; word > 1 && i < bytes.size(); i += word) std::reverse(bytes.data() + i, bytes.data() + i + word);
  return result;
}

}  // namespace espalier
