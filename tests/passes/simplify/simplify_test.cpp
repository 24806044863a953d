#include "tests/passes/run_pass.h"

namespace espalier {
namespace {

// What PyTorch writes for x.view(x.size(0), -1) between a convolution and a Gemm, with a dropout.
constexpr const char* kExported = R"(graph g (x: float[batch,1,4,4]) -> (y: float[batch,2]) {
  w: float[2,1,3,3] = fill(1)
  scale: float[2] = {1, 2}
  bias: float[2] = {0, 1}
  mean: float[2] = {0.5, 0}
  var: float[2] = {1, 2}
  fc: float[2,8] = fill(2)
  c = Conv(x, w)
  n = BatchNormalization(c, scale, bias, mean, var)
  r = Relu(n)
  shape = Shape(r)
  zero = Constant() {value = int64[] {0}}
  batch = Gather(shape, zero)
  axes: int64[1] = {0}
  b1 = Unsqueeze(batch, axes)
  m1 = Constant() {value = int64[1] {-1}}
  s = Concat(b1, m1) {axis = 0}
  f = Reshape(r, s)
  d = Dropout(f)
  y = Gemm(d, fc) {transB = 1}
})";

TEST(Simplify, CleansWhatExportersLeaveAndKeepsBatchNormalization) {
  const Ran ran = run_pass("simplify", kExported);
  std::string ops;
  for (const NodeId id : ran.graph.nodes()) ops += ran.graph.node(id).op_type + " ";
  EXPECT_EQ(ops, "Conv BatchNormalization Relu Reshape Gemm ");
  EXPECT_EQ(ran.report.verification.state, Verification::State::passed);
  EXPECT_GE(ran.count("rounds"), 1);
}

TEST(Simplify, LeavesACleanGraphAlone) {
  expect_untouched("simplify", R"(graph g (x: float[n,3]) -> (y: float[n,2]) {
      w: float[3,2] = fill(1)
      h = MatMul(x, w)
      y = Relu(h)
    })");
}

TEST(Simplify, IsWrittenIntoTheMetadata) {
  Model model;
  model.graph = parse_graph(kExported);
  model.metadata = {{"author", "somebody"}};
  Pipeline::parse("simplify").run(model, {});
  Pipeline::parse("fuse").run(model, {});
  ASSERT_EQ(model.metadata.size(), 2u);
  EXPECT_EQ(model.metadata[1], std::pair(std::string(kPipelineKey), std::string("simplify, fuse")));
  EXPECT_EQ(Pipeline::parse(model.metadata[1].second).steps().size(), 2u);
}

TEST(Simplify, ListsNewInitialisersAsInputsBeforeIr4) {
  Model model;
  model.ir_version = 3;
  model.graph = parse_graph(kExported);
  std::vector<ValueId> weights;
  for (const auto& [v, initializer] : model.graph.initializers()) weights.push_back(v);
  for (const ValueId v : weights) model.graph.inputs.push_back(v);
  Pipeline::parse("simplify").run(model, {});
  EXPECT_EQ(model.graph.inputs.size(), 1 + model.graph.initializers().size());
}

}  // namespace
}  // namespace espalier
