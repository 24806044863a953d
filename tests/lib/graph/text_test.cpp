#include "lib/graph/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lib/base/error.h"

namespace espalier {
namespace {

using ::testing::HasSubstr;

constexpr const char* kNet = R"(
# a comment
graph resnet (x: float[batch,3,32,32]) -> (logits: float[batch,10]) opset 17, ai.onnx.ml 2 {
  w1: float[16,3,3,3] = fill(1)
  b1: float[16] = zeros
  k: int64[2] = {0, -1}
  scalar: float[] = 0.5
  "a b/c:0": double[1,2] = {1e-300, inf}
  words: string[2] = {"one", "t\"w\no"}
  h1: float[batch,16,32,32]
  "conv1": h1 = Conv(x, w1, b1) {kernel_shape = [3,3], pads = [1,1,1,1]}
  h2, _, mean.1 = Weird(h1, _, "a b/c:0") {epsilon = 1e-5, whole = 1.0, mode = "full", none = floats[], mixed = [1, 0.5],
                                          t = int64[2] {3, 4}, ts = [float[1] {1}, bool[] true]}
  y = ai.onnx.ml::Scaler(h2)
  logits = Reshape(y, k)
}
)";

std::string error_of(std::string_view text) {
  try {
    parse_graph(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::bad_data);
    return error.what();
  }
  return "no error";
}

std::string body_error(const std::string& body) { return error_of("graph (x) -> () {\n" + body + "\n}"); }

TEST(TextForm, ReadsWhatANetworkNeeds) {
  const Graph g = parse_graph(kNet);
  EXPECT_EQ(g.name, "resnet");
  EXPECT_EQ(g.opset(), 17);
  EXPECT_EQ(g.value(g.inputs[0]).type.str(), "float[batch,3,32,32]");
  const Node& conv = g.node(g.nodes()[0]);
  EXPECT_EQ(conv.name, "conv1");
  EXPECT_EQ(conv.version, 17);
  EXPECT_EQ(conv.require<std::vector<int64_t>>("kernel_shape"), (std::vector<int64_t>{3, 3}));
  const Node& weird = g.node(g.nodes()[1]);
  EXPECT_EQ(weird.inputs[1], kNone);
  EXPECT_EQ(weird.outputs[1], kNone);
  EXPECT_EQ(weird.require<float>("whole"), 1.0f);
  EXPECT_EQ(weird.require<std::vector<float>>("mixed"), (std::vector<float>{1.0f, 0.5f}));
  EXPECT_EQ(weird.require<Tensor>("t").to_int64s(), (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(g.node(g.nodes()[2]).domain, "ai.onnx.ml");
  EXPECT_EQ(g.node(g.nodes()[2]).version, 2);
  EXPECT_TRUE(g.value(g.find_value("h1")).declared);
  EXPECT_EQ(g.initializer(g.find_value("a b/c:0"))->data<double>()[0], 1e-300);
  EXPECT_NO_THROW(verify(g));
}

TEST(TextForm, PrintsWhatItReads) {
  const Graph g = parse_graph(kNet);
  const std::string text = print_graph(g, {.max_elements = -1});
  const Graph again = parse_graph(text);
  EXPECT_TRUE(same_graph(g, again)) << text;
  EXPECT_EQ(print_graph(again, {.max_elements = -1}), text);
}

TEST(TextForm, PrintsInTheFieldsLook) {
  const std::string text = R"(graph g (x: float[batch,4]) -> (y: float[batch,2]) opset 17 {
  w: float[4,2] = {1, 2, 3, 4, 5, 6, 7, 8}
  "fc": y = Gemm(x, w) {alpha = 0.5, transB = 1}
}
)";
  EXPECT_EQ(print_graph(parse_graph(text)), text);
}

TEST(TextForm, LeavesBigTensorsOutOnlyWhenAsked) {
  const Graph g = parse_graph("graph (x) -> (y) { w: float[100] = ones\n y = Add(x, w) }");
  EXPECT_THAT(print_graph(g), HasSubstr("w: float[100] = elided"));
  EXPECT_THAT(error_of(print_graph(g)), HasSubstr("left out"));
  EXPECT_TRUE(same_graph(g, parse_graph(print_graph(g, {.max_elements = -1}))));
}

TEST(TextForm, FillIsHeInitialisationAndOnlyDependsOnTheSeed) {
  const Tensor w = parse_tensor("float[64,32,3,3] fill(7)");
  double sum = 0, squares = 0;
  for (const float v : w.data<float>()) {
    sum += v;
    squares += static_cast<double>(v) * v;
  }
  const double n = static_cast<double>(w.size()), expected = 2.0 / (32 * 9);
  EXPECT_NEAR(sum / n, 0.0, 4 * std::sqrt(expected / n));
  EXPECT_NEAR(squares / n / expected, 1.0, 0.05);
  EXPECT_TRUE(w == parse_tensor("float[64,32,3,3] fill(7)"));
  EXPECT_FALSE(w == parse_tensor("float[64,32,3,3] fill(8)"));
}

TEST(TextForm, HasOtherGenerators) {
  EXPECT_EQ(parse_tensor("float[3] ones").to_doubles(), (std::vector<double>{1, 1, 1}));
  EXPECT_EQ(parse_tensor("int64[3] iota").to_int64s(), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(parse_tensor("float16[2] constant(0.5)").to_doubles(), (std::vector<double>{0.5, 0.5}));
  for (const double v : parse_tensor("float[1000] uniform(3, -2, 1)").to_doubles()) {
    EXPECT_GE(v, -2);
    EXPECT_LT(v, 1);
  }
}

TEST(TextForm, KeepsEveryElementTypeBitForBit) {
  for (int i = 1; i <= static_cast<int>(DataType::float4e2m1); ++i) {
    const auto type = static_cast<DataType>(i);
    if (type == DataType::string || type == DataType::boolean) continue;
    Tensor t(type, {3});
    const auto bytes = t.mutable_bytes();
    for (size_t b = 0; b < bytes.size(); ++b) bytes[b] = static_cast<std::byte>(0x11 + 7 * b);
    EXPECT_TRUE(t == parse_tensor(print_tensor(t))) << print_tensor(t);
  }
  const Tensor odd = Tensor::of<float>({4}, {-0.0f, std::nanf("3"), INFINITY, 1e-45f});
  EXPECT_TRUE(odd == parse_tensor(print_tensor(odd))) << print_tensor(odd);
}

TEST(TextForm, BodiesSeeTheNamesAroundThem) {
  const std::string text = R"(graph (c: bool[], x: float[n]) -> (y: float[n]) opset 16 {
  y = If(c) {else_branch = graph () -> (e) {
    two: float[] = {2}
    e = Mul(x, two)
  }, then_branch = graph () -> (t) {
    t = If(c) {else_branch = graph () -> (u) {
      u = Neg(x)
    }, then_branch = graph () -> (v) {
      v = Identity(x)
    }}
  }}
}
)";
  const Graph g = parse_graph(text);
  EXPECT_EQ(print_graph(g), text);
  const Body body = g.node(g.nodes()[0]).require<Body>("else_branch");
  EXPECT_TRUE(body->value(body->find_value("x")).captured);
  EXPECT_EQ(body->opset(), 16);
  EXPECT_EQ(g.captured_by_bodies(), (std::vector<std::string>{"c", "x"}));
}

TEST(TextForm, KeepsTypesThatAreNotTensors) {
  const std::string text =
      "graph (a: sequence(float[n,?]), b: optional(sequence(int64[...])), c: map(int64, float[]), d: sparse float[2], "
      "e: float[\"2 x\",2*h+1]) -> (a: sequence(float[n,?])) opset 17 {\n}\n";
  EXPECT_EQ(print_graph(parse_graph(text)), text);
}

TEST(TextForm, KeepsOwnVersionsDomainsAndStatePairs) {
  const std::string text =
      "graph (m: float[]) -> (m2: float[]) opset 17 state (m -> m2) {\n  m2 = ai.espalier::Update@1(m)\n}\n";
  const Graph g = parse_graph(text);
  EXPECT_EQ(print_graph(g), text);
  ASSERT_EQ(g.state_pairs.size(), 1u);
  EXPECT_EQ(g.state_pairs[0].output, g.find_value("m2"));
}

TEST(TextForm, SaysWhereAnErrorIs) {
  EXPECT_EQ(body_error("  y = Relu(z)"), "line 2, column 12: 'z' is used before it is made");
  EXPECT_EQ(body_error("  y = Relu(x)\n  y = Relu(x)"), "line 3, column 3: 'y' is made twice");
  EXPECT_THAT(body_error("y = Relu(x"), HasSubstr("line 3, column 1: expected ')'"));
  EXPECT_THAT(body_error("w: float[2] = {1}"), HasSubstr("1 elements for shape [2]"));
  EXPECT_THAT(body_error("w: float[n] = zeros"), HasSubstr("known sizes"));
  EXPECT_THAT(body_error("w: int8[1] = {300}"), HasSubstr("does not fit"));
  EXPECT_THAT(body_error("w: flaot[1] = {3}"), HasSubstr("unknown element type 'flaot'"));
  EXPECT_THAT(body_error("w: float[4294967296,4294967296] = zeros"), HasSubstr("overflows"));
  EXPECT_THAT(body_error("w: float[999999999999] = zeros"), HasSubstr("too big"));
  EXPECT_THAT(body_error("y = Relu(x) {a = 1, a = 2}"), HasSubstr("given twice"));
  EXPECT_THAT(body_error("y = Relu(x) {a = \"b}"), HasSubstr("not closed"));
  EXPECT_THAT(body_error("y = If(x) {b = graph () -> (x) { x = Relu(x) }}"), HasSubstr("shadows"));
  EXPECT_THAT(error_of("graph (x) -> (y) { }"), HasSubstr("'y' is used before it is made"));
  EXPECT_THAT(error_of(""), HasSubstr("expected 'graph'"));
}

TEST(TextForm, RefusesDeepNesting) {
  std::string text = "y = Neg(x)";
  for (int i = 0; i < 200; ++i) text = "y" + std::to_string(i) + " = If(x) {b = graph () -> () { " + text + " }}";
  EXPECT_THAT(body_error(text), HasSubstr("nested too deep"));
}

}  // namespace
}  // namespace espalier
