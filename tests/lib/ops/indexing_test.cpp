// Shapes, values and refusals of the operators that index: tables of graph, expected result.

#include <gtest/gtest.h>

#include "lib/graph/text.h"
#include "tests/lib/ops/nodes.h"

namespace espalier::testing {
namespace {

struct Row {
  const char* inputs;
  const char* body;
  const char* expected;
  int opset = 18;
};

class IndexingShapes : public ::testing::TestWithParam<Row> {};

TEST_P(IndexingShapes, AreInferred) {
  const Row& row = GetParam();
  EXPECT_EQ(type_of(graph_of(row.inputs, row.body, row.opset)), row.expected) << row.body;
}

INSTANTIATE_TEST_SUITE_P(
    All, IndexingShapes,
    ::testing::Values(
        Row{"x: float[n,4,5], i: int64[7,2]", "y = GatherND(x, i)", "float[7,5]"},
        Row{"x: float[n,4,5], i: int64[n,7,1]", "y = GatherND(x, i) {batch_dims = 1}", "float[n,7,5]"},
        Row{"x: float[n,4], i: int64[3,?]", "y = GatherND(x, i)", "float[...]"},
        Row{"x: double[n,4], i: int64[n,2], u: double[n,2]", "y = ScatterElements(x, i, u) {axis = 1}", "double[n,4]"},
        Row{"x: float[4], i: int32[2], u: float[2]", "y = Scatter(x, i, u)", "float[4]", 9},
        Row{"x: float[n,4,5], i: int64[7,2], u: float[7,5]", "y = ScatterND(x, i, u)", "float[n,4,5]"},
        Row{"i: int64[n,3], v: int8[2]", "d: int64[] = 5\n y = OneHot(i, d, v)", "int8[n,3,5]"},
        Row{"i: float[n,3], v: int8[2]", "d: float[1] = {5}\n y = OneHot(i, d, v) {axis = 0}", "int8[5,n,3]"},
        Row{"i: int64[n,3], d: int64[], v: float[2]", "y = OneHot(i, d, v) {axis = -2}", "float[n,?,3]"},
        Row{"x: float[n,9]", "k: int64[1] = {4}\n y, i = TopK(x, k)", "float[n,4]"},
        Row{"x: float[9,n]", "k: int64[1] = {4}\n v, y = TopK(x, k) {axis = 0}", "int64[4,n]"},
        Row{"x: float[9,n]", "y, i = TopK(x) {axis = 0, k = 3}", "float[3,n]", 9},
        Row{"x: float[n,9], k: int64[1]", "y, i = TopK(x, k)", "float[n,?]"},
        Row{"x: float[n,3]", "y = Unique(x)", "float[?]"},
        Row{"x: float[n,3]", "y = Unique(x) {axis = 1}", "float[n,?]"},
        Row{"x: float[n,3]", "v, f, y, k = Unique(x)", "int64[?]"},
        Row{"x: float[n,3], b: bool[3]", "y = Compress(x, b) {axis = 1}", "float[n,?]"},
        Row{"x: float[n,3]", "b: bool[3] = {true, false, true}\n y = Compress(x, b) {axis = 1}", "float[n,2]"},
        Row{"x: float[n,3]", "b: bool[3] = {true, false, true}\n y = Compress(x, b)", "float[2]"},
        Row{"x: int32[n,3]", "y = EyeLike(x)", "int32[n,3]"},
        Row{"x: int32[n,3]", "y = EyeLike(x) {dtype = 11}", "double[n,3]"},
        Row{"x: bool[n,3,4]", "y = Trilu(x)", "bool[n,3,4]"},
        Row{"x: float[n,7,5]", "s: int64[2] = {4, 9}\n y = CenterCropPad(x, s) {axes = [1,-1]}", "float[n,4,9]"},
        Row{"x: float[n,20,16]", "i: int64[2] = {5, 5}\n b: int64[2] = {2, 2}\n y = Col2Im(x, i, b)", "float[n,5,5,5]"},
        Row{"b: float[1,6,4], s: float[1,2,6]", "y = NonMaxSuppression(b, s)", "int64[?,3]"},
        Row{"x: float[n,2,3,3]", "y = Det(x)", "float[n,2]"},
        Row{"x: float[3,3]", "y = Det(x)", "float[]"},
        Row{"x: int8[n,2]", "y = Shrink(x)", "int8[n,2]"}));

struct ValueRow {
  const char* body;
  const char* expected;
  int opset = 18;
};

class IndexingValues : public ::testing::TestWithParam<ValueRow> {};

TEST_P(IndexingValues, AreEvaluated) {
  const ValueRow& row = GetParam();
  EXPECT_EQ(print_tensor(value_of(graph_of("", row.body, row.opset))), print_tensor(parse_tensor(row.expected))) << row.body;
}

INSTANTIATE_TEST_SUITE_P(
    Gathers, IndexingValues,
    ::testing::Values(
        ValueRow{"x: string[2,2] = {\"a\", \"b\", \"c\", \"d\"}\n i: int64[2,1] = {1, -2}\n y = GatherND(x, i)",
                 "string[2,2] {\"c\", \"d\", \"a\", \"b\"}"},
        ValueRow{"x: int64[2,3] = iota\n i: int64[2,2] = {0, -1, 1, 0}\n y = GatherND(x, i)", "int64[2] {2, 3}"},
        ValueRow{"x: int8[2,2,2] = {0, 1, 2, 3, 4, 5, 6, 7}\n i: int64[2,1] = {1, 0}\n y = GatherND(x, i) {batch_dims = 1}",
                 "int8[2,2] {2, 3, 4, 5}"},
        ValueRow{"x: bool[2,2] = {true, false, false, true}\n i: int32[2,1] = {1, -1}\n y = GatherElements(x, i) {axis = 1}",
                 "bool[2,1] {false, true}"}));

INSTANTIATE_TEST_SUITE_P(
    Scatters, IndexingValues,
    ::testing::Values(
        ValueRow{"x: float[3] = {1, 2, 3}\n i: int64[2] = {2, -3}\n u: float[2] = {8, 9}\n y = Scatter(x, i, u)", "float[3] {9, 2, 8}", 9},
        ValueRow{"x: int32[2,2] = {1, 2, 3, 4}\n i: int32[1,2] = {1, 0}\n u: int32[1,2] = {8, 9}\n y = ScatterElements(x, i, u)",
                 "int32[2,2] {1, 9, 8, 4}"},
        ValueRow{"x: int8[3] = {100, 2, 3}\n i: int64[3] = {0, 0, 2}\n u: int8[3] = {20, 20, 1}\n y = ScatterElements(x, i, u) {reduction = \"add\"}",
                 "int8[3] {-116, 2, 4}"},
        ValueRow{"x: float[2] = {3, 5}\n i: int64[3] = {1, 1, 0}\n u: float[3] = {2, 4, 0.5}\n y = ScatterElements(x, i, u) {reduction = \"mul\"}",
                 "float[2] {1.5, 40}"},
        ValueRow{"x: double[2] = {3, 5}\n i: int64[2] = {1, 0}\n u: double[2] = {7, 1}\n y = ScatterElements(x, i, u) {reduction = \"max\"}",
                 "double[2] {3, 7}"},
        ValueRow{"x: int64[2,2] = {1, 2, 3, 4}\n i: int64[1,1] = {-1}\n u: int64[1,2] = {0, 9}\n y = ScatterND(x, i, u) {reduction = \"min\"}",
                 "int64[2,2] {1, 2, 0, 4}"},
        ValueRow{"x: bool[2] = {false, true}\n i: int64[2,1] = {0, 1}\n u: bool[2] = {true, false}\n y = ScatterND(x, i, u) {reduction = \"add\"}",
                 "bool[2] {true, true}"},
        ValueRow{"x: string[2] = {\"a\", \"b\"}\n i: int64[1,1] = {1}\n u: string[1] = {\"z\"}\n y = ScatterND(x, i, u)",
                 "string[2] {\"a\", \"z\"}"}));

INSTANTIATE_TEST_SUITE_P(
    Choices, IndexingValues,
    ::testing::Values(
        ValueRow{"i: int64[3] = {1, -1, 7}\n d: int64[] = 3\n v: float[2] = {0.5, 2}\n y = OneHot(i, d, v)",
                 "float[3,3] {0.5, 2, 0.5, 0.5, 0.5, 2, 0.5, 0.5, 0.5}"},
        ValueRow{"i: float[2] = {1.9, 0}\n d: int32[1] = {2}\n v: int8[2] = {0, 1}\n y = OneHot(i, d, v) {axis = 0}", "int8[2,2] {0, 1, 1, 0}"},
        ValueRow{"x: float[5] = {3, 1, 3, 9, 2}\n k: int64[1] = {3}\n y, i = TopK(x, k)", "float[3] {9, 3, 3}"},
        ValueRow{"x: float[5] = {3, 1, 3, 9, 2}\n k: int64[1] = {3}\n v, y = TopK(x, k)", "int64[3] {3, 0, 2}"},
        ValueRow{"x: int32[2,3] = {3, 1, 2, 6, 4, 5}\n k: int64[1] = {2}\n y, i = TopK(x, k) {largest = 0}", "int32[2,2] {1, 2, 4, 5}"},
        ValueRow{"x: int64[3,2] = {3, 1, 2, 6, 4, 5}\n k: int64[1] = {1}\n y, i = TopK(x, k) {axis = -2}", "int64[1,2] {4, 6}"},
        ValueRow{"x: double[3] = {3, 1, 2}\n y, i = TopK(x) {k = 2}", "double[2] {3, 2}", 9},
        ValueRow{"x: float[20] = iota\n k: int64[1] = {0}\n y, i = TopK(x, k)", "float[0] {}"},
        ValueRow{"x: float[3] = {2, 1, 2}\n y = Unique(x) {sorted = 0}", "float[2] {2, 1}"},
        ValueRow{"x: string[3] = {\"b\", \"a\", \"b\"}\n y = Unique(x)", "string[2] {\"a\", \"b\"}"},
        ValueRow{"x: int8[4] = {2, 1, 2, 1}\n v, y, n, k = Unique(x)", "int64[2] {1, 0}"},
        ValueRow{"x: int8[4] = {2, 1, 2, 1}\n v, f, y, k = Unique(x) {sorted = 0}", "int64[4] {0, 1, 0, 1}"},
        ValueRow{"x: int8[3] = {2, 1, 2}\n v, f, n, y = Unique(x)", "int64[2] {1, 2}"},
        ValueRow{"x: int8[2,3] = {1, 0, 1, 1, 2, 1}\n y = Unique(x) {axis = 1}", "int8[2,2] {0, 1, 2, 1}"},
        ValueRow{"x: float[2,3] = iota\n b: bool[2] = {false, true}\n y = Compress(x, b) {axis = -1}", "float[2,1] {1, 4}"},
        ValueRow{"x: string[2] = {\"a\", \"b\"}\n b: bool[2] = {false, true}\n y = Compress(x, b)", "string[1] {\"b\"}"},
        ValueRow{"b: float[1,3,4] = {0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, 10, 1, 11}\n s: float[1,1,3] = {0.9, 0.75, 0.6}\n n: int64[] = 3\n"
                 "o: float[] = 0.5\n y = NonMaxSuppression(b, s, n, o)", "int64[2,3] {0, 0, 0, 0, 0, 2}"},
        ValueRow{"b: float[1,2,4] = {0, 0, 1, 1, 1, 1, 0, 0}\n s: float[1,1,2] = {0.5, 0.9}\n n: int64[] = 3\n o: float[] = 0.5\n"
                 "l: float[] = 0.4\n y = NonMaxSuppression(b, s, n, o, l)", "int64[1,3] {0, 0, 1}"},
        ValueRow{"b: float[1,2,4] = {0.5, 0.5, 1, 1, 0.5, 0.6, 1, 1}\n s: float[1,1,2] = {0.9, 0.5}\n n: int64[] = 3\n o: float[] = 0.9\n"
                 "y = NonMaxSuppression(b, s, n, o) {center_point_box = 1}", "int64[2,3] {0, 0, 0, 0, 0, 1}"},
        ValueRow{"b: float[1,1,4] = {0, 0, 1, 1}\n s: float[1,1,1] = {0.9}\n n: int64[] = 9223372036854775807\n"
                 "y = NonMaxSuppression(b, s, n)", "int64[1,3] {0, 0, 0}"},
        ValueRow{"b: float[1,1,4] = {0, 0, 1, 1}\n s: float[1,1,1] = {0.9}\n y = NonMaxSuppression(b, s)", "int64[0,3] {}"}));

INSTANTIATE_TEST_SUITE_P(
    Matrices, IndexingValues,
    ::testing::Values(
        ValueRow{"x: bool[2,3] = {true, true, true, true, true, true}\n y = EyeLike(x) {k = 1, dtype = 7}", "int64[2,3] {0, 1, 0, 0, 0, 1}"},
        ValueRow{"x: float[3,2] = iota\n y = EyeLike(x) {k = -1}", "float[3,2] {0, 0, 1, 0, 0, 1}"},
        ValueRow{"x: int8[2,2] = {1, 2, 3, 4}\n y = EyeLike(x) {k = -9223372036854775807}", "int8[2,2] {0, 0, 0, 0}"},
        ValueRow{"x: int16[2,3] = {1, 2, 3, 4, 5, 6}\n y = Trilu(x)", "int16[2,3] {1, 2, 3, 0, 5, 6}"},
        ValueRow{"x: float[2,3] = {1, 2, 3, 4, 5, 6}\n k: int64[] = 1\n y = Trilu(x, k) {upper = 0}", "float[2,3] {1, 2, 0, 4, 5, 6}"},
        ValueRow{"x: bool[2,2] = {true, true, true, true}\n k: int64[] = -1\n y = Trilu(x, k) {upper = 0}", "bool[2,2] {false, false, true, false}"},
        ValueRow{"x: float[2,2] = {1, 2, 3, 4}\n k: int64[] = 9223372036854775807\n y = Trilu(x, k)", "float[2,2] {0, 0, 0, 0}"},
        ValueRow{"x: double[2,2] = {1, 2, 3, 4}\n y = Det(x)", "double[] -2"},
        ValueRow{"x: float[2,2,2] = {0, 2, 3, 0, 1, 2, 2, 4}\n y = Det(x)", "float[2] {-6, 0}"},
        ValueRow{"x: float[0,0] = {}\n y = Det(x)", "float[] 1"}));

INSTANTIATE_TEST_SUITE_P(
    Others, IndexingValues,
    ::testing::Values(
        ValueRow{"x: float[5] = {1, 2, 3, 4, 5}\n s: int64[1] = {2}\n y = CenterCropPad(x, s)", "float[2] {2, 3}"},
        ValueRow{"x: string[2] = {\"a\", \"b\"}\n s: int64[1] = {5}\n y = CenterCropPad(x, s)", "string[5] {\"\", \"a\", \"b\", \"\", \"\"}"},
        ValueRow{"x: int32[1,4] = {1, 2, 3, 4}\n s: int32[2] = {2, 3}\n y = CenterCropPad(x, s)", "int32[2,3] {1, 2, 3, 0, 0, 0}"},
        ValueRow{"x: float[1,4,1] = {1, 2, 3, 4}\n i: int64[2] = {2, 2}\n b: int64[2] = {2, 2}\n y = Col2Im(x, i, b)", "float[1,1,2,2] {1, 2, 3, 4}"},
        ValueRow{"x: int32[1,2,3] = {1, 2, 3, 4, 5, 6}\n i: int64[1] = {4}\n b: int64[1] = {2}\n y = Col2Im(x, i, b)", "int32[1,1,4] {1, 6, 8, 6}"},
        ValueRow{"x: float[1,2,2] = {1, 2, 3, 4}\n i: int64[1] = {3}\n b: int64[1] = {2}\n y = Col2Im(x, i, b) {strides = [2], pads = [1,0]}",
                 "float[1,1,3] {3, 2, 4}"},
        ValueRow{"x: float[5] = {-2, -0.5, 0, 0.5, 2}\n y = Shrink(x) {bias = 1.5, lambd = 1.0}", "float[5] {-0.5, 0, 0, 0, 0.5}"},
        ValueRow{"x: uint8[3] = {0, 1, 9}\n y = Shrink(x) {bias = 0.5}", "uint8[3] {0, 0, 8}"}));

class IndexingRefusals : public ::testing::TestWithParam<Row> {};

TEST_P(IndexingRefusals, NameTheOperatorAndTheFault) {
  const Row& row = GetParam();
  const std::string text = refusal(graph_of(row.inputs, row.body, row.opset));
  EXPECT_NE(text.find(row.expected), std::string::npos) << row.body << ": " << text;
}

INSTANTIATE_TEST_SUITE_P(
    All, IndexingRefusals,
    ::testing::Values(
        Row{"x: float[4], i: int32[1,1]", "y = GatherND(x, i)", "(GatherND): indices are int32[1,1], expected int64"},
        Row{"x: float[4], i: int64[1,2]", "y = GatherND(x, i)", "(GatherND): indices have tuples of 2, expected 1 to 1"},
        Row{"x: float[4,4], i: int64[3,1]", "y = GatherND(x, i) {batch_dims = 1}", "(GatherND): batch axis 0 is 4 in the data and 3"},
        Row{"x: float[4,4], i: int64[3,1]", "y = GatherND(x, i) {batch_dims = 2}", "(GatherND): batch_dims is 2, expected 0 to 1"},
        Row{"", "x: float[2] = {1, 2}\n i: int64[1,1] = {2}\n y = GatherND(x, i)", "(GatherND): index 2 is out of range for an axis of size 2"},
        Row{"x: float[2,2], i: int64[3,1]", "y = GatherElements(x, i) {axis = 1}", "(GatherElements): indices are larger than the data in axis 0"},
        Row{"x: float[2], i: int64[1], u: int8[1]", "y = ScatterElements(x, i, u)", "(ScatterElements): inputs are float and int8"},
        Row{"x: float[2,2], i: int64[1,2], u: float[2,2]", "y = ScatterElements(x, i, u)", "(ScatterElements): indices and updates differ in axis 0: 1 and 2"},
        Row{"x: float[2,2], i: int64[1,3], u: float[1,3]", "y = ScatterElements(x, i, u)", "(ScatterElements): indices are larger than the data in axis 1"},
        Row{"x: float[2], i: int64[1], u: float[1]", "y = ScatterElements(x, i, u) {reduction = \"max\"}", "reduction is 'max', expected none, add or mul", 16},
        Row{"x: string[2], i: int64[1], u: string[1]", "y = ScatterElements(x, i, u) {reduction = \"add\"}", "(ScatterElements): cannot reduce string"},
        Row{"", "x: float[1] = {1}\n i: int64[1] = {-3}\n y = ScatterElements(x, i, x)", "(ScatterElements): index -3 is out of range"},
        Row{"x: float[2,2], i: int64[1,1], u: float[1,3]", "y = ScatterND(x, i, u)", "(ScatterND): updates differ in axis 1 from indices and data: 3 and 2"},
        Row{"x: float[2,2], i: int64[1,3], u: float[1]", "y = ScatterND(x, i, u)", "(ScatterND): indices have tuples of 3, expected at most 2"},
        Row{"i: int64[2], v: float[3]", "d: int64[] = 3\n y = OneHot(i, d, v)", "(OneHot): values are float[3], expected two"},
        Row{"", "x: float[1,1,2,2] = iota\n r: float[1,4] = {0, 0, 0, 0}\n i: int64[1] = {0}\n y = RoiAlign(x, r, i) {spatial_scale = inf}",
            "(RoiAlign): spatial_scale is not finite"},
        Row{"", "x: float[1,1,2,2] = iota\n r: float[1,5] = {0, 0, 0, 1, 1}\n y = MaxRoiPool(x, r) {pooled_shape = [1,1], spatial_scale = inf}",
            "(MaxRoiPool): spatial_scale is not finite"},
        Row{"i: int64[2], v: float[2]", "d: int64[] = -3\n y = OneHot(i, d, v)", "(OneHot): depth is -3"},
        Row{"x: float[2]", "k: int64[1] = {3}\n y, i = TopK(x, k)", "(TopK): K is 3, but the axis has size 2"},
        Row{"x: int32[2]", "y, i = TopK(x) {k = 1}", "is int32, expected a float type", 9},
        Row{"x: float[2]", "y = Unique(x) {sorted = 2}", "(Unique): sorted is 2"},
        Row{"x: float[2]", "b: bool[3] = {true, true, true}\n y = Compress(x, b)", "(Compress): condition has 3 elements, expected at most 2"},
        Row{"x: float[2], b: float[2]", "y = Compress(x, b)", "expected bool"},
        Row{"x: float[2,2,2]", "y = EyeLike(x)", "(EyeLike)"},
        Row{"x: float[2,2]", "y = EyeLike(x) {dtype = 8}", "(EyeLike): dtype is no numeric type and not bool"},
        Row{"x: float[2]", "y = Trilu(x)", "(Trilu)"},
        Row{"x: float[2,3]", "s: int64[1] = {2}\n y = CenterCropPad(x, s)", "(CenterCropPad): shape has 1 elements, expected 2"},
        Row{"x: float[2,3]", "s: int64[2] = {2, 2}\n y = CenterCropPad(x, s) {axes = [1,-1]}", "one of them twice"},
        Row{"x: float[1,20,12]", "i: int64[2] = {5, 5}\n b: int64[2] = {2, 2}\n y = Col2Im(x, i, b)", "(Col2Im): has 12 blocks, expected 16"},
        Row{"x: float[1,3,16]", "i: int64[2] = {5, 5}\n b: int64[2] = {2, 2}\n y = Col2Im(x, i, b)", "(Col2Im): axis 1 is 3, expected a multiple of 4"},
        Row{"x: float[1,4,16]", "i: int64[2] = {5, 5}\n b: int64[2] = {2, 2}\n y = Col2Im(x, i, b) {strides = [0,1]}", "(Col2Im): strides is [0,1]"},
        Row{"b: float[1,6,5], s: float[1,2,6]", "y = NonMaxSuppression(b, s)", "expected 4 numbers each"},
        Row{"b: float[1,6,4], s: float[1,2,5]", "y = NonMaxSuppression(b, s)", "but scores float[1,2,5]"},
        Row{"x: float[2,3]", "y = Det(x)", "(Det): matrices are 2 by 3, expected square ones"}));

}  // namespace
}  // namespace espalier::testing
