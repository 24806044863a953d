// Shapes and values of the data-movement operators: tables of graph, expected result.

#include <gtest/gtest.h>

#include "lib/graph/text.h"
#include "tests/lib/ops/nodes.h"

namespace espalier::testing {
namespace {

struct Row {
  const char* inputs;
  const char* body;
  const char* expected;
  int opset = 13;
};

class Shapes : public ::testing::TestWithParam<Row> {};

TEST_P(Shapes, AreInferred) {
  const Row& row = GetParam();
  EXPECT_EQ(type_of(graph_of(row.inputs, row.body, row.opset)), row.expected) << row.body;
}

INSTANTIATE_TEST_SUITE_P(
    Concat, Shapes,
    ::testing::Values(Row{"a: float[2,3], b: float[2,5]", "y = Concat(a, b) {axis = 1}", "float[2,8]"},
                      Row{"a: float[n,3], b: float[n,5]", "y = Concat(a, b) {axis = -1}", "float[n,8]"},
                      Row{"a: float[n,3], b: float[m,3]", "y = Concat(a, b) {axis = 0}", "float[n+m,3]"},
                      Row{"a: float[?,3], b: float[4,3]", "y = Concat(a, b) {axis = 1}", "float[4,6]"},
                      Row{"a: float[...], b: float[4,3]", "y = Concat(a, b) {axis = 1}", "float[...]"}));

INSTANTIATE_TEST_SUITE_P(
    Split, Shapes,
    ::testing::Values(Row{"x: float[n,6]", "y, z = Split(x) {axis = 1}", "float[n,3]"},
                      Row{"x: float[2*n,6]", "y, z = Split(x)", "float[n,6]"},
                      Row{"x: float[6]", "y, z = Split(x) {split = [2,4]}", "float[2]", 11},
                      Row{"x: float[7]", "s: int64[2] = {3, 4}\n z, y = Split(x, s)", "float[4]"},
                      Row{"x: float[7]", "a, b, y = Split(x) {num_outputs = 3}", "float[1]", 18}));

INSTANTIATE_TEST_SUITE_P(
    Slice, Shapes,
    ::testing::Values(
        Row{"x: float[10,4]", "y = Slice(x) {starts = [1], ends = [-1]}", "float[8,4]", 9},
        Row{"x: float[10,4]", "y = Slice(x) {axes = [1], starts = [0], ends = [9223372036854775807]}", "float[10,4]", 9},
        Row{"x: float[n,4]", "s: int64[1] = {1}\n e: int64[1] = {9223372036854775807}\n y = Slice(x, s, e)", "float[n-1,4]"},
        Row{"x: float[n,4]", "s: int64[1] = {0}\n e: int64[1] = {-2}\n y = Slice(x, s, e)", "float[n-2,4]"},
        Row{"x: float[n,4]", "s: int64[1] = {-1}\n e: int64[1] = {2147483647}\n y = Slice(x, s, e)", "float[1,4]"},
        Row{"x: float[n,4]", "s: int64[1] = {0}\n e: int64[1] = {7}\n y = Slice(x, s, e)", "float[?,4]"},
        Row{"x: float[n,4]", "s: int64[1] = {-1}\n e: int64[1] = {-9223372036854775807}\n a: int64[1] = {0}\n"
                             "t: int64[1] = {-1}\n y = Slice(x, s, e, a, t)", "float[n,4]"},
        Row{"x: float[9,4]", "s: int64[1] = {0}\n e: int64[1] = {9}\n a: int64[1] = {0}\n t: int64[1] = {2}\n"
                             "y = Slice(x, s, e, a, t)", "float[5,4]"},
        Row{"x: float[9,4], s: int64[1], e: int64[1]", "a: int64[1] = {1}\n y = Slice(x, s, e, a)", "float[9,?]"}));

INSTANTIATE_TEST_SUITE_P(
    Reshape, Shapes,
    ::testing::Values(Row{"x: float[n,4,5]", "s: int64[2] = {0, -1}\n y = Reshape(x, s)", "float[n,20]"},
                      Row{"x: float[n,4,5]", "s: int64[2] = {-1, 10}\n y = Reshape(x, s)", "float[2*n,10]"},
                      Row{"x: float[n,c,5]", "s: int64[3] = {0, 0, -1}\n y = Reshape(x, s)", "float[n,c,5]"},
                      Row{"x: float[?,4,5]", "s: int64[2] = {0, -1}\n y = Reshape(x, s)", "float[?,20]"},
                      Row{"x: float[2,0]", "s: int64[2] = {0, 5}\n y = Reshape(x, s) {allowzero = 1}", "float[0,5]", 14},
                      Row{"x: float[2,6]", "y = Reshape(x) {shape = [3,4]}", "float[3,4]", 4},
                      Row{"x: float[2,6], s: int64[3]", "y = Reshape(x, s)", "float[?,?,?]"},
                      Row{"x: float[n,4,5]", "t = Shape(x)\n i: int64[] = 0\n b = Gather(t, i)\n a: int64[1] = {0}\n"
                                             "c = Unsqueeze(b, a)\n m: int64[1] = {-1}\n s = Concat(c, m) {axis = 0}\n"
                                             "y = Reshape(x, s)", "float[n,20]"}));

INSTANTIATE_TEST_SUITE_P(
    Views, Shapes,
    ::testing::Values(Row{"x: float[n,4,5]", "y = Flatten(x)", "float[n,20]"},
                      Row{"x: float[n,4,5]", "y = Flatten(x) {axis = -1}", "float[4*n,5]"},
                      Row{"x: float[n,4,5]", "y = Flatten(x) {axis = 3}", "float[20*n,1]"},
                      Row{"x: float[n,1,5]", "y = Squeeze(x) {axes = [1]}", "float[n,5]", 11},
                      Row{"x: float[n,1,5]", "a: int64[1] = {-2}\n y = Squeeze(x, a)", "float[n,5]"},
                      Row{"x: float[3,1,5]", "y = Squeeze(x)", "float[3,5]"},
                      Row{"x: float[n,1,5]", "y = Squeeze(x)", "float[...]"},
                      Row{"x: float[n,5]", "y = Unsqueeze(x) {axes = [0, 3]}", "float[1,n,5,1]", 11},
                      Row{"x: float[n,5]", "a: int64[1] = {-1}\n y = Unsqueeze(x, a)", "float[n,5,1]"}));

INSTANTIATE_TEST_SUITE_P(
    Rearrangements, Shapes,
    ::testing::Values(Row{"x: float[n,4,5]", "y = Transpose(x)", "float[5,4,n]"},
                      Row{"x: float[n,4,5]", "y = Transpose(x) {perm = [0,2,1]}", "float[n,5,4]"},
                      Row{"x: float[n,8,2,3]", "y = DepthToSpace(x) {blocksize = 2}", "float[n,2,4,6]"},
                      Row{"x: float[n,2,4,6]", "y = SpaceToDepth(x) {blocksize = 2}", "float[n,8,2,3]"},
                      Row{"x: float[n,4], i: int64[2,3]", "y = Gather(x, i) {axis = 1}", "float[n,2,3]"},
                      Row{"x: float[n,4], i: int64[m,2]", "y = GatherElements(x, i)", "float[m,2]"},
                      Row{"x: float[n,4]", "y = NonZero(x)", "int64[2,?]"}));

INSTANTIATE_TEST_SUITE_P(
    Padding, Shapes,
    ::testing::Values(Row{"x: float[n,4]", "y = Pad(x) {pads = [0,1,0,2]}", "float[n,7]", 10},
                      Row{"x: float[n,4]", "p: int64[4] = {1, 0, 1, -1}\n y = Pad(x, p)", "float[n+2,3]"},
                      Row{"x: float[n,4]", "p: int64[2] = {1, 2}\n a: int64[1] = {-1}\n y = Pad(x, p, _, a)", "float[n,7]", 18},
                      Row{"x: float[n,4], p: int64[4]", "y = Pad(x, p)", "float[?,?]"}));

INSTANTIATE_TEST_SUITE_P(
    Repetition, Shapes,
    ::testing::Values(Row{"x: float[n,1]", "s: int64[3] = {2, 1, 5}\n y = Expand(x, s)", "float[2,n,5]"},
                      Row{"x: float[n,3], l: float[n,4]", "s = Shape(l)\n z: float[1,1] = {1}\n y = Expand(z, s)", "float[n,4]"},
                      Row{"x: float[n,3]", "r: int64[2] = {2, 3}\n y = Tile(x, r)", "float[2*n,9]"},
                      Row{"x: float[n,3]", "s = Shape(x)\n y = ConstantOfShape(s)", "float[n,3]"},
                      Row{"x: float[n,3]", "t = Size(x)\n z: int64[] = 0\n o: int64[] = 1\n y = Range(z, t, o)", "int64[3*n]"},
                      Row{"c: bool[n,1], a: float[1,4], b: float[4]", "y = Where(c, a, b)", "float[n,4]"}));

class Numbers : public ::testing::TestWithParam<Row> {};

TEST_P(Numbers, FlowThroughShapeArithmetic) {
  const Row& row = GetParam();
  EXPECT_EQ(numbers_of(graph_of(row.inputs, row.body, row.opset)), row.expected) << row.body;
}

INSTANTIATE_TEST_SUITE_P(
    ShapeArithmetic, Numbers,
    ::testing::Values(
        Row{"x: float[n,3,h]", "y = Shape(x)", "[n,3,h]"},
        Row{"x: float[n,3,h]", "y = Shape(x) {start = -2}", "[3,h]", 15},
        Row{"x: float[n,3,h]", "y = Size(x)", "[3*h*n]"},
        Row{"x: float[n,3,h]", "s = Shape(x)\n i: int64[2] = {2, 0}\n y = Gather(s, i)", "[h,n]"},
        Row{"x: float[n,3,h]", "s = Shape(x)\n a: int64[1] = {1}\n e: int64[1] = {9}\n y = Slice(s, a, e)", "[3,h]"},
        Row{"x: float[n,3,h]", "s = Shape(x)\n y, z, w = Split(s)", "[n]"},
        Row{"x: float[n,3,h]", "s = Shape(x)\n i: int64[] = 0\n b = Gather(s, i)\n r: int64[1] = {1}\n y = Reshape(b, r)", "[n]"},
        Row{"x: float[n,3,h]", "s = Shape(x)\n c: bool[3] = {true, false, true}\n o: int64[1] = {1}\n y = Where(c, s, o)",
            "[n,1,h]"}));

struct ValueRow {
  const char* body;
  const char* expected;
  int opset = 13;
};

class Values : public ::testing::TestWithParam<ValueRow> {};

TEST_P(Values, AreEvaluated) {
  const ValueRow& row = GetParam();
  EXPECT_EQ(print_tensor(value_of(graph_of("", row.body, row.opset))), print_tensor(parse_tensor(row.expected))) << row.body;
}

INSTANTIATE_TEST_SUITE_P(
    Movement, Values,
    ::testing::Values(
        ValueRow{"a: int8[1,2] = {1, 2}\n b: int8[1,1] = {3}\n y = Concat(a, b) {axis = 1}", "int8[1,3] {1, 2, 3}"},
        ValueRow{"a: string[1] = {\"p\"}\n b: string[2] = {\"q\", \"r\"}\n y = Concat(a, b) {axis = 0}", "string[3] {\"p\", \"q\", \"r\"}"},
        ValueRow{"x: float[5] = iota\n z, y = Split(x) {split = [2,3]}", "float[3] {2, 3, 4}", 11},
        ValueRow{"x: int64[2,3] = iota\n s: int64[1] = {-1}\n e: int64[1] = {-9}\n a: int64[1] = {1}\n t: int64[1] = {-2}\n"
                 "y = Slice(x, s, e, a, t)", "int64[2,2] {2, 0, 5, 3}"},
        ValueRow{"x: double[2,2] = iota\n i: int32[3] = {1, -1, 0}\n y = Gather(x, i) {axis = 1}", "double[2,3] {1, 1, 0, 3, 3, 2}"},
        ValueRow{"x: float[2,2] = iota\n i: int64[1,2] = {1, 0}\n y = GatherElements(x, i)", "float[1,2] {2, 1}"},
        ValueRow{"x: bool[2,2] = {true, false, true, true}\n y = Transpose(x)", "bool[2,2] {true, true, false, true}"},
        ValueRow{"x: float[3] = {1, 2, 3}\n p: int64[2] = {2, 1}\n y = Pad(x, p) {mode = \"reflect\"}", "float[6] {3, 2, 1, 2, 3, 2}"},
        ValueRow{"x: float[3] = {1, 2, 3}\n p: int64[2] = {2, 1}\n y = Pad(x, p) {mode = \"edge\"}", "float[6] {1, 1, 1, 2, 3, 3}"},
        ValueRow{"x: float[3] = {1, 2, 3}\n p: int64[2] = {2, 4}\n y = Pad(x, p) {mode = \"wrap\"}", "float[9] {2, 3, 1, 2, 3, 1, 2, 3, 1}", 19},
        ValueRow{"x: int32[3] = {1, 2, 3}\n p: int64[2] = {-1, 1}\n v: int32[] = 7\n y = Pad(x, p, v)", "int32[3] {2, 3, 7}"},
        ValueRow{"x: float[2] = {1, 2}\n y = Pad(x) {pads = [1,0], value = 5.0}", "float[3] {5, 1, 2}", 2},
        ValueRow{"x: float[2,1] = {1, 2}\n s: int64[2] = {1, 2}\n y = Expand(x, s)", "float[2,2] {1, 1, 2, 2}"},
        ValueRow{"x: float[2] = {1, 2}\n r: int64[1] = {2}\n y = Tile(x, r)", "float[4] {1, 2, 1, 2}"},
        ValueRow{"a: float[] = 1\n l: float[] = 2\n d: float[] = 0.5\n y = Range(a, l, d)", "float[2] {1, 1.5}"},
        ValueRow{"a: int32[] = 5\n l: int32[] = 0\n d: int32[] = -2\n y = Range(a, l, d)", "int32[3] {5, 3, 1}"},
        ValueRow{"c: bool[2,1] = {true, false}\n a: int64[2] = {1, 2}\n b: int64[] = 9\n y = Where(c, a, b)", "int64[2,2] {1, 2, 9, 9}"},
        ValueRow{"x: float[1,4,1,1] = {1, 2, 3, 4}\n y = DepthToSpace(x) {blocksize = 2}", "float[1,1,2,2] {1, 2, 3, 4}"},
        ValueRow{"x: float[1,8,1,1] = iota\n y = DepthToSpace(x) {blocksize = 2, mode = \"CRD\"}", "float[1,2,2,2] {0, 1, 2, 3, 4, 5, 6, 7}"},
        ValueRow{"x: float[1,8,1,1] = iota\n y = DepthToSpace(x) {blocksize = 2}", "float[1,2,2,2] {0, 2, 4, 6, 1, 3, 5, 7}"},
        ValueRow{"x: float[1,1,2,2] = {1, 2, 3, 4}\n y = SpaceToDepth(x) {blocksize = 2}", "float[1,4,1,1] {1, 2, 3, 4}"},
        ValueRow{"x: float[2,2] = {0, 1, 2, 0}\n y = NonZero(x)", "int64[2,2] {0, 1, 1, 0}"},
        ValueRow{"s: int64[2] = {1, 2}\n y = ConstantOfShape(s) {value = int8[1] {4}}", "int8[1,2] {4, 4}"},
        ValueRow{"y = Constant() {value_ints = [3,4]}", "int64[2] {3, 4}"},
        ValueRow{"y = Constant() {value_strings = [\"a\"]}", "string[1] {\"a\"}"}));

class Refusals : public ::testing::TestWithParam<Row> {};

TEST_P(Refusals, NameTheOperatorAndTheFault) {
  const Row& row = GetParam();
  EXPECT_NE(refusal(graph_of(row.inputs, row.body, row.opset)).find(row.expected), std::string::npos)
      << row.body << ": " << refusal(graph_of(row.inputs, row.body, row.opset));
}

INSTANTIATE_TEST_SUITE_P(
    Movement, Refusals,
    ::testing::Values(
        Row{"a: float[2,3], b: float[3,3]", "y = Concat(a, b) {axis = 1}", "(Concat): inputs differ in axis 0"},
        Row{"a: float[2], b: int64[2]", "y = Concat(a, b) {axis = 0}", "(Concat): input 1 is int64[2]"},
        Row{"a: float[2], b: float[2]", "y = Concat(a, b) {axis = 1}", "(Concat): axis is 1"},
        Row{"a: float[2]", "y = Concat(a)", "(Concat): attribute 'axis' is missing"},
        Row{"x: float[5]", "y, z = Split(x)", "(Split): cannot split 5 into 2 equal parts"},
        Row{"x: float[5]", "y, z = Split(x) {split = [2,2]}", "(Split): parts sum to 4, expected 5", 11},
        Row{"x: float[5]", "y = Slice(x) {starts = [1], ends = [2,3]}", "(Slice): starts, ends, axes and steps", 9},
        Row{"x: float[5]", "s: int64[2] = {2, -1}\n y = Reshape(x, s)", "(Reshape): cannot reshape [5] to [2,-1]"},
        Row{"x: float[4]", "s: int64[2] = {-1, -1}\n y = Reshape(x, s)", "(Reshape): cannot reshape"},
        Row{"x: float[4]", "s: int64[2] = {4, 0}\n y = Reshape(x, s)", "(Reshape): cannot reshape"},
        Row{"x: float[4]", "s: int64[2] = {3, 2}\n y = Reshape(x, s)", "(Reshape): cannot reshape"},
        Row{"x: float[4,2]", "y = Squeeze(x) {axes = [1]}", "(Squeeze): axis 1 of [4,2] is not 1", 11},
        Row{"x: float[4,2]", "y = Transpose(x) {perm = [0,0]}", "(Transpose): perm is [0,0]"},
        Row{"x: float[4,2]", "p: int64[3] = {1, 1, 1}\n y = Pad(x, p)", "has 3 pads, expected 4"},
        Row{"x: float[4]", "p: int64[2] = {-3, -2}\n y = Pad(x, p)", "(Pad): pads leave axis 0 a size of -1"},
        Row{"x: float[4], i: float[1]", "y = Gather(x, i)", "(Gather): indices are float[1]"},
        Row{"", "x: float[4] = iota\n i: int64[1] = {4}\n y = Gather(x, i)", "(Gather): index 4 is out of range"},
        Row{"", "a: int64[] = 0\n d: int64[] = 0\n y = Range(a, a, d)", "(Range): delta is 0"},
        Row{"x: float[1,6,1,1]", "y = DepthToSpace(x) {blocksize = 2}", "(DepthToSpace): number of channels is 6"},
        Row{"x: float[4], s: int64[1000000000000]", "y = Reshape(x, s)", "(Reshape): asks for a tensor of rank 1000000000000"},
        Row{"s: int64[65]", "y = ConstantOfShape(s)", "(ConstantOfShape): asks for a tensor of rank 65"},
        Row{"x: float[4], s: int64[1000000000000]", "y = Expand(x, s)", "(Expand): asks for a tensor of rank"},
        Row{"x: float[4], s: int64[1000000000000]", "y = Slice(x, s, s)", "(Slice): asks for a tensor of rank"},
        Row{"c: float[2], a: float[2]", "y = Where(c, a, a)", "(Where): condition is float[2]"}));

}  // namespace
}  // namespace espalier::testing
