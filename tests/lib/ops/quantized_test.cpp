#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/errors.h"
#include "tests/support/op_test.h"

namespace espalier {
namespace {

using namespace testing;
using ::testing::HasSubstr;

template <class T>
Tensor of(Dims dims, const std::vector<T>& values) {
  return Tensor::of(std::move(dims), values);
}

OpUse quantize(std::vector<Attribute> attributes = {}, int version = 21) { return {"QuantizeLinear", version, std::move(attributes)}; }
OpUse dequantize(std::vector<Attribute> attributes = {}, int version = 21) { return {"DequantizeLinear", version, std::move(attributes)}; }

TEST(QuantizeLinear, RoundsHalvesToEvenAndSaturates) {
  const Tensor x = floats({8}, {0, 1, 3, 5, -3, 700, -700, NAN});
  EXPECT_EQ(run_op(quantize(), {x, floats({}, {2}), of<uint8_t>({}, {10})})[0], of<uint8_t>({8}, {10, 10, 12, 12, 8, 255, 0, 0}));
  EXPECT_EQ(run_op(quantize(), {x, floats({}, {2}), of<int8_t>({}, {0})})[0], of<int8_t>({8}, {0, 0, 2, 2, -2, 127, -128, -128}));
  EXPECT_EQ(run_op(quantize(), {x, floats({}, {0.01f}), of<int16_t>({}, {0})})[0],
            of<int16_t>({8}, {0, 100, 300, 500, -300, 32767, -32768, -32768}));
}

TEST(QuantizeLinear, HasAScaleForEachIndexOfAnAxis) {
  const Tensor x = floats({2, 2, 2}, {1, 2, 30, 40, 5, 6, 70, 80});
  const std::vector<Tensor> inputs = {x, floats({2}, {1, 10}), of<uint8_t>({2}, {0, 1})};
  EXPECT_EQ(run_op(quantize(), inputs)[0], of<uint8_t>({2, 2, 2}, {1, 2, 4, 5, 5, 6, 8, 9}));
  EXPECT_EQ(run_op(quantize({number("axis", -2)}), inputs)[0], of<uint8_t>({2, 2, 2}, {1, 2, 4, 5, 5, 6, 8, 9}));
  EXPECT_EQ(run_op(quantize({number("axis", 0)}), inputs)[0], of<uint8_t>({2, 2, 2}, {1, 2, 30, 40, 1, 2, 8, 9}));
}

TEST(QuantizeLinear, HasAScaleForEachBlock) {
  const Tensor x = floats({2, 3}, {2, 4, 60, 3, 9, 40});
  const Tensor scale = floats({2, 2}, {2, 20, 3, 10});
  EXPECT_EQ(run_op(quantize({number("block_size", 2), number("output_dtype", 3)}), {x, scale})[0], of<int8_t>({2, 3}, {1, 2, 3, 1, 3, 4}));
  EXPECT_EQ(run_op(dequantize({number("block_size", 2)}), {of<int8_t>({2, 3}, {1, 2, 3, 1, 3, 4}), scale})[0], x);
}

TEST(QuantizeLinear, MakesFourBitNumbers) {
  const Tensor q = run_op(quantize({number("output_dtype", 22)}), {floats({5}, {-9, -8, 0.6f, 7, 8}), floats({}, {1})})[0];
  EXPECT_EQ(q.type(), DataType::int4);
  EXPECT_EQ(run_op(dequantize(), {q, floats({}, {0.5f})})[0], floats({5}, {-4, -4, 0.5f, 3.5f, 3.5f}));
}

TEST(QuantizeLinear, InDoubleIsExact) {
  EXPECT_EQ(run_op(quantize(), {doubles({2}, {1.5 + 1e-12, 1.5 - 1e-12}), doubles({}, {1}), of<int8_t>({}, {0})})[0], of<int8_t>({2}, {2, 1}));
}

TEST(DequantizeLinear, IsTheDistanceFromTheZeroPointTimesTheScale) {
  EXPECT_EQ(run_op(dequantize(), {of<uint8_t>({3}, {0, 128, 255}), floats({}, {0.5f}), of<uint8_t>({}, {128})})[0], floats({3}, {-64, 0, 63.5f}));
  EXPECT_EQ(run_op(dequantize(), {of<int32_t>({2}, {-1000, 7}), floats({}, {2})})[0], floats({2}, {-2000, 14}));
  EXPECT_EQ(run_op(dequantize({number("axis", 0)}), {of<int8_t>({2, 2}, {1, 2, 3, 4}), floats({2}, {1, 10}), of<int8_t>({2}, {0, 1})})[0],
            floats({2, 2}, {1, 2, 20, 30}));
  EXPECT_EQ(inferred(dequantize(), {typed({"n", 3}, DataType::uint8), typed({}), typed({}, DataType::uint8)}), "float[n,3]");
  EXPECT_EQ(inferred(quantize(), {typed({"n", 3}), typed({}), typed({}, DataType::int8)}), "int8[n,3]");
  EXPECT_EQ(inferred(quantize(), {typed({"n", 3}), typed({})}), "uint8[n,3]");
}

TEST(QuantizeLinear, RefusesWhatDoesNotFit) {
  const auto message = [](const OpUse& use, const std::vector<Type>& types) {
    return error_of(ErrorKind::bad_data, [&] { inferred(use, types); });
  };
  EXPECT_THAT(message(quantize(), {typed({2, 3}), typed({2})}), HasSubstr("node 'n' (QuantizeLinear): scale has shape [2], expected [3]"));
  EXPECT_THAT(message(quantize({number("axis", 2)}), {typed({2, 3}), typed({3})}), HasSubstr("axis is 2, but the input has rank 2"));
  EXPECT_THAT(message(quantize({}, 10), {typed({2, 3}), typed({3})}), HasSubstr("expected a scalar"));
  EXPECT_THAT(message(quantize(), {typed({2, 3}, DataType::boolean), typed({})}), HasSubstr("float16, bfloat16, float, double or int32"));
  EXPECT_THAT(message(quantize({number("output_dtype", 1)}), {typed({2}), typed({})}), HasSubstr("cannot quantize to float"));
  EXPECT_THAT(message(quantize({number("output_dtype", 26)}), {typed({2}), typed({})}), HasSubstr("no element type known here"));
  EXPECT_THAT(message(quantize({number("output_dtype", 3)}), {typed({2}), typed({}), typed({}, DataType::uint8)}), HasSubstr("but the zero point is uint8"));
  EXPECT_THAT(message(quantize({number("block_size", -1)}), {typed({2}), typed({})}), HasSubstr("block_size is -1"));
  EXPECT_THAT(message(quantize({number("block_size", 2)}), {typed({2, 5}), typed({2, 2})}), HasSubstr("expected [2,3]"));
  EXPECT_THAT(message(dequantize(), {typed({2}), typed({})}), HasSubstr("a quantized type or int32"));
  EXPECT_THAT(message(dequantize(), {typed({2, 2}, DataType::int8), typed({2}), typed({}, DataType::int8)}), HasSubstr("zero point has shape []"));
}

TEST(DynamicQuantizeLinear, CoversTheRangeAndZero) {
  const auto made = run_op({"DynamicQuantizeLinear", 11, {}, 3}, {floats({4}, {-1, 0, 1.55f, 4.1f})});
  EXPECT_EQ(made[0], of<uint8_t>({4}, {0, 50, 128, 255}));  // 1.55 / 0.02 = 77.5, to the even 78
  EXPECT_FLOAT_EQ(made[1].data<float>()[0], 0.02f);
  EXPECT_EQ(made[2], of<uint8_t>({}, {50}));
  const auto zeros = run_op({"DynamicQuantizeLinear", 11, {}, 3}, {floats({2}, {0, 0})});
  EXPECT_EQ(zeros[0], of<uint8_t>({2}, {0, 0}));
}

TEST(ConvInteger, IsConvOnNumbersLessTheirZeroPoints) {
  const Tensor x = of<uint8_t>({1, 1, 2, 2}, {2, 3, 4, 5});
  const Tensor w = of<int8_t>({2, 1, 1, 1}, {3, 4});
  EXPECT_EQ(run_op({"ConvInteger", 10}, {x, w, of<uint8_t>({}, {1}), of<int8_t>({2}, {1, 2})})[0],
            of<int32_t>({1, 2, 2, 2}, {2, 4, 6, 8, 2, 4, 6, 8}));
  const Tensor padded = run_op({"ConvInteger", 10, {ints("pads", {1, 0, 0, 0})}}, {x, w, of<uint8_t>({}, {1})})[0];
  EXPECT_EQ(padded.data<int32_t>()[0], 0) << "what is padded is the zero point";
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op({"ConvInteger", 10}, {x, w, of<uint8_t>({2}, {1, 1})}); }), HasSubstr("expected a scalar"));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op({"ConvInteger", 10}, {x, floats({1, 1, 1, 1}, {1})}); }), HasSubstr("int8, uint8"));
}

TEST(MatMulInteger, HasZeroPointsOfRowsAndColumns) {
  const Tensor a = of<uint8_t>({2, 2}, {1, 2, 3, 4}), b = of<uint8_t>({2, 2}, {5, 6, 7, 8});
  EXPECT_EQ(run_op({"MatMulInteger", 10}, {a, b})[0], of<int32_t>({2, 2}, {19, 22, 43, 50}));
  EXPECT_EQ(run_op({"MatMulInteger", 10}, {a, b, of<uint8_t>({2}, {1, 3}), of<uint8_t>({2}, {5, 6})})[0], of<int32_t>({2, 2}, {2, 2, 2, 2}));
}

TEST(QLinearConv, RoundsTheScaledSumsAndAddsTheBias) {
  const Tensor x = of<uint8_t>({1, 1, 1, 3}, {10, 12, 14});
  const std::vector<Tensor> inputs = {x, floats({}, {0.5f}), of<uint8_t>({}, {10}), of<int8_t>({2, 1, 1, 1}, {2, 3}), floats({2}, {0.5f, 1}), of<int8_t>({2}, {0, 0}),
                                      floats({}, {0.5f}), of<int8_t>({}, {-1}), of<int32_t>({2}, {1, 0})};
  // sums: {1, 5, 9} and {0, 6, 12}; factors 1/2 and 1
  EXPECT_EQ(run_op({"QLinearConv", 10}, inputs)[0], of<int8_t>({1, 2, 1, 3}, {-1, 1, 3, -1, 5, 11}));
  EXPECT_EQ(cost_of({"QLinearConv", 10}, {typed({1, 1, 1, 3}, DataType::uint8), typed({}), typed({}, DataType::uint8), typed({2, 1, 1, 1}, DataType::int8), typed({2}),
                                          typed({2}, DataType::int8), typed({}), typed({}, DataType::int8)}).macs, 6);
}

TEST(QLinearMatMul, ScalesRowsAndColumns) {
  const std::vector<Tensor> inputs = {of<uint8_t>({1, 2}, {1, 2}), floats({}, {1}), of<uint8_t>({}, {0}), of<int8_t>({2, 2}, {1, 2, 3, 4}),
                                      floats({2}, {1, 0.5f}), of<int8_t>({2}, {0, 0}), floats({}, {1}), of<uint8_t>({}, {0})};
  EXPECT_EQ(run_op({"QLinearMatMul", 10}, inputs)[0], of<uint8_t>({1, 2}, {7, 5}));
}

}  // namespace
}  // namespace espalier
