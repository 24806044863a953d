#include <gtest/gtest.h>

#include <cmath>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/base/random.h"
#include "lib/onnx_io/load.h"
#include "tests/support/environment.h"
#include "tests/support/zoo.h"

namespace espalier {
namespace {

// In double, by the plain reference; the larger ones would take minutes.
TEST(LightZoo, HalvesOfNetsWithRandomWeightsPassTheirCertificates) {
  if (!exists(testing::shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  for (const std::string file : {"squeezenet.onnx", "shufflenet.onnx"}) {
    SCOPED_TRACE(file);
    const Graph graph = testing::with_random_weights(load_model(testing::shared_path("zoo/light/" + file)).graph, 3);
    UnitTable table = assign_units(graph);
    const Chosen chosen = choose_units(table, {keep_share(0.5), {}, 7});
    const Certificate found = certify(table, chosen.keep, chosen.cut, random_feeds(table, 7));
    EXPECT_LT(found.error, 1e-9);
    EXPECT_FALSE(found.vacuous);
    EXPECT_GT(found.moved, 1e-3);
  }
}

}  // namespace
}  // namespace espalier
