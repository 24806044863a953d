#include "lib/data/npy.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>

namespace espalier {
namespace {

constexpr char kMagic[] = "\x93NUMPY";

[[noreturn]] void bad(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::bad_data, where + ": " + what);
}

/// Reads the Python dictionary of a header: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }.
class HeaderText {
 public:
  HeaderText(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  void read(NpyHeader& header, std::string& descr) {
    bool seen[3] = {};
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      const int field = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : -1;
      if (field < 0 || seen[field]) bad(where_, "npy header has an unknown or repeated key '" + key + "'");
      seen[field] = true;
      if (field == 0) descr = description();
      if (field == 1) header.fortran_order = boolean();
      if (field == 2) header.dims = shape();
      if (!accept(',') && peek() != '}') fault();
    }
    if (!(seen[0] && seen[1] && seen[2])) bad(where_, "npy header lacks descr, fortran_order or shape");
    skip();
    if (at_ != text_.size()) fault();
  }

 private:
  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  char peek() {
    skip();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fault();
  }
  [[noreturn]] void fault() { bad(where_, "npy header is malformed at offset " + std::to_string(at_)); }

  std::string quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fault();
    const size_t end = text_.find(quote, ++at_);
    if (end == std::string_view::npos) fault();
    std::string result(text_.substr(at_, end - at_));
    at_ = end + 1;
    return result;
  }

  std::string description() {
    if (peek() == '[') bad(where_, "array of a structured type, expected numbers or strings");
    return quoted();
  }

  bool boolean() {
    skip();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    }
    fault();
  }

  Dims shape() {
    Dims dims;
    expect('(');
    while (!accept(')')) {
      if (dims.size() == kMaxRank) bad(where_, "rank is above 64");
      dims.push_back(integer());
      if (!accept(',') && peek() != ')') fault();
    }
    return dims;
  }

  int64_t integer() {
    skip();
    if (accept('-')) bad(where_, "negative size in the shape");
    if (!std::isdigit(static_cast<unsigned char>(peek()))) fault();
    int64_t value = 0;
    for (; at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])); ++at_) {
      value = checked_add(checked_mul(value, 10), text_[at_] - '0');
    }
    accept('L');  // Python 2 wrote long integers so
    return value;
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
};

DataType number_type(char kind, int64_t size) {
  switch (kind) {
    case 'b': return size == 1 ? DataType::boolean : DataType::undefined;
    case 'i':
      return size == 1   ? DataType::int8
             : size == 2 ? DataType::int16
             : size == 4 ? DataType::int32
             : size == 8 ? DataType::int64
                         : DataType::undefined;
    case 'u':
      return size == 1   ? DataType::uint8
             : size == 2 ? DataType::uint16
             : size == 4 ? DataType::uint32
             : size == 8 ? DataType::uint64
                         : DataType::undefined;
    case 'f':
      return size == 2   ? DataType::float16
             : size == 4 ? DataType::float32
             : size == 8 ? DataType::float64
                         : DataType::undefined;
    case 'c': return size == 8 ? DataType::complex64 : size == 16 ? DataType::complex128 : DataType::undefined;
    default: return DataType::undefined;
  }
}

void read_description(const std::string& descr, NpyHeader& header, const std::string& where) {
  if (descr.find('O') != std::string::npos) {
    throw Error(ErrorKind::bad_data, where + ": array of Python objects, expected numbers or strings")
        .hint("save it as an array of numbers; pickled objects are never read");
  }
  const bool plain = descr.size() >= 3 && descr.size() <= 12 && std::strchr("<>|=", descr[0]) != nullptr &&
                     std::all_of(descr.begin() + 2, descr.end(), [](unsigned char c) { return std::isdigit(c); });
  if (!plain) bad(where, "element type '" + descr + "' is not supported");
  const int64_t size = std::stoll(descr.substr(2));
  header.big_endian = descr[0] == '>';
  if (descr[1] == 'U' || descr[1] == 'S') {
    header.type = DataType::string;
    header.utf32 = descr[1] == 'U';
    header.item_bytes = header.utf32 ? checked_mul(size, 4) : size;
    if (size == 0 && element_count(header.dims) > 0) bad(where, "strings of length 0");
    return;
  }
  header.type = number_type(descr[1], size);
  header.item_bytes = size;
  if (header.type == DataType::undefined) bad(where, "element type '" + descr + "' is not supported");
}

void append_utf8(std::string& text, uint32_t c, const std::string& where) {
  if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) bad(where, "text is not Unicode");
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += {static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
  } else if (c < 0x10000) {
    text += {static_cast<char>(0xe0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
  } else {
    text += {static_cast<char>(0xf0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
             static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
  }
}

std::string read_text(const NpyHeader& header, const std::byte* item, const std::string& where) {
  std::string text;
  if (!header.utf32) {
    text.assign(reinterpret_cast<const char*>(item), static_cast<size_t>(header.item_bytes));
    text.resize(text.find_last_not_of('\0') + 1);
    return text;
  }
  int64_t characters = header.item_bytes / 4;
  const auto character = [&](int64_t i) {
    uint32_t c;
    std::memcpy(&c, item + 4 * i, 4);
    return header.big_endian ? __builtin_bswap32(c) : c;
  };
  while (characters > 0 && character(characters - 1) == 0) --characters;
  for (int64_t i = 0; i < characters; ++i) append_utf8(text, character(i), where);
  return text;
}

/// For each element in row-major order: its position in the file.
template <class Body>
void for_each_position(const NpyHeader& header, Body body) {
  const int64_t count = element_count(header.dims);
  if (!header.fortran_order || header.dims.size() < 2) {
    for (int64_t i = 0; i < count; ++i) body(i, i);
    return;
  }
  Dims strides(header.dims.size(), 1), index(header.dims.size(), 0);
  for (size_t a = 1; a < strides.size(); ++a) strides[a] = strides[a - 1] * header.dims[a - 1];
  int64_t from = 0;
  for (int64_t i = 0; i < count; ++i) {
    body(i, from);
    for (size_t a = index.size(); a-- > 0;) {
      from += strides[a];
      if (++index[a] < header.dims[a]) break;
      from -= strides[a] * header.dims[a];
      index[a] = 0;
    }
  }
}

void copy_item(std::byte* to, const std::byte* from, size_t bytes, size_t word, bool swap) {
  std::memcpy(to, from, bytes);
  if (!swap) return;
  for (size_t i = 0; i < bytes; i += word) std::reverse(to + i, to + i + word);
}

std::string description_of(DataType type) {
  switch (type) {
    case DataType::boolean: return "|b1";
    case DataType::int8: return "|i1";
    case DataType::uint8: return "|u1";
    case DataType::int16: return "<i2";
    case DataType::uint16: return "<u2";
    case DataType::int32: return "<i4";
    case DataType::uint32: return "<u4";
    case DataType::int64: return "<i8";
    case DataType::uint64: return "<u8";
    case DataType::float16: return "<f2";
    case DataType::float32: return "<f4";
    case DataType::float64: return "<f8";
    case DataType::complex64: return "<c8";
    case DataType::complex128: return "<c16";
    default: throw Error(ErrorKind::usage, "npy cannot hold elements of type " + std::string(name(type)));
  }
}

/// Bytes of text as <U items; `width` characters each.
std::vector<uint32_t> utf32(const std::string& text) {
  std::vector<uint32_t> result;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const int more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    uint32_t c = more == 0 ? lead : lead & (0x3fu >> more);
    for (int k = 1; k <= more && i + static_cast<size_t>(k) < text.size(); ++k) {
      c = c << 6 | (static_cast<unsigned char>(text[i + static_cast<size_t>(k)]) & 63u);
    }
    result.push_back(c);
    i += static_cast<size_t>(more) + 1;
  }
  return result;
}

std::vector<std::byte> with_header(const std::string& descr, const Dims& dims, std::span<const std::byte> data) {
  std::string text = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (";
  for (const int64_t d : dims) text += std::to_string(d) + ",";
  text += "), }";
  text.resize((text.size() + 11 + 63) / 64 * 64 - 11, ' ');
  text += '\n';
  if (text.size() > 0xffff) throw Error(ErrorKind::usage, "npy header is too long");
  std::vector<std::byte> result(10 + text.size() + data.size());
  std::memcpy(result.data(), kMagic, 6);
  result[6] = std::byte{1};
  result[7] = std::byte{0};
  result[8] = static_cast<std::byte>(text.size() & 255);
  result[9] = static_cast<std::byte>(text.size() >> 8);
  std::memcpy(result.data() + 10, text.data(), text.size());
  if (!data.empty()) std::memcpy(result.data() + 10 + text.size(), data.data(), data.size());
  return result;
}

}  // namespace

int64_t NpyHeader::data_bytes() const { return checked_mul(element_count(dims), item_bytes, "number of bytes"); }

NpyHeader parse_npy_header(std::span<const std::byte> bytes, const std::string& where) {
  if (bytes.size() < 10 || std::memcmp(bytes.data(), kMagic, 6) != 0) bad(where, "not a npy file");
  const auto byte = [&](size_t i) { return std::to_integer<size_t>(bytes[i]); };
  const size_t version = byte(6);
  if (version < 1 || version > 3) bad(where, "npy version is " + std::to_string(version) + ", expected 1 to 3");
  const size_t start = version == 1 ? 10 : 12;
  if (bytes.size() < start) bad(where, "npy header is cut short");
  const size_t length = version == 1 ? byte(8) | byte(9) << 8 : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
  if (length > kNpyHeaderCap - start) bad(where, "npy header has " + std::to_string(length) + " bytes, expected at most 65536");
  if (length > bytes.size() - start) bad(where, "npy header is cut short");
  NpyHeader header;
  header.header_bytes = static_cast<int64_t>(start + length);
  std::string descr;
  try {
    HeaderText({reinterpret_cast<const char*>(bytes.data()) + start, length}, where).read(header, descr);
    read_description(descr, header, where);
    header.data_bytes();
  } catch (const Error& error) {
    if (std::string_view(error.what()).starts_with(where)) throw;
    bad(where, error.what());
  }
  return header;
}

Tensor npy_elements(const NpyHeader& header, std::span<const std::byte> data, const std::string& where) {
  if (static_cast<int64_t>(data.size()) != header.data_bytes()) {
    bad(where, "array " + to_string(header.dims) + " has " + std::to_string(data.size()) + " bytes, expected " +
                   std::to_string(header.data_bytes()));
  }
  const auto item = static_cast<size_t>(header.item_bytes);
  if (header.type == DataType::string) {
    std::vector<std::string> texts(static_cast<size_t>(element_count(header.dims)));
    for_each_position(header, [&](int64_t to, int64_t from) {
      texts[static_cast<size_t>(to)] = read_text(header, data.data() + static_cast<size_t>(from) * item, where);
    });
    return Tensor::of_strings(header.dims, std::move(texts));
  }
  Tensor result(header.type, header.dims);
  const auto out = result.mutable_bytes();
  const bool complex = header.type == DataType::complex64 || header.type == DataType::complex128;
  const size_t word = complex ? item / 2 : item;
  const bool swap = header.big_endian && word > 1;
  if (!swap && !(header.fortran_order && header.dims.size() > 1)) {
    if (!data.empty()) std::memcpy(out.data(), data.data(), data.size());
  } else {
    for_each_position(header, [&](int64_t to, int64_t from) {
      copy_item(out.data() + static_cast<size_t>(to) * item, data.data() + static_cast<size_t>(from) * item, item, word, swap);
    });
  }
  if (header.type == DataType::boolean) {  // any other byte in a bool is undefined behaviour
    for (std::byte& b : out) b = b == std::byte{0} ? std::byte{0} : std::byte{1};
  }
  return result;
}

Tensor read_npy(std::span<const std::byte> bytes, const std::string& where) {
  const NpyHeader header = parse_npy_header(bytes, where);
  return npy_elements(header, bytes.subspan(static_cast<size_t>(header.header_bytes)), where);
}

std::vector<std::byte> write_npy(const Tensor& tensor) {
  if (tensor.type() == DataType::bfloat16) return write_npy(tensor.cast(DataType::float32));
  if (tensor.type() != DataType::string) return with_header(description_of(tensor.type()), tensor.dims(), tensor.bytes());
  size_t width = 1;
  std::vector<std::vector<uint32_t>> texts;
  for (const std::string& text : tensor.strings()) {
    texts.push_back(utf32(text));
    width = std::max(width, texts.back().size());
  }
  std::vector<uint32_t> data(texts.size() * width, 0);
  for (size_t i = 0; i < texts.size(); ++i) std::copy(texts[i].begin(), texts[i].end(), data.begin() + static_cast<std::ptrdiff_t>(i * width));
  return with_header("<U" + std::to_string(width), tensor.dims(), std::as_bytes(std::span(data)));
}

}  // namespace espalier
