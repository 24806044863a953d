#include "lib/data/npz.h"

#include <zip.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "lib/base/file.h"

namespace espalier {
namespace {

struct ZipDiscard {
  void operator()(zip_t* zip) const { zip_discard(zip); }
};
using ZipHandle = std::unique_ptr<zip_t, ZipDiscard>;

struct ZipFileClose {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};
using ZipEntry = std::unique_ptr<zip_file_t, ZipFileClose>;

std::string message(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

ZipHandle open_zip(const std::string& path) {
  int code = 0;
  ZipHandle zip(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (zip) return zip;
  const int number = errno;
  if (code == ZIP_ER_NOENT || code == ZIP_ER_OPEN || code == ZIP_ER_READ || code == ZIP_ER_SEEK) {
    throw Error(ErrorKind::io, "cannot read '" + path + "': " + std::strerror(code == ZIP_ER_NOENT ? ENOENT : number));
  }
  throw Error(ErrorKind::bad_data, "'" + path + "' is not a npz file: " + message(code));
}

struct Entry {
  zip_uint64_t index;
  int64_t bytes;
};

void read_exactly(zip_file_t* file, std::byte* to, int64_t bytes, const std::string& where) {
  while (bytes > 0) {
    const zip_int64_t got = zip_fread(file, to, static_cast<zip_uint64_t>(std::min<int64_t>(bytes, 1 << 30)));
    if (got <= 0) throw Error(ErrorKind::bad_data, where + ": entry is damaged or cut short");
    to += got;
    bytes -= got;
  }
}

}  // namespace

struct NpzFile::Archive {
  std::string path;
  ZipHandle zip;
  std::vector<std::string> names;
  std::map<std::string, Entry> entries;

  std::string where(const std::string& array) const { return "array '" + array + "' of '" + path + "'"; }

  const Entry& find(const std::string& array) const {
    const auto found = entries.find(array);
    if (found != entries.end()) return found->second;
    std::string all;
    for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
    throw Error(ErrorKind::bad_data, "'" + path + "' has no array '" + array + "'").hint("it holds: " + all);
  }

  void add(zip_uint64_t index, const NpzLimits& limits) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    if (zip_stat_index(zip.get(), index, 0, &stat) != 0 || (stat.valid & ZIP_STAT_SIZE) == 0 || !(stat.valid & ZIP_STAT_NAME)) {
      throw Error(ErrorKind::bad_data, "'" + path + "': entry " + std::to_string(index) + " cannot be read");
    }
    std::string name = stat.name;
    if (!name.ends_with(".npy")) return;  // some other file that was packed along
    name.resize(name.size() - 4);
    if ((stat.valid & ZIP_STAT_ENCRYPTION_METHOD) && stat.encryption_method != ZIP_EM_NONE) {
      throw Error(ErrorKind::bad_data, where(name) + " is encrypted");
    }
    if ((stat.valid & ZIP_STAT_COMP_METHOD) && stat.comp_method != ZIP_CM_STORE && stat.comp_method != ZIP_CM_DEFLATE) {
      throw Error(ErrorKind::bad_data, where(name) + " is compressed by method " + std::to_string(stat.comp_method) +
                                           ", expected stored or deflate");
    }
    if (stat.size > static_cast<zip_uint64_t>(limits.total_bytes)) {
      throw Error(ErrorKind::bad_data, where(name) + " declares " + std::to_string(stat.size) + " bytes, more than is read");
    }
    const auto bytes = static_cast<int64_t>(stat.size);
    const int64_t packed = static_cast<int64_t>(std::min<zip_uint64_t>(stat.comp_size, uint64_t{1} << 50));
    if (bytes > limits.free_bytes && bytes / limits.ratio > packed) {
      throw Error(ErrorKind::bad_data, where(name) + " unpacks " + std::to_string(packed) + " bytes to " + std::to_string(bytes) +
                                           ", more than " + std::to_string(limits.ratio) + " times as many")
          .hint("store it without compression");
    }
    if (!entries.emplace(name, Entry{index, bytes}).second) {
      throw Error(ErrorKind::bad_data, where(name) + " is there twice");
    }
    names.push_back(name);
  }

  void check_total(const NpzLimits& limits, int64_t file_bytes) const {
    int64_t total = 0;
    for (const auto& [name, entry] : entries) total += entry.bytes;
    if (total > limits.total_bytes || (total > limits.free_bytes && total / limits.ratio > file_bytes)) {
      throw Error(ErrorKind::bad_data, "'" + path + "': " + std::to_string(file_bytes) + " bytes unpack to " +
                                           std::to_string(total) + ", more than is read");
    }
  }

  ZipEntry open(const Entry& entry, const std::string& array) const {
    ZipEntry file(zip_fopen_index(zip.get(), entry.index, 0));
    if (!file) throw Error(ErrorKind::bad_data, where(array) + " cannot be read: " + zip_strerror(zip.get()));
    return file;
  }
};

NpzFile::NpzFile(const std::string& path, const NpzLimits& limits) : archive_(std::make_unique<Archive>()) {
  archive_->path = path;
  archive_->zip = open_zip(path);
  const zip_int64_t count = zip_get_num_entries(archive_->zip.get(), 0);
  if (count > limits.entries) {
    throw Error(ErrorKind::bad_data, "'" + path + "' has " + std::to_string(count) + " entries, expected at most " +
                                         std::to_string(limits.entries));
  }
  for (zip_int64_t i = 0; i < count; ++i) archive_->add(static_cast<zip_uint64_t>(i), limits);
  archive_->check_total(limits, static_cast<int64_t>(MappedFile(path).bytes().size()));
}

NpzFile::~NpzFile() = default;
NpzFile::NpzFile(NpzFile&&) noexcept = default;
NpzFile& NpzFile::operator=(NpzFile&&) noexcept = default;

const std::vector<std::string>& NpzFile::names() const { return archive_->names; }

bool NpzFile::contains(const std::string& array) const { return archive_->entries.contains(array); }

NpyHeader NpzFile::header(const std::string& array) const {
  const Entry& entry = archive_->find(array);
  const ZipEntry file = archive_->open(entry, array);
  const std::string where = archive_->where(array);
  std::vector<std::byte> head(static_cast<size_t>(std::min<int64_t>(entry.bytes, kNpyHeaderCap)));
  read_exactly(file.get(), head.data(), static_cast<int64_t>(head.size()), where);
  const NpyHeader header = parse_npy_header(head, where);
  if (header.data_bytes() != entry.bytes - header.header_bytes) {
    throw Error(ErrorKind::bad_data, where + " declares " + std::to_string(header.data_bytes()) + " bytes, but has " +
                                         std::to_string(entry.bytes - header.header_bytes));
  }
  return header;
}

Tensor NpzFile::read(const std::string& array) const {
  const NpyHeader declared = header(array);
  const Entry& entry = archive_->find(array);
  const ZipEntry file = archive_->open(entry, array);
  const std::string where = archive_->where(array);
  std::vector<std::byte> head(static_cast<size_t>(declared.header_bytes));
  read_exactly(file.get(), head.data(), declared.header_bytes, where);
  std::vector<std::byte> data(static_cast<size_t>(declared.data_bytes()));
  read_exactly(file.get(), data.data(), declared.data_bytes(), where);
  std::byte none;
  if (zip_fread(file.get(), &none, 1) != 0) {  // the checksum is compared at the end
    throw Error(ErrorKind::bad_data, where + ": entry is damaged (wrong checksum)");
  }
  return npy_elements(declared, data, where);
}

void write_npz(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& arrays) {
  std::vector<std::vector<std::byte>> files;
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* target = zip_source_buffer_create(nullptr, 0, 0, &error);
  check(target != nullptr, "a zip archive in memory can be made");
  zip_source_keep(target);
  const std::unique_ptr<zip_source_t, void (*)(zip_source_t*)> kept(target, zip_source_free);
  zip_t* zip = zip_open_from_source(target, ZIP_TRUNCATE, &error);
  check(zip != nullptr, "a zip archive in memory can be opened");
  for (const auto& [name, tensor] : arrays) {
    files.push_back(write_npy(tensor));
    zip_source_t* source = zip_source_buffer(zip, files.back().data(), files.back().size(), 0);
    const zip_int64_t index = zip_file_add(zip, (name + ".npy").c_str(), source, ZIP_FL_ENC_UTF_8);
    check(index >= 0, "array names are different");
    zip_file_set_mtime(zip, static_cast<zip_uint64_t>(index), 315532800, 0);  // 1980: the same arrays give the same bytes
  }
  check(zip_close(zip) == 0, "a zip archive in memory can be written");
  check(zip_source_open(target) == 0, "a zip archive in memory can be read");
  zip_stat_t stat;
  zip_stat_init(&stat);
  zip_source_stat(target, &stat);
  std::vector<std::byte> bytes(stat.size);
  check(zip_source_read(target, bytes.data(), bytes.size()) == static_cast<zip_int64_t>(bytes.size()), "all bytes are there");
  zip_source_close(target);
  write_file(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace espalier
