// Graphs that are no single plan: control flow, sequences, sizes that depend on data. The session must make what the reference
// makes, and compile each body and stage once per shape.

#include "lib/runtime/session.h"

#include <gtest/gtest.h>

#include "lib/analysis/reference.h"
#include "lib/base/error.h"
#include "lib/graph/text.h"
#include "tests/support/op_test.h"

namespace espalier::testing {
namespace {

using Values = std::map<std::string, HostValue>;

CompileOptions frozen() {
  CompileOptions options;
  options.frozen = true;
  return options;
}

/// Largest absolute value, at least 1.
double scale_of(const Tensor& tensor) {
  double scale = 1;
  for (const double v : tensor.to_doubles()) scale = std::max(scale, std::abs(v));
  return scale;
}

void expect_like_reference(Session& session, const Graph& graph, const Values& feeds) {
  const auto expected = run_reference_values(graph, feeds);
  const auto made = session.run(feeds);
  ASSERT_EQ(made.size(), expected.size());
  for (const auto& [name, value] : expected) {
    SCOPED_TRACE(name);
    ASSERT_EQ(made.at(name).is_tensor(), value.is_tensor());
    if (!value.is_tensor()) EXPECT_TRUE(made.at(name) == value);
    else if (is_float(value.tensor().type())) expect_near(made.at(name).tensor(), value.tensor(), 1e-4 * scale_of(value.tensor()));
    else EXPECT_EQ(made.at(name).tensor(), value.tensor());
  }
}

Tensor ramp(Dims dims, float step = 0.1f) {
  std::vector<float> values(static_cast<size_t>(element_count(dims)));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 17) * step - 0.6f;
  return Tensor::of(dims, values);
}

TEST(Session, AStaticGraphIsOnePlan) {
  const Graph g = parse_graph(R"(graph g (x: float[n,8]) -> (y) opset 17 {
    w: float[8,4] = fill(1)
    h = MatMul(x, w)
    y = Relu(h)
  })");
  ParameterStore store;
  Session session(g, store, frozen());
  expect_like_reference(session, g, {{"x", ramp({3, 8})}});
  expect_like_reference(session, g, {{"x", ramp({3, 8}, 0.2f)}});
  EXPECT_EQ(session.compiled_plans(), 1u);
  expect_like_reference(session, g, {{"x", ramp({5, 8})}});
  EXPECT_EQ(session.compiled_plans(), 2u);
}

TEST(Session, RunsTheBranchThatIsTaken) {
  const Graph g = parse_graph(R"(graph g (x: float[2,8]) -> (y) opset 17 {
    w: float[8,4] = fill(1)
    v: float[8,4] = fill(2)
    zero: float[] = {0}
    s = ReduceSum(x) {keepdims = 0}
    c = Greater(s, zero)
    h = Tanh(x)
    y = If(c) {then_branch = graph () -> (t) { t = MatMul(h, w) }, else_branch = graph () -> (e) { e = MatMul(h, v) }}
  })");
  ParameterStore store;
  Session session(g, store, frozen());
  for (const float step : {0.1f, 0.01f, 0.1f, 0.01f}) expect_like_reference(session, g, {{"x", ramp({2, 8}, step)}});
}

TEST(Session, CompilesALoopsBodyOncePerShape) {
  const Graph g = parse_graph(R"(graph g (m: int64[], x: float[n,8]) -> (y, s) opset 17 {
    w: float[8,8] = fill(1)
    y, s = Loop(m, _, x) {body = graph (i: int64[], k: bool[], h: float[n,8]) -> (k, h2, o) {
      p = MatMul(h, w)
      h2 = Tanh(p)
      o = ReduceSum(h2) {keepdims = 0}
    }}
  })");
  ParameterStore store;
  Session session(g, store, frozen());
  expect_like_reference(session, g, {{"m", Tensor::scalar(int64_t{7})}, {"x", ramp({3, 8})}});
  EXPECT_EQ(session.compiled_plans(), 1u);
  expect_like_reference(session, g, {{"m", Tensor::scalar(int64_t{2})}, {"x", ramp({3, 8})}});
  EXPECT_EQ(session.compiled_plans(), 1u);
  expect_like_reference(session, g, {{"m", Tensor::scalar(int64_t{0})}, {"x", ramp({3, 8})}});
  expect_like_reference(session, g, {{"m", Tensor::scalar(int64_t{2})}, {"x", ramp({4, 8})}});
  EXPECT_EQ(session.compiled_plans(), 2u);
}

TEST(Session, CutsWhereASizeDependsOnData) {
  const Graph g = parse_graph(R"(graph g (x: float[4,6]) -> (y, n) opset 17 {
    w: float[6,5] = fill(1)
    zero: float[] = {0}
    first: int64[1] = {0}
    h = MatMul(x, w)
    c = Greater(h, zero)
    idx = NonZero(c)
    t = Transpose(idx) {perm = [1,0]}
    rows = GatherND(h, t)
    u = Unsqueeze(rows, first)
    y = Tanh(u)
    n = Shape(rows)
  })");
  ParameterStore store;
  Session session(g, store, frozen());
  for (const float step : {0.1f, 0.3f, 0.1f}) expect_like_reference(session, g, {{"x", ramp({4, 6}, step)}});
}

TEST(Session, RunsOnWhatNothingIsLeftOf) {
  const Graph g = parse_graph(R"(graph g (x: float[6]) -> (y) opset 17 {
    limit: float[] = {100}
    c = Greater(x, limit)
    idx = NonZero(c)
    f = Cast(idx) {to = 1}
    y = Neg(f)
  })");
  ParameterStore store;
  Session session(g, store, frozen());
  expect_like_reference(session, g, {{"x", ramp({6})}});
}

TEST(Session, FollowsSequencesAndOptionals) {
  const Graph g = parse_graph(R"(graph g (x: float[4,8], s: sequence(float[2,8])) -> (y, r, has) opset 17 {
    w: float[8,8] = fill(1)
    two: int64[] = {2}
    at: int64[] = {1}
    h = MatMul(x, w)
    parts = SplitToSequence(h, two) {axis = 0}
    p = SequenceAt(parts, at)
    q = SequenceAt(s, at)
    y = Add(p, q)
    o = Optional(y)
    has = OptionalHasElement(o)
    r = SequenceInsert(s, y)
  })");
  ParameterStore store;
  Session session(g, store, frozen());
  const HostValue s = HostValue::sequence(Type::tensor(DataType::float32), {ramp({2, 8}), ramp({2, 8}, 0.3f)});
  const auto made = session.run({{"x", ramp({4, 8})}, {"s", s}});
  EXPECT_TRUE(made.at("has").tensor().data<bool>()[0]);
  EXPECT_EQ(made.at("r").elements().size(), 3u);
  expect_near(made.at("y").tensor(), run_reference_values(g, {{"x", ramp({4, 8})}, {"s", s}}).at("y").tensor(), 1e-5);
}

TEST(Session, BodiesOfBodiesReadFromFarOutside) {
  const Graph g = parse_graph(R"(graph g (c: bool[], m: int64[], x: float[2,8]) -> (y) opset 17 {
    w: float[8,8] = fill(1)
    h = Neg(x)
    y = Loop(m, _, x) {body = graph (i: int64[], k: bool[], a: float[2,8]) -> (k, b) {
      b = If(c) {then_branch = graph () -> (t) { p = MatMul(a, w)  t = Add(p, h) }, else_branch = graph () -> (e) { e = Sub(a, h) }}
    }}
  })");
  ParameterStore store;
  Session session(g, store, frozen());
  for (const bool c : {true, false}) {
    expect_like_reference(session, g, {{"c", Tensor::scalar(c)}, {"m", Tensor::scalar(int64_t{3})}, {"x", ramp({2, 8})}});
  }
}

TEST(Session, NamesWhatIsWrongWithTheFeeds) {
  const Graph g = parse_graph("graph g (x: float[2]) -> (y) opset 17 { y = Neg(x) }");
  ParameterStore store;
  Session session(g, store, frozen());
  const auto message = [&](const Values& feeds) -> std::string {
    try {
      session.run(feeds);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message({}), "input 'x' is not fed");
  EXPECT_EQ(message({{"z", ramp({2})}}), "the graph has no input 'z' to be fed");
  EXPECT_EQ(message({{"x", ramp({3})}}), "input 'x' is float[3], but the model declares float[2]");
}

TEST(Plan, OfAGraphWithControlFlowRunsInStages) {
  const Graph g = parse_graph(R"(graph g (x: float[n,8]) -> (y) opset 17 {
    w: float[8,8] = fill(1)
    zero: float[] = {0}
    s = ReduceSum(x) {keepdims = 0}
    c = Greater(s, zero)
    y = If(c) {then_branch = graph () -> (t) { t = MatMul(x, w) }, else_branch = graph () -> (e) { e = Neg(x) }}
  })");
  ParameterStore store;
  CompileOptions options = frozen();
  options.input_shapes["x"] = {2, 8};
  Plan plan(g, store, options);
  EXPECT_FALSE(plan.is_static());
  for (const float step : {0.1f, 0.01f}) {
    const Tensor x = ramp({2, 8}, step);
    plan.feed("x", x);
    plan.run();
    EXPECT_EQ(plan.output_dims("y"), (Dims{2, 8}));
    expect_near(plan.output_tensor("y"), run_reference(g, {{"x", x}}).at("y"), 1e-4);
  }
  EXPECT_THROW(Plan(g, store, frozen()), Error);
}

}  // namespace
}  // namespace espalier::testing
