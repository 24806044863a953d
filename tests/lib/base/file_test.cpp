#include "lib/base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "lib/base/error.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

void put(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

template <class Body>
ErrorKind kind_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.kind();
  }
  ADD_FAILURE() << "no error";
  return ErrorKind::internal;
}

size_t files_in(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(ReadFile, GivesAllBytesUpToTheLimit) {
  const TemporaryFolder folder;
  put(folder / "a", std::string("1\0002", 3));
  EXPECT_EQ(read_file(folder / "a", 3), std::string("1\0002", 3));
  EXPECT_EQ(kind_of([&] { read_file(folder / "a", 2); }), ErrorKind::bad_data);
  EXPECT_EQ(kind_of([&] { read_file(folder / "b", 2); }), ErrorKind::io);
  EXPECT_EQ(kind_of([&] { read_file(folder.path(), 2); }), ErrorKind::io);
}

TEST(ReadFile, DoesNotWaitForAPipe) {
  const TemporaryFolder folder;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(kind_of([&] { read_file(folder / "pipe", 10); }), ErrorKind::io);
}

TEST(AtomicFile, ReplacesOnlyOnCommit) {
  const TemporaryFolder folder;
  put(folder / "out", "old");
  {
    AtomicFile file(folder / "out");
    file.write("new, but not all of it");
  }
  EXPECT_EQ(read_file(folder / "out", 100), "old");
  EXPECT_EQ(files_in(folder.path()), 1u);
  write_file(folder / "out", "new");
  EXPECT_EQ(read_file(folder / "out", 100), "new");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, CountsZeros) {
  const TemporaryFolder folder;
  AtomicFile file(folder / "out");
  file.write("a");
  file.write_zeros(5000);
  EXPECT_EQ(file.size(), 5001);
  file.commit();
  EXPECT_EQ(read_file(folder / "out", 6000), "a" + std::string(5000, '\0'));
}

TEST(AtomicFile, RefusesWhatIsNotAFile) {
  const TemporaryFolder folder;
  EXPECT_EQ(kind_of([&] { AtomicFile(folder.path()); }), ErrorKind::io);
  EXPECT_EQ(kind_of([&] { AtomicFile("/dev/null"); }), ErrorKind::io);
  EXPECT_EQ(kind_of([&] { AtomicFile(folder / "no/such/folder"); }), ErrorKind::io);
  EXPECT_EQ(kind_of([&] { AtomicFile(fs::path("")); }), ErrorKind::io);
}

class ConfinedFile : public ::testing::Test {
 protected:
  ConfinedFile() {
    put(folder_ / "model/data", "inside");
    put(folder_ / "model/sub/data", "below");
    put(folder_ / "secret", "outside");
  }
  ErrorKind refusal(const std::string& name) {
    return kind_of([&] { MappedFile::confined(folder_ / "model", name); });
  }
  TemporaryFolder folder_;
};

TEST_F(ConfinedFile, OpensWhatLiesBelow) {
  const auto text = [](const std::shared_ptr<const MappedFile>& file) {
    return std::string(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  };
  EXPECT_EQ(text(MappedFile::confined(folder_ / "model", "data")), "inside");
  EXPECT_EQ(text(MappedFile::confined(folder_ / "model", "sub/data")), "below");
  EXPECT_EQ(text(MappedFile::confined(folder_ / "model", "./data")), "inside");
}

TEST_F(ConfinedFile, RefusesPathsThatLeave) {
  EXPECT_EQ(refusal("../secret"), ErrorKind::bad_data);
  EXPECT_EQ(refusal("sub/../../secret"), ErrorKind::bad_data);
  EXPECT_EQ(refusal("sub/../data"), ErrorKind::bad_data);
  EXPECT_EQ(refusal((folder_ / "secret").string()), ErrorKind::bad_data);
  EXPECT_EQ(refusal(""), ErrorKind::bad_data);
  EXPECT_EQ(refusal(std::string("data\0x", 6)), ErrorKind::bad_data);
}

TEST_F(ConfinedFile, RefusesLinks) {
  fs::create_symlink("../secret", folder_ / "model/link");
  fs::create_symlink("data", folder_ / "model/inner_link");
  fs::create_directory_symlink("..", folder_ / "model/up");
  fs::create_hard_link(folder_ / "secret", folder_ / "model/hard");
  EXPECT_EQ(refusal("link"), ErrorKind::bad_data);
  EXPECT_EQ(refusal("inner_link"), ErrorKind::bad_data);
  EXPECT_EQ(refusal("up/secret"), ErrorKind::bad_data);
  EXPECT_EQ(refusal("hard"), ErrorKind::bad_data);
  try {
    MappedFile::confined(folder_ / "model", "link");
  } catch (const Error& error) {
    EXPECT_NE(error.hint().find("copy the files"), std::string::npos);
  }
}

TEST_F(ConfinedFile, DoesTheSameWithoutOpenat2) {
  fs::create_symlink("../secret", folder_ / "model/link");
  fs::create_directory_symlink("sub", folder_ / "model/folder_link");
  const int base = open((folder_ / "model").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  const auto error_of = [&](const char* name) {
    errno = 0;
    const int file = detail::open_stepwise(base, name);
    const int error = errno;
    if (file >= 0) close(file);
    return file >= 0 ? 0 : error;
  };
  EXPECT_EQ(error_of("data"), 0);
  EXPECT_EQ(error_of("sub/data"), 0);
  EXPECT_EQ(error_of("link"), ELOOP);
  EXPECT_EQ(error_of("folder_link/data"), ELOOP);
  EXPECT_EQ(error_of("missing"), ENOENT);
  EXPECT_EQ(error_of("data/below"), ENOTDIR);
  close(base);
}

TEST_F(ConfinedFile, CannotReadWhatIsNotAFile) {
  EXPECT_EQ(refusal("missing"), ErrorKind::io);
  EXPECT_EQ(refusal("sub"), ErrorKind::io);
}

}  // namespace
}  // namespace espalier
