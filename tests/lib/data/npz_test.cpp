#include "lib/data/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>

#include "lib/base/file.h"
#include "tests/support/environment.h"
#include "tests/support/errors.h"

namespace espalier {
namespace {

using ::testing::HasSubstr;
using testing::error_of;
using testing::TemporaryFolder;

std::string npy(const std::string& header, const std::string& data, int version = 1) {
  std::string text = "\x93NUMPY";
  text += static_cast<char>(version);
  text += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) text += static_cast<char>(header.size() >> (8 * i) & 255);
  return text + header + data;
}

std::string npy_of(const std::string& descr, const std::string& shape, const std::string& data, bool fortran = false) {
  return npy("{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }\n", data);
}

Tensor parse(const std::string& file) { return read_npy(std::as_bytes(std::span(file)), "array"); }

/// A zip entry that may lie about itself.
struct FakeEntry {
  std::string name, data;
  uint64_t size = 0;  ///< declared; 0: the truth
  uint16_t method = 0, flags = 0;
  bool wrong_checksum = false;
};

void put(std::string& text, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 255);
}

void put16(std::string& text, std::initializer_list<uint64_t> values) {
  for (const uint64_t value : values) put(text, value, 2);
}

std::string zip_of(const std::vector<FakeEntry>& entries) {
  std::string file, directory;
  for (const FakeEntry& e : entries) {
    const uint64_t size = e.size ? e.size : e.data.size();
    const auto* bytes = reinterpret_cast<const Bytef*>(e.data.data());
    const auto checksum = crc32(0, bytes, static_cast<uInt>(e.data.size())) ^ (e.wrong_checksum ? 1u : 0u);
    std::string common;
    put16(common, {e.flags, e.method, 0, 0x21, checksum & 0xffff, checksum >> 16});
    put(common, e.data.size(), 4);
    put(common, size, 4);
    put16(common, {e.name.size(), 0});
    put(directory, 0x02014b50, 4);
    put16(directory, {20, 20});
    directory += common;
    put16(directory, {0, 0, 0, 0, 0});
    put(directory, file.size(), 4);
    directory += e.name;
    put(file, 0x04034b50, 4);
    put16(file, {20});
    file += common + e.name + e.data;
  }
  const size_t start = file.size();
  const size_t length = directory.size();
  file += directory;
  put(file, 0x06054b50, 4);
  put16(file, {0, 0, entries.size(), entries.size()});
  put(file, length, 4);
  put(file, start, 4);
  put16(file, {0});
  return file;
}

std::string deflated(const std::string& data) {
  std::string out(compressBound(static_cast<uLong>(data.size())) + 64, '\0');
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

class Npz : public ::testing::Test {
 protected:
  std::string write(const std::string& bytes) {
    const std::string path = folder_.path() / "file.npz";
    write_file(path, bytes);
    return path;
  }
  std::string refused(const std::vector<FakeEntry>& entries, const NpzLimits& limits = {}) {
    const std::string path = write(zip_of(entries));
    return error_of(ErrorKind::bad_data, [&] {
      const NpzFile file(path, limits);
      for (const std::string& name : file.names()) file.read(name);
    });
  }
  TemporaryFolder folder_;
};

TEST(Npy, ReadsNumbersInEitherOrderAndEndianness) {
  EXPECT_EQ(parse(npy_of("<i2", "(2,)", std::string("\1\0\2\0", 4))), Tensor::of<int16_t>({2}, {1, 2}));
  EXPECT_EQ(parse(npy_of(">i2", "(2,)", std::string("\0\1\0\2", 4))), Tensor::of<int16_t>({2}, {1, 2}));
  EXPECT_EQ(parse(npy_of("|u1", "(2, 3)", "\1\2\3\4\5\6")), Tensor::of<uint8_t>({2, 3}, {1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(parse(npy_of("|u1", "(2, 3)", "\1\2\3\4\5\6", true)), Tensor::of<uint8_t>({2, 3}, {1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(parse(npy_of("|u1", "(1, 2, 3)", "\1\2\3\4\5\6", true)), Tensor::of<uint8_t>({1, 2, 3}, {1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(parse(npy_of("|b1", "()", std::string("\7"))), Tensor::scalar<bool>(true));
  EXPECT_EQ(parse(npy_of("<f8", "(0, 4)", "")).dims(), (Dims{0, 4}));
  EXPECT_EQ(parse(npy("{'shape': (2L,), 'descr': '|i1', 'fortran_order': False}", "\1\2", 2)), Tensor::of<int8_t>({2}, {1, 2}));
}

TEST(Npy, ReadsTextAsUtf8) {
  const std::string data("a\0\0\0\xe4\0\0\0\xac\x20\0\0\0\0\0\0", 16);
  const Tensor text = parse(npy_of("<U2", "(2,)", data));
  EXPECT_EQ(text.strings()[0], "a\xc3\xa4");
  EXPECT_EQ(text.strings()[1], "\xe2\x82\xac");
  EXPECT_EQ(read_npy(write_npy(text), "again"), text);
  EXPECT_EQ(parse(npy_of("|S3", "(2,)", std::string("ab\0cde", 6))).strings()[1], "cde");
}

TEST(Npy, RefusesWhatLies) {
  const auto refused = [](const std::string& file) { return error_of(ErrorKind::bad_data, [&] { parse(file); }); };
  EXPECT_THAT(refused(npy_of("|O", "(2,)", "xx")), HasSubstr("Python objects"));
  EXPECT_THAT(refused(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "xxxx")), HasSubstr("structured"));
  EXPECT_THAT(refused(npy_of("<f4", "(8589934592,)", "xx")), HasSubstr("34359738368"));  // 32 GiB in 80 bytes
  EXPECT_THAT(refused(npy_of("<f4", "(18446744073709551616,)", "")), HasSubstr("overflow"));
  EXPECT_THAT(refused(npy_of("<f4", "(4294967296, 4294967296)", "")), HasSubstr("overflow"));
  EXPECT_THAT(refused(npy_of("<f4", "(2305843009213693952,)", "")), HasSubstr("overflow"));
  EXPECT_THAT(refused(npy_of("<f4", "(-1,)", "")), HasSubstr("negative"));
  EXPECT_THAT(refused(npy_of("<f4", "(2,)", "abc")), HasSubstr("expected 8"));
  EXPECT_THAT(refused(npy_of("<f4", "(2,)", "abcdefghi")), HasSubstr("expected 8"));
  EXPECT_THAT(refused(npy_of("<U0", "(1099511627776,)", "")), HasSubstr("length 0"));
  EXPECT_THAT(refused(npy_of("<U1", "(1,)", std::string("\0\0\x11\0", 4))), HasSubstr("Unicode"));
  EXPECT_THAT(refused(npy_of("<M8", "(1,)", "12345678")), HasSubstr("not supported"));
  EXPECT_THAT(refused(npy_of("<f16", "(1,)", "1234567812345678")), HasSubstr("not supported"));
  EXPECT_THAT(refused(npy_of("<f4444444444444444444444", "(1,)", "")), HasSubstr("not supported"));
  std::string deep = "(";
  for (int i = 0; i < 65; ++i) deep += "1,";
  EXPECT_THAT(refused(npy_of("<f4", deep + ")", "abcd")), HasSubstr("rank"));
  EXPECT_THAT(refused(npy(std::string(100000, ' '), "", 2)), HasSubstr("at most 65536"));
  EXPECT_THAT(refused(npy("{'descr': '<f4', 'fortran_order': False}", "")), HasSubstr("lacks"));
  EXPECT_THAT(refused(npy("{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", "")), HasSubstr("malformed"));
  EXPECT_THAT(refused(npy("__import__('os').system('true')", "")), HasSubstr("malformed"));
  EXPECT_THAT(refused(npy("{'descr': '<f4", "")), HasSubstr("malformed"));
  EXPECT_THAT(refused(std::string("\x93NUMPY\1\0\xff\xff{", 11)), HasSubstr("header"));
  EXPECT_THAT(refused(std::string("\x93NUMPY\4\0\1\0 ", 11)), HasSubstr("version"));
  EXPECT_THAT(refused("PK"), HasSubstr("not a npy file"));
  EXPECT_THAT(refused(""), HasSubstr("not a npy file"));
}

TEST_F(Npz, WritesWhatItReads) {
  const std::string path = folder_.path() / "all.npz";
  const std::vector<std::pair<std::string, Tensor>> arrays = {
      {"x", Tensor::of<float>({2, 2}, {1.5f, -2, 3, 4})},
      {"y", Tensor::of<int64_t>({3}, {-1, 0, 1})},
      {"b", Tensor::of<bool>({2}, {true, false})},
      {"h", Tensor::of<float16>({1}, {float16(0.5f)})},
      {"u", Tensor::of<uint8_t>({0, 5}, {})},
      {"s", Tensor::of_strings({2}, {"one", "zw\xc3\xb6lf"})},
      {"a/b", Tensor::scalar<double>(2.5)},
  };
  write_npz(path, arrays);
  const NpzFile file(path);
  ASSERT_EQ(file.names().size(), arrays.size());
  for (const auto& [name, tensor] : arrays) EXPECT_EQ(file.read(name), tensor) << name;
  EXPECT_EQ(file.header("x").dims, (Dims{2, 2}));
  const auto once = read_file(path, 1 << 20);
  write_npz(path, arrays);
  EXPECT_EQ(read_file(path, 1 << 20), once);  // same arrays, same bytes
}

TEST_F(Npz, IsReadByNumpy) {
  const std::string python = testing::python_with("numpy");
  if (python.empty()) GTEST_SKIP() << "no Python with numpy";
  const std::string path = folder_.path() / "a.npz";
  write_npz(path, {{"x", Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6})}, {"s", Tensor::of_strings({1}, {"zw\xc3\xb6lf"})}});
  const std::string script = "import numpy as n; d=n.load('" + path + "'); assert d['x'].tolist()==[[1,2,3],[4,5,6]] and d['x'].dtype=='f4'; "
                             "assert d['s'][0]=='zw\\u00f6lf'; "
                             "n.savez('" + path + "2.npz', f=n.asfortranarray(n.arange(24,dtype='>i4').reshape(2,3,4)))";
  ASSERT_EQ(std::system((python + " -c \"" + script + "\"").c_str()), 0);
  const auto back = NpzFile(path + "2.npz").read("f").to_int64s();
  for (int64_t i = 0; i < 24; ++i) EXPECT_EQ(back[static_cast<size_t>(i)], i);
}

TEST_F(Npz, RefusesLyingSizes) {
  const std::string small = npy_of("<f4", "(8589934592,)", "abcd");
  EXPECT_THAT(refused({{"x.npy", small}}), HasSubstr("declares 34359738368 bytes"));
  EXPECT_THAT(refused({{"x.npy", npy_of("<f4", "(2,)", "abcd")}}), HasSubstr("declares 8 bytes, but has 4"));
  EXPECT_THAT(refused({{"x.npy", small, uint64_t{3} << 30}}), HasSubstr("unpacks"));
}

TEST_F(Npz, RefusesBombs) {
  const std::string zeros = npy_of("|u1", "(80000000,)", std::string(80000000, '\0'));
  const std::string packed = deflated(zeros);
  ASSERT_LT(packed.size(), 100000u);
  EXPECT_THAT(refused({{"x.npy", packed, zeros.size(), 8}}), HasSubstr("more than 200 times"));
  const std::string half = npy_of("|u1", "(40000000,)", std::string(40000000, '\0'));
  const FakeEntry entry{"x.npy", deflated(half), half.size(), 8};
  FakeEntry other = entry;
  other.name = "y.npy";
  EXPECT_THAT(refused({entry, other}), HasSubstr("unpack to 8000"));
  NpzLimits limits;
  limits.entries = 1;
  EXPECT_THAT(refused({{"a.npy", npy_of("|u1", "(1,)", "a")}, {"b.npy", npy_of("|u1", "(1,)", "a")}}, limits), HasSubstr("at most 1"));
}

TEST_F(Npz, RefusesDamage) {
  FakeEntry entry{"x.npy", npy_of("|u1", "(4,)", "abcd")};
  entry.wrong_checksum = true;
  EXPECT_THAT(refused({entry}), HasSubstr("damaged"));
  EXPECT_THAT(refused({{"x.npy", npy_of("|u1", "(1,)", "a")}, {"x.npy", npy_of("|u1", "(1,)", "b")}}), HasSubstr("twice"));
  FakeEntry encrypted{"x.npy", npy_of("|u1", "(1,)", "a")};
  encrypted.flags = 1;
  EXPECT_THAT(refused({encrypted}), HasSubstr("encrypted"));
  FakeEntry other{"x.npy", npy_of("|u1", "(1,)", "a")};
  other.method = 12;
  EXPECT_THAT(refused({other}), HasSubstr("method"));
  const std::string whole = zip_of({{"x.npy", npy_of("|u1", "(4,)", "abcd")}});
  for (size_t length = 0; length < whole.size(); length += 7) {
    const std::string path = write(whole.substr(0, length));
    error_of(ErrorKind::bad_data, [&] { NpzFile(path).read("x"); });
  }
}

TEST_F(Npz, TreatsNamesAsKeysNotPaths) {
  const std::string path = write(
      zip_of({{"../x.npy", npy_of("|u1", "(1,)", "a")}, {"/etc/y.npy", npy_of("|u1", "(1,)", "b")}, {"readme.txt", "hi"}}));
  const NpzFile file(path);
  EXPECT_EQ(file.names(), (std::vector<std::string>{"../x", "/etc/y"}));
  EXPECT_EQ(file.read("../x"), Tensor::of<uint8_t>({1}, {'a'}));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(Npz, SaysWhatItHolds) {
  const std::string path = write(zip_of({{"images.npy", npy_of("|u1", "(1,)", "a")}}));
  try {
    NpzFile(path).read("x");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.hint(), HasSubstr("images"));
  }
  error_of(ErrorKind::io, [&] { NpzFile(folder_.path() / "absent.npz"); });
  error_of(ErrorKind::bad_data, [&] { NpzFile(write("PK this is no zip")); });
}

}  // namespace
}  // namespace espalier
