#include "lib/base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "lib/base/error.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

using testing::TemporaryFolder;

std::string text_of(const std::string& path) {
  const auto bytes = read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

ErrorKind kind_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::internal;
}

TEST(File, WritesAndReplaces) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "a";
  write_file_atomically(path, std::string("one"));
  EXPECT_EQ(text_of(path), "one");
  EXPECT_EQ(::chmod(path.c_str(), 0640), 0);
  write_file_atomically(path, std::string("two, longer"));
  EXPECT_EQ(text_of(path), "two, longer");
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0640));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);  // no temporary stays
}

TEST(File, RefusesWhatIsNoRegularFile) {
  const TemporaryFolder folder;
  EXPECT_EQ(kind_of([&] { read_file(folder.path() / "absent"); }), ErrorKind::io);
  EXPECT_EQ(kind_of([&] { read_file(folder.path().string()); }), ErrorKind::io);
  EXPECT_EQ(kind_of([&] { espalier::file_size(folder.path().string()); }), ErrorKind::io);
  const std::string pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(kind_of([&] { read_file(pipe); }), ErrorKind::io);
  EXPECT_EQ(kind_of([&] { write_file_atomically(folder.path() / "no" / "file", std::string("x")); }), ErrorKind::io);
}

TEST(File, KeepsToTheCap) {
  const TemporaryFolder folder;
  const std::string path = folder.path() / "a";
  write_file_atomically(path, std::string("12345"));
  EXPECT_EQ(read_file(path, 5).size(), 5u);
  EXPECT_EQ(kind_of([&] { read_file(path, 4); }), ErrorKind::bad_data);
  EXPECT_EQ(espalier::file_size(path), 5);
}

}  // namespace
}  // namespace espalier
