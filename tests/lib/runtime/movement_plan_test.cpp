// Fast steps of the operators that move and index elements give the bits of the reference, and no node is left to it.

#include <gtest/gtest.h>

#include "lib/analysis/reference.h"
#include "lib/base/error.h"
#include "lib/graph/text.h"
#include "lib/runtime/plan.h"

namespace espalier {
namespace {

struct Row {
  const char* inputs;
  const char* body;
  int opset = 18;
};

Graph graph_of(const Row& row) {
  return parse_graph("graph g (" + std::string(row.inputs) + ") -> (y) opset " + std::to_string(row.opset) + " {\n" + row.body + "\n}");
}

/// Floats 0, 1.25, 2.5 ... with signs; integers 0, 1, 0, 1 ...; every third bool true.
Tensor values(const Type& type, int64_t largest) {
  const Dims dims = *type.known_dims();
  std::vector<double> list;
  for (int64_t i = 0; i < element_count(dims); ++i) {
    const auto wave = static_cast<double>(i * 37 % 101) * 1.25 - 60;
    if (type.elem_type == DataType::boolean) list.push_back(i % 3 == 0);
    else if (is_float(type.elem_type)) list.push_back(wave);
    else list.push_back(static_cast<double>(i * 7 % (2 * largest) - largest));
  }
  return Tensor::of<double>(dims, list).cast(type.elem_type);
}

class MovementPlan : public ::testing::TestWithParam<Row> {};

TEST_P(MovementPlan, GivesTheBitsOfTheReference) {
  const Row& row = GetParam();
  SCOPED_TRACE(row.body);
  const Graph graph = graph_of(row);
  std::map<std::string, Tensor> feeds;
  for (const ValueId v : graph.inputs) feeds[graph.value(v).name] = values(graph.value(v).type, 3);
  const Tensor expected = run_reference(graph, feeds).at("y");
  ParameterStore store;
  Plan plan(graph, store, {.input_shapes = {}, .gradients = {}, .frozen = true});
  for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
  for (int run = 0; run < 2; ++run) plan.run();
  EXPECT_EQ(plan.output_tensor("y"), expected);
  EXPECT_EQ(plan.counters().fallback_steps, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Transposes, MovementPlan,
    ::testing::Values(
        Row{"x: float[37,53]", "y = Transpose(x)"}, Row{"x: int64[5,17,33]", "y = Transpose(x) {perm = [0,2,1]}"},
        Row{"x: uint8[3,20,40,5]", "y = Transpose(x) {perm = [0,2,3,1]}"}, Row{"x: float[3,20,40,5]", "y = Transpose(x) {perm = [3,1,0,2]}"},
        Row{"x: bool[2,3,4,5,2,3,2]", "y = Transpose(x) {perm = [6,1,5,0,4,2,3]}"}, Row{"x: double[9,1,7]", "y = Transpose(x) {perm = [2,1,0]}"},
        Row{"x: float[1,8,3,5]", "y = DepthToSpace(x) {blocksize = 2}"}, Row{"x: float[2,8,3,5]", "y = DepthToSpace(x) {blocksize = 2, mode = \"CRD\"}"},
        Row{"x: int8[2,3,4,6]", "y = SpaceToDepth(x) {blocksize = 2}"}));

INSTANTIATE_TEST_SUITE_P(
    Copies, MovementPlan,
    ::testing::Values(
        Row{"x: float[3,1,5]", "s: int64[4] = {2, 1, 4, 1}\n y = Expand(x, s)"}, Row{"x: int64[1]", "s: int64[2] = {70, 300}\n y = Expand(x, s)"},
        Row{"x: float[3,4]", "r: int64[2] = {2, 3}\n y = Tile(x, r)"}, Row{"x: bool[3,1,2]", "r: int64[3] = {1, 5, 2}\n y = Tile(x, r)"},
        Row{"x: float[7,9]", "s: int64[2] = {-1, 1}\n e: int64[2] = {-9, 8}\n a: int64[2] = {0, 1}\n t: int64[2] = {-2, 3}\n y = Slice(x, s, e, a, t)"},
        Row{"x: int32[7,9]", "s: int64[1] = {2}\n e: int64[1] = {6}\n a: int64[1] = {1}\n y = Slice(x, s, e, a)"},
        Row{"x: float[9,4]", "s: int64[2] = {1, 1}\n e: int64[2] = {8, 5}\n a: int64[2] = {0, 0}\n y = Slice(x, s, e, a)"},
        Row{"x: float[4,5]", "p: int64[4] = {1, 2, 3, 4}\n y = Pad(x, p) {mode = \"reflect\"}"},
        Row{"x: float[4,5]", "p: int64[4] = {1, 2, -1, 4}\n y = Pad(x, p) {mode = \"edge\"}"},
        Row{"x: int8[4,5]", "p: int64[4] = {5, 2, 3, 4}\n y = Pad(x, p) {mode = \"wrap\"}", 19},
        Row{"x: int64[4,5]", "p: int64[4] = {1, 0, 0, 2}\n v: int64[] = -7\n y = Pad(x, p, v)"},
        Row{"x: float[4,5]", "p: int64[4] = {-1, 0, 2, -2}\n v: float[] = 0.5\n y = Pad(x, p, v)"},
        Row{"x: float[4,5]", "p: int64[2] = {1, 1}\n a: int64[1] = {-1}\n y = Pad(x, p, _, a)"},
        Row{"x: float[5,6]", "s: int64[2] = {8, 3}\n y = CenterCropPad(x, s)"}));

INSTANTIATE_TEST_SUITE_P(
    Indices, MovementPlan,
    ::testing::Values(
        Row{"x: float[6,40], i: int64[4,5]", "y = Gather(x, i)"}, Row{"x: float[5,6,7], i: int32[4]", "y = Gather(x, i) {axis = -1}"},
        Row{"x: int8[5,6,7], i: int64[]", "y = Gather(x, i) {axis = 1}"}, Row{"x: float[5,6,7]", "i: int64[2,2] = {5, 0, -1, 3}\n y = Gather(x, i) {axis = 1}"},
        Row{"i: int64[3,4]", "x: float[6,5] = iota\n y = Gather(x, i)"},
        Row{"x: float[5,6,7], i: int64[5,9,7]", "y = GatherElements(x, i) {axis = 1}"}, Row{"x: int64[5,6], i: int32[3,4]", "y = GatherElements(x, i)"},
        Row{"x: double[5,6,7], i: int64[4,2]", "y = GatherND(x, i)"}, Row{"x: float[2,6,7], i: int64[2,4,1]", "y = GatherND(x, i) {batch_dims = 1}"},
        Row{"x: float[5,6,7], u: float[5,1,7], i: int64[5,1,7]", "y = ScatterElements(x, i, u) {axis = 1}"},
        Row{"x: int32[5,6], u: int32[1,4], i: int64[1,4]", "y = ScatterElements(x, i, u)"},
        Row{"x: float[5,6,7], u: float[5,9,7], i: int64[5,9,7]", "y = ScatterElements(x, i, u) {axis = -2, reduction = \"add\"}"},
        Row{"x: float[5,100], u: float[4,100], i: int64[4,1]", "y = ScatterND(x, i, u) {reduction = \"add\"}"},
        Row{"x: float[5,6,7], u: float[4,7]", "i: int64[4,2] = {0, 1, 4, -1, 2, 2, 0, 0}\n y = ScatterND(x, i, u)"},
        Row{"x: bool[5,6], u: bool[2]", "i: int64[2,2] = {0, 1, 4, -1}\n y = ScatterND(x, i, u)"},
        Row{"x: float[5,6]", "b: bool[5] = {true, false, false, true, true}\n y = Compress(x, b) {axis = 0}"},
        Row{"i: int64[5,6]", "d: int64[] = 3\n v: float[2] = {0.5, 2}\n y = OneHot(i, d, v) {axis = 1}"},
        Row{"i: int32[7]", "d: int64[] = 3\n v: int32[2] = {0, 1}\n y = OneHot(i, d, v)"}));

INSTANTIATE_TEST_SUITE_P(
    Lines, MovementPlan,
    ::testing::Values(
        Row{"x: float[5,70,3]", "a: int64[] = 1\n y = CumSum(x, a)"}, Row{"x: int64[5,7]", "a: int64[] = -1\n y = CumSum(x, a) {exclusive = 1, reverse = 1}"},
        Row{"x: int32[3,200]", "a: int64[] = 0\n y = CumSum(x, a) {reverse = 1}"},
        Row{"x: float[5,70,3]", "y = ArgMax(x) {axis = 1}"}, Row{"x: float[5,70]", "y = ArgMin(x) {axis = -1, keepdims = 0, select_last_index = 1}"},
        Row{"x: float[3,150]", "y = ArgMax(x)"}, Row{"x: float[4,50]", "k: int64[1] = {5}\n y, i = TopK(x, k)"},
        Row{"x: float[9,5]", "k: int64[1] = {4}\n v, y = TopK(x, k) {axis = 0, largest = 0}"},
        Row{"x: float[2,5,7]", "y = Trilu(x)"}, Row{"x: int64[5,7]", "k: int64[] = -2\n y = Trilu(x, k) {upper = 0}"},
        Row{"x: float[5,5], k: int64[]", "y = Trilu(x, k)"}));

INSTANTIATE_TEST_SUITE_P(
    Elements, MovementPlan,
    ::testing::Values(
        Row{"c: bool[4,1], a: float[4,5], b: float[5]", "y = Where(c, a, b)"}, Row{"c: bool[4,5], a: int64[], b: int64[4,5]", "y = Where(c, a, b)"},
        Row{"c: bool[4,5], a: float[4,5]", "b: float[] = -1\n y = Where(c, a, b)"}, Row{"c: bool[4,5], a: bool[4,5], b: bool[4,5]", "y = Where(c, a, b)"},
        Row{"a: float[4,5], b: float[5]", "y = Greater(a, b)"}, Row{"a: int64[4,5], b: int64[4,1]", "y = LessOrEqual(a, b)"},
        Row{"a: float[4,5]", "b: float[] = 2.5\n y = Equal(a, b)"}, Row{"a: bool[4,5], b: bool[4,5]", "y = Equal(a, b)"},
        Row{"a: int32[4,5], b: int32[4,5]", "y = Less(a, b)"}, Row{"a: float[4,5], b: float[4,5]", "y = GreaterOrEqual(a, b)"},
        Row{"a: bool[4,5], b: bool[5]", "y = And(a, b)"}, Row{"a: bool[4,5], b: bool[5]", "y = Or(a, b)"}, Row{"a: bool[4,5], b: bool[5]", "y = Xor(a, b)"},
        Row{"a: bool[4,5]", "y = Not(a)"}, Row{"a: float[4,5]", "y = IsNaN(a)"}, Row{"a: float[4,5]", "y = IsInf(a) {detect_negative = 0}"},
        Row{"a: float[4,5]", "y = Cast(a) {to = 7}"}, Row{"a: int64[4,5]", "y = Cast(a) {to = 1}"}, Row{"a: bool[4,5]", "y = Cast(a) {to = 1}"},
        Row{"a: float[4,5]", "y = Cast(a) {to = 9}"}, Row{"a: float[4,5]", "y = Cast(a) {to = 10}"}, Row{"a: uint8[4,5]", "y = Cast(a) {to = 1}"},
        Row{"a: float[4,5]", "y = Cast(a) {to = 1}"}, Row{"a: float[4,5]", "y = Shrink(a) {bias = 1.5, lambd = 10.0}"}));

TEST(MovementPlan, ShapeArithmeticLeavesNoStep) {
  const Graph graph = parse_graph(R"(graph g (x: float[4,6]) -> (y) opset 13 {
    s = Shape(x)
    n = Size(x)
    i: int64[] = 1
    d = Gather(s, i)
    zero: int64[] = 0
    one: int64[] = 1
    r = Range(zero, d, one)
    f = Cast(r) {to = 1}
    z = ConstantOfShape(s)
    a = Add(z, f)
    y = Add(x, a)
  })");
  ParameterStore store;
  const Plan plan(graph, store, {.input_shapes = {}, .gradients = {}, .frozen = true});
  EXPECT_EQ(plan.counters().steps, 1);
}

TEST(MovementPlan, AnIndexOutOfRangeNamesTheNode) {
  for (const char* body : {"\"pick\": y = Gather(x, i)", "\"pick\": y = GatherElements(x, i)", "\"pick\": y = ScatterElements(x, i, x)"}) {
    const Graph graph = graph_of({"x: float[3], i: int64[3]", body});
    ParameterStore store;
    Plan plan(graph, store, {});
    plan.feed("i", Tensor::of<int64_t>({3}, {0, 3, 1}));
    try {
      plan.run();
      FAIL() << body;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("'pick'"), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find("index 3 is out of range for an axis of size 3"), std::string::npos) << e.what();
    }
  }
}

TEST(MovementPlan, UpdatesMayBeTheData) {
  const Graph graph = graph_of({"x: float[3], i: int64[3]", "y = ScatterElements(x, i, x)"});
  ParameterStore store;
  Plan plan(graph, store, {});
  plan.feed("x", Tensor::of<float>({3}, {1, 2, 3}));
  plan.feed("i", Tensor::of<int64_t>({3}, {2, 0, 1}));
  plan.run();
  EXPECT_EQ(plan.output_tensor("y"), Tensor::of<float>({3}, {2, 3, 1}));
}

}  // namespace
}  // namespace espalier
