// External data of hostile files: what leaves the model's folder, or lies about its place, is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/onnx_io/load.h"
#include "lib/onnx_io/save.h"
#include "tests/lib/onnx_io/hostile.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

namespace fs = std::filesystem;
using namespace testing;
using onnx::ModelProto;
using onnx::TensorProto;
using ::testing::AnyOf;
using ::testing::HasSubstr;

// External data, reading.

class HostileExternalData : public ::testing::Test {
 protected:
  HostileExternalData() {
    fs::create_directories(folder_ / "model/sub");
    for (const char* name : {"secret", "model/data", "model/sub/data"}) {
      std::ofstream(folder_ / name, std::ios::binary) << std::string(100, 'd');
    }
  }

  static TensorProto external(std::vector<std::pair<std::string, std::string>> keys) {
    TensorProto t = tensor(TensorProto::FLOAT, {2, 3}, 0);
    t.clear_raw_data();
    t.set_data_location(TensorProto::EXTERNAL);
    for (const auto& [key, value] : keys) {
      auto* entry = t.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
    return t;
  }
  std::string refused(const TensorProto& t) { return refusal(with_initializer(t), folder_ / "model"); }
  std::string refused(const std::string& location) { return refused(external({{"location", location}})); }

  TemporaryFolder folder_;
};

TEST_F(HostileExternalData, AcceptsWhatIsSound) {
  EXPECT_EQ(refused("data"), "accepted");
  EXPECT_EQ(refused("sub/data"), "accepted");
  EXPECT_EQ(refused(external({{"location", "data"}, {"offset", "76"}, {"length", "24"}, {"checksum", "abc"}})), "accepted");
}

TEST_F(HostileExternalData, StaysInTheFolder) {
  EXPECT_THAT(refused("../secret"), HasSubstr("initializer 'w'"));
  EXPECT_NE(refused("sub/../../secret"), "accepted");
  EXPECT_NE(refused((folder_ / "secret").string()), "accepted");
  EXPECT_NE(refused("/etc/passwd"), "accepted");
  EXPECT_NE(refused(std::string("data\0/../../secret", 18)), "accepted");
  EXPECT_NE(refused(""), "accepted");
}

TEST_F(HostileExternalData, FollowsNoLinks) {
  fs::create_symlink("../secret", folder_ / "model/link");
  fs::create_directory_symlink("..", folder_ / "model/up");
  fs::create_hard_link(folder_ / "secret", folder_ / "model/hard");
  EXPECT_THAT(refused("link"), HasSubstr("link"));
  EXPECT_THAT(refused("up/secret"), HasSubstr("link"));
  EXPECT_THAT(refused("hard"), HasSubstr("hard link"));
}

TEST_F(HostileExternalData, ChecksKeysOffsetAndLength) {
  const auto keys = [&](const std::string& key, const std::string& value) {
    return refused(external({{"location", "data"}, {key, value}}));
  };
  EXPECT_THAT(keys("mode", "w"), HasSubstr("'mode' is not known"));
  EXPECT_THAT(keys("location", "data"), HasSubstr("twice"));
  EXPECT_THAT(keys("offset", "-1"), HasSubstr("offset is '-1'"));
  EXPECT_THAT(keys("offset", "1e3"), HasSubstr("offset is '1e3'"));
  EXPECT_THAT(keys("offset", "99999999999999999999"), HasSubstr("offset"));
  EXPECT_THAT(keys("offset", "77"), HasSubstr("do not lie within the 100 bytes"));
  EXPECT_THAT(keys("offset", "9223372036854775807"), HasSubstr("do not lie within"));
  EXPECT_THAT(keys("length", "-24"), HasSubstr("length"));
  EXPECT_THAT(keys("length", "23"), HasSubstr("length is 23, expected 24"));
  EXPECT_THAT(keys("length", "9223372036854775807"), HasSubstr("length"));
  EXPECT_THAT(refused(external({})), HasSubstr("no location"));
}

TEST_F(HostileExternalData, IsNotAlsoInside) {
  TensorProto t = external({{"location", "data"}});
  t.set_raw_data(std::string(24, '\0'));
  EXPECT_THAT(refused(t), HasSubstr("both"));
}

TEST_F(HostileExternalData, MissingIsAFileThatCannotBeRead) {
  try {
    parse(with_initializer(external({{"location", "nothing"}})).SerializeAsString(), folder_ / "model");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::io);
  }
}

// External data, writing: names and offsets never come from the model.

TEST_F(HostileExternalData, IsWrittenOnlyBesideTheOutput) {
  fs::create_directories(folder_ / "out");
  const ModelProto model = with_initializer(external({{"location", "sub/data"}}));
  save_model(parse(model.SerializeAsString(), folder_ / "model"), folder_ / "out/copy.onnx");
  EXPECT_TRUE(fs::exists(folder_ / "out/copy.onnx.data"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "out"), fs::directory_iterator()), 2);
  EXPECT_EQ(fs::file_size(folder_ / "model/sub/data"), 100u);
}

TEST_F(HostileExternalData, AHugeOffsetDoesNotPadTheDisk) {
  fs::resize_file(folder_ / "model/data", (uintmax_t{1} << 32) + 24);  // a hole
  const ModelProto model = with_initializer(external({{"location", "data"}, {"offset", "4294967296"}}));
  save_model(parse(model.SerializeAsString(), folder_ / "model"), folder_ / "copy.onnx");
  EXPECT_EQ(fs::file_size(folder_ / "copy.onnx.data"), 24u);
  EXPECT_NO_THROW(load_model(folder_ / "copy.onnx"));
}

}  // namespace
}  // namespace espalier
