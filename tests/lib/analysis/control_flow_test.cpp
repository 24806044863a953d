// If, Loop, Scan, SequenceMap and the sequence and optional operators: what inference finds, what the reference makes, and what
// is refused.

#include <gtest/gtest.h>

#include "lib/analysis/infer.h"
#include "lib/analysis/reference.h"
#include "lib/base/error.h"
#include "lib/graph/text.h"
#include "tests/support/op_test.h"

namespace espalier::testing {
namespace {

std::string type_of(const Graph& graph, const std::string& name, const InferOptions& options = {}) {
  return infer(graph, options).type(graph.find_value(name)).str();
}

std::string message_of(const std::string& text) {
  try {
    infer(parse_graph(text));
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), 3);
    return e.what();
  }
  return "";
}

Tensor truth(bool value) { return Tensor::scalar(value); }

const char* const kIf = R"(graph g (c: bool[], x: float[n,3]) -> (y) opset 17 {
  b: float[3] = {10, 20, 30}
  y = If(c) {then_branch = graph () -> (t) { t = Add(x, b) }, else_branch = graph () -> (e) { e = Neg(x) }}
})";

TEST(If, RunsTheBranchOfItsCondition) {
  const Graph g = parse_graph(kIf);
  const Tensor x = floats({1, 3}, {1, 2, 3});
  expect_near(run_reference(g, {{"c", truth(true)}, {"x", x}}).at("y"), floats({1, 3}, {11, 22, 33}));
  expect_near(run_reference(g, {{"c", truth(false)}, {"x", x}}).at("y"), floats({1, 3}, {-1, -2, -3}));
  EXPECT_EQ(run_reference(g, {{"c", truth(true)}, {"x", x}}, {.in_double = true}).at("y").type(), DataType::float64);
}

TEST(If, ItsTypeIsWhatBothBranchesHaveInCommon) {
  EXPECT_EQ(type_of(parse_graph(kIf), "y"), "float[n,3]");
  const auto branches = [](const std::string& then_part, const std::string& else_part) {
    return type_of(parse_graph("graph g (c: bool[], x: float[n,3]) -> (y) opset 17 { k: int64[1] = {1}\n y = If(c) {then_branch = graph () -> (t) { " +
                               then_part + " }, else_branch = graph () -> (e) { " + else_part + " }} }"), "y");
  };
  EXPECT_EQ(branches("t = Concat(x, x) {axis = 1}", "e = Neg(x)"), "float[n,?]");
  EXPECT_EQ(branches("t = Unsqueeze(x, k)", "e = Neg(x)"), "float[...]");
}

TEST(If, OfAKnownConditionIsOneBranch) {
  const Graph g = parse_graph(R"(graph g (x: float[2,3]) -> (y) opset 17 {
    c: bool[] = {1}
    y = If(c) {then_branch = graph () -> (t) { t = Shape(x) }, else_branch = graph () -> (e) { nothing: int64[1] = {7}  e = Reshape(x, nothing) }}
  })");
  const FactTable facts = infer(g);
  ASSERT_NE(facts.constant(g.find_value("y")), nullptr);
  EXPECT_EQ(facts.constant(g.find_value("y"))->to_int64s(), (std::vector<int64_t>{2, 3}));
}

TEST(If, MayHaveABranchThatCannotRunOnTheGivenSizes) {
  const Graph g = parse_graph(R"(graph g (c: bool[], x: float[n]) -> (y) opset 17 {
    a: float[4] = iota
    b: float[8] = iota
    y = If(c) {then_branch = graph () -> (t) { t = Add(x, a) }, else_branch = graph () -> (e) { e = Add(x, b) }}
  })");
  EXPECT_EQ(type_of(g, "y", {.input_dims = {{"x", {8}}}}), "float[8]");
  EXPECT_EQ(run_reference(g, {{"c", truth(false)}, {"x", floats({8}, std::vector<float>(8, 0))}}).at("y").dims(), (Dims{8}));
  EXPECT_THROW(infer(g, {.input_dims = {{"x", {5}}}}), Error);
}

TEST(If, InnerBodiesReadThroughOuterOnes) {
  const Graph g = parse_graph(R"(graph g (c: bool[], d: bool[], x: float[2]) -> (y) opset 17 {
    h = Neg(x)
    y = If(c) {
      then_branch = graph () -> (t) { t = If(d) {then_branch = graph () -> (tt) { tt = Exp(h) }, else_branch = graph () -> (te) { te = Neg(h) }} },
      else_branch = graph () -> (e) { e = Identity(x) }}
  })");
  const Tensor x = floats({2}, {1, 2});
  expect_near(run_reference(g, {{"c", truth(true)}, {"d", truth(false)}, {"x", x}}).at("y"), x);
  EXPECT_EQ(type_of(g, "y"), "float[2]");
}

const char* const kLoop = R"(graph g (m: int64[], c: bool[], x: float[2]) -> (y, s) opset 17 {
  one: float[] = {1}
  y, s = Loop(m, c, x) {body = graph (i: int64[], k: bool[], h: float[2]) -> (k2, h2, o) {
    k2 = Identity(k)
    h2 = Add(h, one)
    o = Mul(h, h)
  }}
})";

TEST(Loop, RunsItsTripsAndStacks) {
  const Graph g = parse_graph(kLoop);
  const auto out = run_reference(g, {{"m", Tensor::scalar(int64_t{3})}, {"c", truth(true)}, {"x", floats({2}, {0, 1})}});
  expect_near(out.at("y"), floats({2}, {3, 4}));
  expect_near(out.at("s"), floats({3, 2}, {0, 1, 1, 4, 4, 9}));
  const auto none = run_reference(g, {{"m", Tensor::scalar(int64_t{3})}, {"c", truth(false)}, {"x", floats({2}, {0, 1})}});
  expect_near(none.at("y"), floats({2}, {0, 1}));
  EXPECT_EQ(none.at("s").dims()[0], 0);
}

TEST(Loop, EndsWhereItsConditionDoes) {
  const Graph g = parse_graph(R"(graph g (x: float[]) -> (y) opset 17 {
    limit: float[] = {100}
    two: float[] = {2}
    y = Loop(_, _, x) {body = graph (i: int64[], k: bool[], h: float[]) -> (k2, h2) { h2 = Mul(h, two)  k2 = Less(h2, limit) }}
  })");
  expect_near(run_reference(g, {{"x", Tensor::scalar(3.0f)}}).at("y"), Tensor::scalar(192.0f));
}

TEST(Loop, SizesThatAnIterationChangesAreUnknown) {
  const Graph g = parse_graph(R"(graph g (m: int64[], x: float[n,3]) -> (y, z, s) opset 17 {
    y, z, s = Loop(m, _, x, x) {body = graph (i: int64[], k: bool[], a: float[n,3], b: float[n,3]) -> (k, a2, b2, o) {
      a2 = Concat(a, b) {axis = 0}  b2 = Neg(b)  o = ReduceSum(b) {keepdims = 0} }}
  })");
  EXPECT_EQ(type_of(g, "y"), "float[?,3]");
  EXPECT_EQ(type_of(g, "z"), "float[n,3]");
  EXPECT_EQ(type_of(g, "s"), "float[?]");
  const auto out = run_reference(g, {{"m", Tensor::scalar(int64_t{3})}, {"x", floats({2, 3}, {1, 2, 3, 4, 5, 6})}});
  EXPECT_EQ(out.at("y").dims(), (Dims{8, 3}));
  expect_near(out.at("s"), floats({3}, {21, -21, 21}));
}

TEST(Loop, KnownTripsAreTheSizeOfWhatItStacks) {
  const Graph g = parse_graph(R"(graph g (x: float[n,2]) -> (s) opset 17 {
    m: int64[] = {5}
    _, s = Loop(m, _, x) {body = graph (i: int64[], k: bool[], h: float[n,2]) -> (k, h2, o) { h2 = Neg(h)  o = Exp(h) }}
  })");
  EXPECT_EQ(type_of(g, "s"), "float[5,n,2]");
}

TEST(Loop, OnConstantsIsCalculated) {
  const Graph g = parse_graph(R"(graph g () -> (y) opset 17 {
    m: int64[] = {10}
    x: int64[] = {0}
    y = Loop(m, _, x) {body = graph (i: int64[], k: bool[], h: int64[]) -> (k, h2) { h2 = Add(h, i) }}
  })");
  const FactTable facts = infer(g);
  ASSERT_NE(facts.constant(g.find_value("y")), nullptr);
  EXPECT_EQ(facts.constant(g.find_value("y"))->to_int64s()[0], 45);
}

TEST(Loop, ThatNeverEndsIsNotFollowedForEver) {
  const Graph g = parse_graph(R"(graph g () -> (y) opset 17 {
    x: int64[] = {0}
    y = Loop(_, _, x) {body = graph (i: int64[], k: bool[], h: int64[]) -> (k, h2) { h2 = Add(h, i) }}
  })");
  InferOptions options;
  options.body_nodes = 10000;
  EXPECT_EQ(infer(g, options).constant(g.find_value("y")), nullptr);
}

TEST(Loop, NestedLoopsAreInferredWithinABudget) {
  std::string body = "q30 = Neg(a30)";
  for (int depth = 30; depth-- > 0;) {
    const std::string in = "a" + std::to_string(depth), out = "q" + std::to_string(depth), next = std::to_string(depth + 1);
    body = out + " = Loop(m, _, " + in + ") {body = graph (i" + next + ": int64[], k" + next + ": bool[], a" + next + ") -> (k" + next +
           ", q" + next + ") { " + body + " }}";
  }
  const Graph g = parse_graph("graph g (m: int64[], a0: float[n,2]) -> (q0) opset 17 { " + body + " }");
  infer(g);  // ends
}

TEST(Scan, CarriesAStateAlongAnAxis) {
  const Graph g = parse_graph(R"(graph g (h0: float[2], x: float[t,2]) -> (h, s) opset 17 {
    h, s = Scan(h0, x) {num_scan_inputs = 1, body = graph (a: float[2], e: float[2]) -> (a2, o) { a2 = Add(a, e)  o = Identity(a2) }}
  })");
  EXPECT_EQ(type_of(g, "h"), "float[2]");
  EXPECT_EQ(type_of(g, "s"), "float[t,2]");
  const auto out = run_reference(g, {{"h0", floats({2}, {0, 0})}, {"x", floats({3, 2}, {1, 2, 3, 4, 5, 6})}});
  expect_near(out.at("h"), floats({2}, {9, 12}));
  expect_near(out.at("s"), floats({3, 2}, {1, 2, 4, 6, 9, 12}));
}

TEST(Scan, RunsBackwardAlongAnyAxis) {
  const Graph g = parse_graph(R"(graph g (x: float[2,3]) -> (s, r) opset 17 {
    s, r = Scan(x) {num_scan_inputs = 1, scan_input_axes = [1], scan_input_directions = [1], scan_output_axes = [-1, 0],
      scan_output_directions = [0, 1], body = graph (e: float[2]) -> (o, p) { o = Neg(e)  p = Identity(e) }}
  })");
  EXPECT_EQ(type_of(g, "s"), "float[2,3]");
  EXPECT_EQ(type_of(g, "r"), "float[3,2]");
  const auto out = run_reference(g, {{"x", floats({2, 3}, {1, 2, 3, 4, 5, 6})}});
  expect_near(out.at("s"), floats({2, 3}, {-3, -2, -1, -6, -5, -4}));
  expect_near(out.at("r"), floats({3, 2}, {1, 4, 2, 5, 3, 6}));
}

TEST(Sequence, GrowsShrinksAndIsRead) {
  const Graph g = parse_graph(R"(graph g (a: float[2], b: float[3], p: int64[]) -> (n, y, z) opset 17 {
    s = SequenceConstruct(a, b)
    t = SequenceInsert(s, a, p)
    u = SequenceErase(t)
    n = SequenceLength(t)
    y = SequenceAt(t, p)
    z = ConcatFromSequence(u) {axis = 0}
  })");
  EXPECT_EQ(type_of(g, "s"), "sequence(float[?])");
  EXPECT_EQ(type_of(g, "y"), "float[?]");
  const auto out = run_reference(g, {{"a", floats({2}, {1, 2})}, {"b", floats({3}, {3, 4, 5})}, {"p", Tensor::scalar(int64_t{-1})}});
  EXPECT_EQ(out.at("n").to_int64s()[0], 3);
  expect_near(out.at("y"), floats({3}, {3, 4, 5}));
  expect_near(out.at("z"), floats({4}, {1, 2, 1, 2}));
}

TEST(Sequence, SplitsIntoPartsOfOneLengthOrMany) {
  const Graph g = parse_graph(R"(graph g (x: float[5,2]) -> (y, z) opset 17 {
    two: int64[] = {2}
    parts: int64[2] = {1, 4}
    last: int64[] = {-1}
    s = SplitToSequence(x, two) {axis = 0}
    y = SequenceAt(s, last)
    t = SplitToSequence(x, parts)
    z = SequenceAt(t, last)
    u = SplitToSequence(x) {axis = 1, keepdims = 0}
  })");
  EXPECT_EQ(type_of(g, "u"), "sequence(float[5])");
  const auto out = run_reference(g, {{"x", Tensor::of<float>({5, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9})}});
  expect_near(out.at("y"), floats({1, 2}, {8, 9}));
  expect_near(out.at("z"), floats({4, 2}, {2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(SequenceMap, AppliesItsBodyToEveryElement) {
  const Graph g = parse_graph(R"(graph g (a: float[2], b: float[3]) -> (y) opset 17 {
    s = SequenceConstruct(a, b)
    m = SequenceMap(s, a) {body = graph (e: float[?], k: float[2]) -> (o) { o = Neg(e) }}
    y = ConcatFromSequence(m) {axis = 0}
  })");
  expect_near(run_reference(g, {{"a", floats({2}, {1, 2})}, {"b", floats({3}, {3, 4, 5})}}).at("y"), floats({5}, {-1, -2, -3, -4, -5}));
}

TEST(Optional, HoldsAValueOrNothing) {
  const Graph g = parse_graph(R"(graph g (a: float[2]) -> (has, y) opset 17 {
    o = Optional(a)
    has = OptionalHasElement(o)
    y = OptionalGetElement(o)
  })");
  EXPECT_EQ(type_of(g, "o"), "optional(float[2])");
  EXPECT_EQ(type_of(g, "y"), "float[2]");
  const auto out = run_reference(g, {{"a", floats({2}, {1, 2})}});
  EXPECT_TRUE(out.at("has").data<bool>()[0]);
  expect_near(out.at("y"), floats({2}, {1, 2}));
  const Graph empty = parse_graph("graph g (o: optional(float[2])) -> (has, y) opset 17 { has = OptionalHasElement(o)  y = OptionalGetElement(o) }");
  EXPECT_THROW(run_reference_values(empty, {{"o", HostValue::none(Type())}}), Error);
}

TEST(ControlFlow, RefusesWhatDoesNotFit) {
  const auto with_if = [](const std::string& attributes) {
    return message_of("graph g (c: bool[], x: float[3]) -> (y) opset 17 { \"n\": y = If(c) {" + attributes + "} }");
  };
  EXPECT_EQ(with_if("then_branch = graph () -> (t) { t = Neg(x) }"), "node 'n' (If): its else_branch is missing");
  EXPECT_EQ(with_if("then_branch = graph () -> (t, x) { t = Neg(x) }, else_branch = graph () -> (e) { e = Neg(x) }"),
            "node 'n' (If): its then_branch has 2 outputs, expected 1");
  EXPECT_EQ(with_if("then_branch = graph () -> (t) { t = Neg(x) }, else_branch = graph () -> (e) { e = Shape(x) }"),
            "node 'n' (If): output 0 is float[3] here and int64[1] there");
  EXPECT_EQ(with_if("then_branch = graph () -> (t) { w: int64[1] = {4}  t = Reshape(x, w) }, else_branch = graph () -> (e) { e = Neg(x) }").substr(0, 15),
            "node 'n' (If): ");
  EXPECT_EQ(message_of("graph g (c: float[3], x: float[3]) -> (y) opset 17 { \"n\": y = If(c) {then_branch = graph () -> (t) { t = Neg(x) }, else_branch = graph () -> (e) { e = Neg(x) }} }"),
            "node 'n' (If): the condition is float[3], expected one bool");
  EXPECT_EQ(message_of("graph g (m: int64[], x: float[3]) -> (y) opset 17 { \"n\": y = Loop(m, _, x) {body = graph (i: int64[], k: bool[]) -> (k, x) {}} }"),
            "node 'n' (Loop): its body has 2 inputs, expected 3");
  EXPECT_EQ(message_of("graph g (m: int64[], x: float[3]) -> (y) opset 17 { \"n\": y = Loop(m, _, x) {body = graph (i: int64[], k: bool[], h: double[3]) -> (k, h) {}} }"),
            "node 'n' (Loop): input 'h' of the body is declared as double[3], but is float[3]");
  EXPECT_EQ(message_of("graph g (x: float[3]) -> (y) opset 17 { \"n\": y = Scan(x) {num_scan_inputs = 2, body = graph (e: float[]) -> (e) {}} }"),
            "node 'n' (Scan): num_scan_inputs is 2, expected one in [1, 1]");
  EXPECT_EQ(message_of("graph g (x: float[3]) -> (y) opset 17 { \"n\": y = SequenceLength(x) }"),
            "node 'n' (SequenceLength): input 0 is float[3], expected a sequence");
  EXPECT_EQ(message_of("graph g (x: float[3], z: int64[3]) -> (y) opset 17 { \"n\": y = SequenceConstruct(x, z) }"),
            "node 'n' (SequenceConstruct): an element is float[3] here and int64[3] there");
}

TEST(ControlFlow, AnOperatorOfTensorsRefusesASequence) {
  const Graph g = parse_graph("graph g (x: float[3]) -> (y) opset 17 { s = SequenceConstruct(x, x)  \"n\": y = Neg(s) }");
  EXPECT_THROW(run_reference(g, {{"x", floats({3}, {1, 2, 3})}}), Error);
}

}  // namespace
}  // namespace espalier::testing
