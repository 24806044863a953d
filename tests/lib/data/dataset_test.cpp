#include "lib/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>

#include "lib/base/file.h"
#include "lib/data/idx.h"
#include "lib/data/npz.h"
#include "tests/support/environment.h"
#include "tests/support/errors.h"

namespace espalier {
namespace {

using ::testing::HasSubstr;
using testing::error_of;
using testing::shared_path;
using testing::TemporaryFolder;

class DatasetFiles : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() / name; }
  std::string put(const std::string& name, const std::string& bytes) const {
    write_file(path(name), bytes);
    return path(name);
  }
  void zip(const std::string& name, const std::string& bytes) const {
    gzFile file = gzopen(path(name).c_str(), "wb");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
  }
  TemporaryFolder folder_;
};

const std::string kImages("\0\0\x08\3\0\0\0\2\0\0\0\1\0\0\0\3" "abcdef", 22);
const std::string kLabels("\0\0\x08\1\0\0\0\2\7\1", 10);

TEST_F(DatasetFiles, ReadsIdxPlainAndGzipped) {
  const auto expected = Tensor::of<uint8_t>({2, 1, 3}, {'a', 'b', 'c', 'd', 'e', 'f'});
  EXPECT_EQ(read_idx(put("plain", kImages)), expected);
  zip("zipped.gz", kImages);
  EXPECT_EQ(read_idx(path("zipped.gz")), expected);
  EXPECT_EQ(read_idx(put("short", std::string("\0\0\x0b\1\0\0\0\1\1\2", 10))), Tensor::of<int16_t>({1}, {0x102}));
}

TEST_F(DatasetFiles, RefusesIdxThatLies) {
  const auto refused = [&](const std::string& bytes) {
    return error_of(ErrorKind::bad_data, [&] { read_idx(put("bad", bytes)); });
  };
  EXPECT_THAT(refused(kImages + "x"), HasSubstr("declares 6 bytes"));
  EXPECT_THAT(refused(kImages.substr(0, 20)), HasSubstr("declares 6 bytes"));
  EXPECT_THAT(refused(kImages.substr(0, 9)), HasSubstr("cut short"));
  EXPECT_THAT(refused(std::string("\0\0\x08\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16)), HasSubstr("overflow"));
  EXPECT_THAT(refused(std::string("\0\0\x08\1\xff\xff\xff\xff", 8)), HasSubstr("declares 4294967295"));
  EXPECT_THAT(refused(std::string("\0\0\x07\1\0\0\0\0", 8)), HasSubstr("no IDX"));
  EXPECT_THAT(refused(std::string("\0\0\x08\0", 4)), HasSubstr("rank 0"));
  zip("zipped.gz", std::string("\0\0\x08\1\xff\xff\xff\xff", 8));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { read_idx(path("zipped.gz")); }), HasSubstr("gzipped"));
}

TEST_F(DatasetFiles, FindsMnistLabelsByName) {
  put("train-labels-idx1-ubyte", kLabels);
  const Dataset data = open_dataset(put("train-images-idx3-ubyte", kImages));
  EXPECT_EQ(data.size(), 2);
  EXPECT_EQ(data.targets, Tensor::of<int64_t>({2}, {7, 1}));
  EXPECT_FALSE(open_dataset(put("pictures", kImages)).labelled());
  EXPECT_TRUE(open_dataset(path("pictures") + ":y=" + path("train-labels-idx1-ubyte")).labelled());
}

TEST_F(DatasetFiles, NamesArrays) {
  write_npz(path("a.npz"), {{"images", Tensor::of<float>({2, 2}, {1, 2, 3, 4})},
                            {"labels", Tensor::of<int32_t>({2, 1}, {1, 0})},
                            {"score", Tensor::of<double>({2}, {0.5, 1})}});
  const Dataset data = open_dataset(path("a.npz") + ":x=images,y=labels");
  EXPECT_EQ(data.targets, Tensor::of<int64_t>({2}, {1, 0}));
  EXPECT_EQ(data.input("whatever").dims(), (Dims{2, 2}));
  EXPECT_EQ(open_dataset(path("a.npz") + ":x=images,y=score").targets, Tensor::of<float>({2}, {0.5f, 1}));
  EXPECT_FALSE(open_dataset(path("a.npz") + ":x=images").labelled());
  const std::vector<std::string> inputs = {"images", "score"};
  const Dataset two = open_dataset(path("a.npz"), inputs);
  EXPECT_EQ(two.inputs.size(), 2u);
  EXPECT_EQ(two.input("score").dims(), (Dims{2}));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { two.input("other"); }), HasSubstr("'other'"));
}

TEST_F(DatasetFiles, RefusesNonsense) {
  write_npz(path("a.npz"), {{"x", Tensor::of<float>({2, 2}, {1, 2, 3, 4})},
                            {"y", Tensor::of<int32_t>({3}, {1, 0, 2})},
                            {"none", Tensor::of<float>({0, 2}, {})},
                            {"one", Tensor::scalar<float>(1)},
                            {"text", Tensor::of_strings({2}, {"a", "b"})}});
  const auto refused = [&](const std::string& names) {
    return error_of(ErrorKind::bad_data, [&] { open_dataset(path("a.npz") + names); });
  };
  EXPECT_THAT(refused(""), HasSubstr("3 labels, expected 2"));
  EXPECT_THAT(refused(":x=none,y="), HasSubstr("no samples"));
  EXPECT_THAT(refused(":x=one,y="), HasSubstr("scalar"));
  EXPECT_THAT(refused(":x=text,y="), HasSubstr("string"));
  EXPECT_THAT(refused(":y=text"), HasSubstr("text"));
  EXPECT_THAT(error_of(ErrorKind::usage, [&] { open_dataset(path("a.npz") + ":x=x,nonsense"); }), HasSubstr("nonsense"));
  EXPECT_THAT(error_of(ErrorKind::usage, [&] { open_dataset(path("a.npz") + ":x=x,x=y"); }), HasSubstr("twice"));
  error_of(ErrorKind::io, [&] { open_dataset(path("absent.npz")); });
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { open_dataset(put("t.txt", "hello")); }), HasSubstr("no known format"));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { open_dataset(folder_.path()); }), HasSubstr("folder"));
}

TEST(Dataset, SplitsByFractionAndSeed) {
  const Dataset data = make_dataset("d", {{"x", Tensor(DataType::float32, {1000, 1})}});
  const auto [train, validation] = split(data, 0.1, 7);
  EXPECT_EQ(validation.size(), 100);
  EXPECT_EQ(train.size(), 900);
  std::vector<int64_t> all = train.rows;
  all.insert(all.end(), validation.rows.begin(), validation.rows.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, data.rows);
  EXPECT_EQ(split(data, 0.1, 7).second.rows, validation.rows);
  EXPECT_NE(split(data, 0.1, 8).second.rows, validation.rows);
  error_of(ErrorKind::usage, [&] { split(data, 1.0, 7); });
  error_of(ErrorKind::usage, [&] { split(data, std::nan(""), 7); });
  error_of(ErrorKind::bad_data, [&] { split(head(data, 1), 0.5, 7); });
}

TEST(Dataset, NamesTheRowOfAWrongLabel) {
  const Dataset data = make_dataset("d", {{"x", Tensor(DataType::float32, {3, 1})}}, Tensor::of<uint8_t>({3}, {0, 9, 10}));
  check_labels(data, 11);
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { check_labels(data, 10); }), HasSubstr("row 2 is 10"));
}

TEST(Dataset, OpensTheSharedFiles) {
  if (!exists(shared_path("data"))) GTEST_SKIP() << "no shared data (set ESPALIER_SHARED)";
  struct Case {
    std::string spec;
    Dims dims;
    DataType targets;
  };
  const std::vector<Case> cases = {{"mnist_test.npz", {10000, 28, 28}, DataType::int64},
                                   {"iris.npz:x=x_train,y=y_train", {120, 4}, DataType::int64},
                                   {"digits8x8.npz:x=x_test,y=y_test", {359, 8, 8}, DataType::int64},
                                   {"diabetes.npz:x=x_train,y=y_train", {354, 10}, DataType::float32},
                                   {"sms_spam_bytes.npz:x=x_test,y=y_test", {1115, 192}, DataType::int64},
                                   {"magika_testfiles.npz", {152, 2048}, DataType::int64}};
  for (const Case& c : cases) {
    const Dataset data = open_dataset(shared_path("data/" + c.spec));
    EXPECT_EQ(data.inputs[0].values.dims(), c.dims) << c.spec;
    EXPECT_EQ(data.targets.type(), c.targets) << c.spec;
  }
  EXPECT_EQ(NpzFile(shared_path("data/magika_testfiles.npz")).read("path").size(), 152);
}

}  // namespace
}  // namespace espalier
