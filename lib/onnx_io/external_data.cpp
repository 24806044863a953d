#include "lib/onnx_io/external_data.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <set>

#include "lib/base/error.h"

namespace espalier::onnx_io {
namespace {

constexpr int64_t kMaxGap = 64 << 10;       // between tensors whose offsets are kept
constexpr int64_t kAlignment = 64;
constexpr int64_t kPage = 4096;             // large tensors can then be mapped by whoever reads the file
constexpr int64_t kPageFrom = 1 << 20;

[[noreturn]] void fail(const std::string& why) { throw Error(ErrorKind::bad_data, "external data: " + why); }

int64_t parse_size(const std::string& key, const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    fail(key + " is '" + text.substr(0, 40) + "', expected a number that is not negative");
  }
  return value;
}

int64_t aligned(int64_t offset, int64_t bytes) {
  const int64_t to = bytes >= kPageFrom ? kPage : kAlignment;
  return (offset + to - 1) / to * to;
}

int64_t size_of(const Tensor& tensor) { return static_cast<int64_t>(tensor.bytes().size()); }

void put(onnx::TensorProto& proto, const std::string& key, const std::string& value) {
  auto* entry = proto.add_external_data();
  entry->set_key(key);
  entry->set_value(value);
}

}  // namespace

ExternalRange external_range(const onnx::TensorProto& tensor) {
  ExternalRange range;
  std::set<std::string> seen;
  for (const auto& entry : tensor.external_data()) {
    const std::string& key = entry.key();
    if (!seen.insert(key).second) fail("key '" + key + "' is given twice");
    if (key == "location") range.location = entry.value();
    else if (key == "offset") range.offset = parse_size(key, entry.value());
    else if (key == "length") range.length = parse_size(key, entry.value());
    else if (key != "checksum") fail("key '" + key + "' is not known");
  }
  if (range.location.empty()) fail("no location is given");
  return range;
}

ExternalFiles::Bytes ExternalFiles::open(const onnx::TensorProto& tensor, int64_t needed) {
  const ExternalRange range = external_range(tensor);
  const int64_t length = range.length < 0 ? needed : range.length;
  if (length != needed) fail("length is " + std::to_string(length) + ", expected " + std::to_string(needed));
  auto& file = files_[range.location];
  if (!file) file = MappedFile::confined(folder_, range.location);
  const auto size = static_cast<int64_t>(file->bytes().size());
  if (length > size || range.offset > size - length) {
    fail(std::to_string(length) + " bytes at offset " + std::to_string(range.offset) + " do not lie within the " +
         std::to_string(size) + " bytes of '" + range.location + "'");
  }
  return {file->bytes().subspan(static_cast<size_t>(range.offset), static_cast<size_t>(length)), file};
}

// Offsets are taken over from one old file, if they do not overlap and leave no large holes.
bool ExternalWriter::keep_offsets() {
  std::vector<Entry*> old;
  for (Entry& entry : entries_) {
    if (entry.proto->external_data_size() > 0) old.push_back(&entry);
  }
  for (Entry* entry : old) {
    const ExternalRange range = external_range(*entry->proto);
    if (range.location != external_range(*old[0]->proto).location) return false;
    if (range.length >= 0 && range.length != size_of(entry->tensor)) return false;
    entry->offset = range.offset;
  }
  std::sort(old.begin(), old.end(), [](const Entry* a, const Entry* b) { return a->offset < b->offset; });
  int64_t end = 0;
  for (const Entry* entry : old) {
    if (entry->offset < end || entry->offset - end > kMaxGap) return false;
    end = entry->offset + size_of(entry->tensor);
  }
  lay_out_from(end, false);
  return true;
}

void ExternalWriter::lay_out_from(int64_t end, bool all) {
  for (Entry& entry : entries_) {
    if (!all && entry.proto->external_data_size() > 0) continue;
    entry.offset = aligned(end, size_of(entry.tensor));
    end = entry.offset + size_of(entry.tensor);
    entry.proto->clear_external_data();
    put(*entry.proto, "location", location_);
    put(*entry.proto, "offset", std::to_string(entry.offset));
    put(*entry.proto, "length", std::to_string(size_of(entry.tensor)));
  }
}

void ExternalWriter::layout() {
  if (!keep_offsets()) lay_out_from(0, true);
  for (Entry& entry : entries_) {
    auto& keys = *entry.proto->mutable_external_data();
    for (int i = keys.size() - 1; i >= 0; --i) {
      if (keys[i].key() == "location" && keys[i].value() != location_) keys[i].set_value(location_);
      if (keys[i].key() == "checksum") keys.erase(keys.begin() + i);  // of a file that we write anew
    }
  }
}

void ExternalWriter::write(AtomicFile& file) const {
  std::vector<size_t> order(entries_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(entries_[a].offset, a) < std::pair(entries_[b].offset, b);  // empty ones share an offset
  });
  for (const size_t i : order) {
    file.write_zeros(entries_[i].offset - file.size());
    file.write(entries_[i].tensor.bytes());
  }
}

}  // namespace espalier::onnx_io
