// prune{state=...}: a streaming model's states shrink with the units they hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/file.h"
#include "lib/graph/text.h"
#include "passes/pipeline.h"
#include "tests/support/environment.h"
#include "tests/support/errors.h"

namespace espalier {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

Model streaming() {
  Model model;
  model.graph = parse_graph(R"(graph g (x: float[1,1,6], "h:0": float[1,1,8]) -> (y: float[1,1,1,3], "h:1": float[1,1,8]) opset 14 {
    w: float[1,24,6] = fill(1)
    r: float[1,24,8] = fill(2)
    v: float[8,3] = fill(4)
    "layer": s, "h:1" = GRU(x, w, r, _, _, "h:0") {hidden_size = 8}
    y = MatMul(s, v)
  })");
  return model;
}

PassReport run(Model& model, const std::string& text) { return Pipeline::parse(text).run(model, Resources{}).at(0); }

TEST(PruneState, ShrinksBothEndsAndSaysSo) {
  Model model = streaming();
  const PassReport report = run(model, "prune{ratio=0.5 state=\"h:0:h:1\"}");
  EXPECT_EQ(report.verification.state, Verification::State::passed) << report.verification.detail;
  EXPECT_EQ(report.counters.at("units-removed"), 4);
  EXPECT_THAT(report.notes, Contains(HasSubstr("interface: state 'h:0' -> 'h:1' is float[1,1,4], was float[1,1,8]")));
  EXPECT_EQ(model.graph.value(model.graph.find_value("h:0")).type.str(), "float[1,1,4]");
}

TEST(PruneState, APlanGivesTheSameModelAgain) {
  testing::TemporaryFolder folder;
  const std::string file = (folder / "plan.json").string();
  Model first = streaming(), second = streaming();
  run(first, "prune{ratio=0.5 state=\"h:0:h:1\" plan-out=\"" + file + "\"}");
  run(second, "prune{state=\"h:0:h:1\" plan=\"" + file + "\"}");
  EXPECT_TRUE(same_graph(first.graph, second.graph));
}

TEST(PruneState, RefusesSamplesThatHoldTheStateAsItWas) {
  Model model = streaming();
  const Dataset data = make_dataset("frames", {{"x", Tensor(DataType::float32, {4, 1, 6})}, {"h:0", Tensor(DataType::float32, {4, 1, 8})}});
  Resources resources;
  resources.train = &data;
  const auto fault = testing::error_of(ErrorKind::usage, [&] { Pipeline::parse("prune{ratio=0.5 state=\"h:0:h:1\"}").run(model, resources); });
  EXPECT_THAT(fault, HasSubstr("state 'h:0' cannot shrink where data are given: the samples hold it as float[1,1,8]"));
  EXPECT_TRUE(same_graph(model.graph, streaming().graph));
}

TEST(PruneState, RefusesWhatIsNoPair) {
  Model model = streaming();
  const auto fault = testing::error_of(ErrorKind::usage, [&] { run(model, "prune{ratio=0.5 state=\"x:h\"}"); });
  EXPECT_THAT(fault, HasSubstr("state 'x:h' is no input:output of the model"));
}

}  // namespace
}  // namespace espalier
