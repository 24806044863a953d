#include "passes/verify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "lib/graph/text.h"
#include "passes/check_inputs.h"
#include "passes/compare.h"

namespace espalier {
namespace {

Verification verify_texts(const char* before, const char* after, Contract contract = Contract::equal) {
  return verify_outputs(parse_graph(before), parse_graph(after), contract, {});
}

std::string fault(const char* before, const char* after, Contract contract = Contract::equal) {
  try {
    verify_texts(before, after, contract);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::verification);
    return error.what();
  }
  return "no error";
}

constexpr const char* kPlain = "graph g (x: float[n,3]) -> (y) { y = Relu(x) }";

TEST(VerifyOutputs, PassesWhatIsTheSame) {
  const auto v = verify_texts(kPlain, "graph g (x: float[n,3]) -> (y) { a = Identity(x)  y = Relu(a) }", Contract::exact);
  EXPECT_EQ(v.state, Verification::State::passed);
  EXPECT_EQ(v.worst, 0);
  EXPECT_EQ(v.detail, "1 outputs, 2 runs");
}

TEST(VerifyOutputs, NamesTheOutputThatDiffers) {
  EXPECT_NE(fault(kPlain, "graph g (x: float[n,3]) -> (y) { y = LeakyRelu(x) {alpha = 0.1} }").find("output 'y': "), std::string::npos);
}

TEST(VerifyOutputs, TellsExactFromEqual) {
  const char* close = "graph g (x: float[n,3]) -> (y) { s: float[] = 1.000001  a = Relu(x)  y = Mul(a, s) }";
  EXPECT_EQ(verify_texts(kPlain, close).state, Verification::State::passed);
  EXPECT_NE(fault(kPlain, close, Contract::exact), "no error");
}

TEST(VerifyOutputs, NoticesAMissingOutputAShapeAndAGraphThatDoesNotRun) {
  EXPECT_EQ(fault(kPlain, "graph g (x: float[n,3]) -> (z) { z = Relu(x) }"), "output 'y' is gone");
  EXPECT_NE(fault(kPlain, "graph g (x: float[n,3]) -> (y) { a = Relu(x)  y = Transpose(a) }").find("against"), std::string::npos);
  EXPECT_NE(fault(kPlain, "graph g (x: float[n,3]) -> (y) { w: float[7] = iota  y = Add(x, w) }").find("does not run"), std::string::npos);
}

TEST(VerifyOutputs, ComparesAroundAnOpaqueNode) {
  const char* before = "graph g (x: float[n,3]) -> (y: float[n,3]) opset 17, other 1 { h: float[n,3]\n a = Exp(x)  h = other::Magic(a)  y = Relu(h) }";
  const char* same = "graph g (x: float[n,3]) -> (y: float[n,3]) opset 17, other 1 { h: float[n,3]\n b = Exp(x)  h = other::Magic(b)  i = Identity(h)  y = Relu(i) }";
  const char* other_input = "graph g (x: float[n,3]) -> (y: float[n,3]) opset 17, other 1 { h: float[n,3]\n a = Neg(x)  h = other::Magic(a)  y = Relu(h) }";
  const char* other_output = "graph g (x: float[n,3]) -> (y: float[n,3]) opset 17, other 1 { h: float[n,3]\n a = Exp(x)  h = other::Magic(a)  y = Neg(h) }";
  EXPECT_EQ(verify_texts(before, same).state, Verification::State::passed);
  EXPECT_NE(fault(before, other_input), "no error");
  EXPECT_NE(fault(before, other_output), "no error");
}

TEST(VerifyOutputs, SaysWhereItCannotCompare) {
  const char* text = "graph g (x: float[n,3]) -> (y) opset 17, other 1 { a = Exp(x)  h = other::Magic(a)  y = Relu(h) }";
  const auto v = verify_texts(text, text);
  EXPECT_EQ(v.state, Verification::State::unverified);
  EXPECT_NE(v.detail.find("'y' hangs on what an opaque node makes"), std::string::npos) << v.detail;
}

TEST(VerifyOutputs, UsesTheInputsGiven) {
  Resources resources;
  resources.check_inputs = {{{"x", Tensor::of<float>({1, 3}, {1, 2, 3})}}};
  // These differ only where x is negative.
  const Graph before = parse_graph(kPlain), after = parse_graph("graph g (x: float[n,3]) -> (y) { y = Identity(x) }");
  EXPECT_EQ(verify_outputs(before, after, Contract::equal, resources).detail, "1 outputs, 1 runs");
  EXPECT_NE(fault(kPlain, "graph g (x: float[n,3]) -> (y) { y = Identity(x) }"), "no error");
}

TEST(GenerateInputs, StaysInTheRangeOfWhatIsIndexed) {
  const Graph graph = parse_graph("graph g (i: int64[n]) -> (y) { table: float[5,2] = iota  y = Gather(table, i) }");
  Resources resources;
  resources.symbols = {{"n", 1000}};
  const auto dims = choose_input_dims(graph, resources);
  EXPECT_EQ(dims.at("i"), Dims{1000});
  const Feeds feeds = generate_inputs(graph, dims, 1, 0);
  const auto values = feeds.at("i").to_int64s();
  EXPECT_EQ(*std::min_element(values.begin(), values.end()), 0);
  EXPECT_EQ(*std::max_element(values.begin(), values.end()), 4);
  EXPECT_FALSE(generate_inputs(graph, dims, 1, 1).at("i") == feeds.at("i"));
}

TEST(ChooseInputDims, TriesSizesUntilOneFits) {
  const Graph graph = parse_graph(R"(graph g (x: float[n,3,h,w]) -> (y) {
      k: float[1,3,40,40] = fill(1)
      y = Conv(x, k)
    })");
  EXPECT_EQ(choose_input_dims(graph, {}).at("x"), (Dims{2, 3, 64, 64}));
}

TEST(Difference, CountsNotANumberAndInfinity) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const auto of = [](float a, float b) { return difference("y", Tensor::of<float>({2}, {1, a}), Tensor::of<float>({2}, {1, b})).relative(); };
  EXPECT_EQ(of(nan, nan), 0);
  EXPECT_EQ(of(inf, inf), 0);
  EXPECT_EQ(of(inf, 1), inf);
  EXPECT_EQ(of(1, nan), inf);
  EXPECT_EQ(of(2, 1), 0.5);
}

}  // namespace
}  // namespace espalier
