// What `espalier info` says of the well-known nets: GMACs that a separate count of their Conv and Gemm shapes gave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/file.h"
#include "tests/support/environment.h"
#include "tests/tools/run_command.h"

namespace espalier::testing {
namespace {

using ::testing::HasSubstr;

struct Published {
  const char* file;
  const char* gmacs;
  int64_t params;  ///< running statistics of BatchNormalization included, where there are any
};

TEST(LightZoo, InfoGivesThePublishedMacsAndParameters) {
  if (!exists(shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  constexpr Published kNets[] = {
      {"bvlc_alexnet", "0.655", 60965224}, {"densenet121", "2.834", 8146152}, {"inception_v1", "1.432", 6998552},
      {"inception_v2", "2.019", 11234792}, {"resnet50", "4.089", 25610153}, {"shufflenet", "0.125", 1420152},
      {"squeezenet", "0.349", 1235496}, {"vgg19", "19.632", 143667240}, {"zfnet512", "1.482", 87250537},
  };
  const TemporaryFolder folder;
  for (const Published& net : kNets) {
    SCOPED_TRACE(net.file);
    const CommandResult result = run_command({"info", shared_path("zoo/light/" + std::string(net.file) + ".onnx")}, folder.path().string());
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr(" (" + std::string(net.gmacs) + " G) with "));
    EXPECT_THAT(result.out, HasSubstr("\nparameters  " + std::to_string(net.params) + " ("));
  }
}

}  // namespace
}  // namespace espalier::testing
