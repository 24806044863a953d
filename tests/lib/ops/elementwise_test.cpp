#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/errors.h"
#include "tests/support/op_test.h"

namespace espalier {
namespace {

using namespace testing;
using ::testing::HasSubstr;

const float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

Tensor unary(const OpUse& use, const Tensor& x) { return run_op(use, {x})[0]; }

struct UnaryCase {
  const char* op;
  double (*formula)(double);
  std::vector<double> at;
  int version = 23;
};

TEST(Unary, EqualsItsFormulaInDouble) {
  const std::vector<double> plain = {-2.5, -0.5, 0, 0.25, 1, 3.5}, unit = {-0.9, 0, 0.5}, positive = {0.1, 1, 7};
  const std::vector<UnaryCase> cases = {
      {"Abs", [](double v) { return v < 0 ? -v : v; }, plain},
      {"Acos", std::acos, unit}, {"Acosh", std::acosh, {1, 2, 9}}, {"Asin", std::asin, unit}, {"Asinh", std::asinh, plain},
      {"Atan", std::atan, plain}, {"Atanh", std::atanh, unit}, {"Ceil", std::ceil, plain}, {"Cos", std::cos, plain},
      {"Cosh", std::cosh, plain}, {"Elu", [](double v) { return v < 0 ? std::exp(v) - 1 : v; }, plain}, {"Erf", std::erf, plain},
      {"Exp", std::exp, plain}, {"Floor", std::floor, plain},
      {"Gelu", [](double v) { return v * 0.5 * std::erfc(-v / std::sqrt(2.0)); }, plain},
      {"HardSwish", [](double v) { return v * std::min(6.0, std::max(0.0, v + 3)) / 6; }, plain},
      {"Log", std::log, positive}, {"Mish", [](double v) { return v * std::tanh(std::log(1 + std::exp(v))); }, plain},
      {"Neg", [](double v) { return -v; }, plain}, {"Reciprocal", [](double v) { return 1 / v; }, positive},
      {"Relu", [](double v) { return v > 0 ? v : 0; }, plain},
      {"Selu", [](double v) { return 1.05070102214813232421875 * (v > 0 ? v : 1.67326319217681884765625 * (std::exp(v) - 1)); }, plain},
      {"Sigmoid", [](double v) { return 1 / (1 + std::exp(-v)); }, plain}, {"Sin", std::sin, plain}, {"Sinh", std::sinh, plain},
      {"Softplus", [](double v) { return std::log(1 + std::exp(v)); }, plain},
      {"Softsign", [](double v) { return v / (1 + (v < 0 ? -v : v)); }, plain}, {"Sqrt", std::sqrt, positive},
      {"Tan", std::tan, plain}, {"Tanh", std::tanh, plain},
  };
  for (const UnaryCase& test : cases) {
    SCOPED_TRACE(test.op);
    std::vector<double> expected;
    for (const double v : test.at) expected.push_back(test.formula(v));
    const Dims dims = {static_cast<int64_t>(test.at.size())};
    const Tensor x = doubles(dims, test.at), y = doubles(dims, expected);
    expect_near(unary({test.op, test.version}, x), y, 1e-7);
    expect_near(unary({test.op, test.version}, x.cast(DataType::float32)), y.cast(DataType::float32), 2e-5);
    expect_near(unary({test.op, test.version}, x.cast(DataType::float16)), y.cast(DataType::float16), 2e-2);
    expect_near(unary({test.op, test.version}, x.cast(DataType::bfloat16)), y.cast(DataType::bfloat16), 2e-1);
    EXPECT_TRUE(find_op("", test.op)->elementwise);
  }
}

TEST(Unary, ExtremesStayFinite) {
  expect_near(unary({"Sigmoid"}, floats({2}, {-1000, 1000})), floats({2}, {0, 1}));
  expect_near(unary({"Softplus"}, floats({2}, {-1000, 1000})), floats({2}, {0, 1000}));
  EXPECT_TRUE(std::isnan(unary({"Relu"}, floats({1}, {kNan})).data<float>()[0]));
}

TEST(Unary, RoundGoesToEvenAndSignKnowsZero) {
  expect_near(unary({"Round"}, floats({4}, {0.5f, 1.5f, -2.5f, 2.6f})), floats({4}, {0, 2, -2, 3}));
  expect_near(unary({"Sign"}, floats({3}, {-3, 0, 9})), floats({3}, {-1, 0, 1}));
}

TEST(Unary, IntegersWrapInsteadOfOverflowing) {
  const Tensor low = Tensor::of<int8_t>({2}, {-128, 5});
  EXPECT_EQ(unary({"Neg"}, low), Tensor::of<int8_t>({2}, {-128, -5}));
  EXPECT_EQ(unary({"Abs"}, low), Tensor::of<int8_t>({2}, {-128, 5}));
  EXPECT_EQ(unary({"Relu"}, low), Tensor::of<int8_t>({2}, {0, 5}));
}

TEST(Unary, AttributesShapeActivations) {
  const Tensor x = floats({3}, {-2, 0.25f, 4});
  expect_near(unary({"LeakyRelu"}, x), floats({3}, {-0.02f, 0.25f, 4}));
  expect_near(unary({"LeakyRelu", 17, {real("alpha", 0.5f)}}, x), floats({3}, {-1, 0.25f, 4}));
  expect_near(unary({"HardSigmoid"}, x), floats({3}, {0.1f, 0.55f, 1}));
  expect_near(unary({"HardSigmoid", 17, {real("alpha", 0.25f), real("beta", 0.1f)}}, x), floats({3}, {0, 0.1625f, 1}));
  expect_near(unary({"ThresholdedRelu", 17, {real("alpha", 0.5f)}}, x), floats({3}, {0, 0, 4}));
  expect_near(unary({"Celu", 17, {real("alpha", 2.0f)}}, x), floats({3}, {2 * (std::exp(-1.0f) - 1), 0.25f, 4}));
}

TEST(Unary, RefusesOtherTypes) {
  EXPECT_THAT(error_of(ErrorKind::bad_data, [] { inferred({"Exp"}, {typed({2}, DataType::int32)}); }), HasSubstr("int32, expected a float type"));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [] { inferred({"Relu"}, {typed({2}, DataType::boolean)}); }), HasSubstr("bool"));
}

TEST(Clip, TakesBoundsFromAttributesOrInputs) {
  const Tensor x = floats({4}, {-5, 0, 5, kNan}), low = Tensor::scalar(-1.0f), high = Tensor::scalar(2.0f);
  const Tensor by_attribute = unary({"Clip", 6, {real("min", -1), real("max", 2)}}, x), by_input = run_op({"Clip", 13}, {x, low, high})[0];
  EXPECT_EQ(by_attribute, by_input);
  EXPECT_EQ(std::vector<float>(by_input.data<float>().begin(), by_input.data<float>().begin() + 3), (std::vector<float>{-1, 0, 2}));
  EXPECT_TRUE(std::isnan(by_input.data<float>()[3]));
  EXPECT_EQ(run_op({"Clip", 13}, {Tensor::of<int8_t>({2}, {-9, 9}), Tensor(), Tensor::scalar<int8_t>(3)})[0], Tensor::of<int8_t>({2}, {-9, 3}));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op({"Clip", 13}, {x, floats({2}, {0, 1})}); }), HasSubstr("expected a scalar"));
}

TEST(Arithmetic, BroadcastsBothWays) {
  const Tensor column = floats({2, 1}, {10, 20}), row = floats({3}, {1, 2, 4});
  expect_near(run_op({"Add"}, {column, row})[0], floats({2, 3}, {11, 12, 14, 21, 22, 24}));
  expect_near(run_op({"Sub"}, {row, column})[0], floats({2, 3}, {-9, -8, -6, -19, -18, -16}));
  expect_near(run_op({"Mul"}, {column, row})[0], floats({2, 3}, {10, 20, 40, 20, 40, 80}));
  expect_near(run_op({"Div"}, {column, row})[0], floats({2, 3}, {10, 5, 2.5f, 20, 10, 5}));
  expect_near(run_op({"Add"}, {Tensor::scalar(1.0f), Tensor::scalar(2.0f)})[0], Tensor::scalar(3.0f));
  expect_near(run_op({"Add"}, {Tensor(DataType::float32, {0, 3}), row})[0], Tensor(DataType::float32, {0, 3}));
  const Tensor cube = floats({2, 1, 2}, {1, 2, 3, 4});
  expect_near(run_op({"Add"}, {cube, floats({3, 1}, {10, 20, 30})})[0],
              floats({2, 3, 2}, {11, 12, 21, 22, 31, 32, 13, 14, 23, 24, 33, 34}));
}

TEST(Arithmetic, BeforeOpsetSevenTheAxisSaysWhereTheOperandLies) {
  const Tensor x = floats({1, 2, 2}, {1, 2, 3, 4}), b = floats({2}, {10, 20});
  expect_near(run_op({"Add", 6, {number("broadcast", 1), number("axis", 1)}}, {x, b})[0], floats({1, 2, 2}, {11, 12, 23, 24}));
  expect_near(run_op({"Add", 6, {number("broadcast", 1)}}, {x, b})[0], floats({1, 2, 2}, {11, 22, 13, 24}));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op({"Add", 6}, {x, b}); }), HasSubstr("do not broadcast"));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op({"Add", 6, {number("broadcast", 1), number("axis", 3)}}, {x, b}); }), HasSubstr("do not broadcast"));
}

TEST(Arithmetic, IntegersTruncateWrapAndRefuseZero) {
  const Tensor a = Tensor::of<int32_t>({3}, {-7, 7, std::numeric_limits<int32_t>::min()}), b = Tensor::of<int32_t>({3}, {2, 2, -1});
  EXPECT_EQ(run_op({"Div"}, {a, b})[0], Tensor::of<int32_t>({3}, {-3, 3, std::numeric_limits<int32_t>::min()}));
  EXPECT_EQ(run_op({"Add"}, {Tensor::of<uint8_t>({1}, {250}), Tensor::of<uint8_t>({1}, {10})})[0], Tensor::of<uint8_t>({1}, {4}));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op({"Div"}, {a, Tensor::scalar<int32_t>(0)}); }), HasSubstr("division by zero"));
}

TEST(Arithmetic, SymbolicShapesAndErrors) {
  EXPECT_EQ(inferred({"Add"}, {typed({"n", 1, 5}), typed({4, 1})}), "float[n,4,5]");
  EXPECT_EQ(inferred({"Mul"}, {typed({"n", 8}), typed({"n", 8})}), "float[n,8]");
  EXPECT_EQ(error_of(ErrorKind::bad_data, [] { inferred({"Add"}, {typed({2, 3}), typed({4})}); }),
            "node 'n' (Add): shapes [2,3] and [4] do not broadcast");
  EXPECT_THAT(error_of(ErrorKind::bad_data, [] { inferred({"Add"}, {typed({2}), typed({2}, DataType::float64)}); }), HasSubstr("expected one type"));
}

TEST(Arithmetic, CarriesSymbolicNumbers) {
  const Dim n = Dim::symbol("n");
  const auto result = [&](const char* op, Fact a, Fact b) {
    std::string joined;
    const auto elements = infer_op({op}, {std::move(a), std::move(b)})[0].numbers;
    for (const Dim& d : elements.value()) joined += d.str() + " ";
    return joined;
  };
  EXPECT_EQ(result("Add", numbers({n, 3}), numbers({1})), "n+1 4 ");
  EXPECT_EQ(result("Sub", numbers({n}), numbers({n})), "0 ");
  EXPECT_EQ(result("Mul", numbers({n}), fact(int64s({6}))), "6*n ");
  EXPECT_EQ(result("Div", numbers({n * Dim(6), 7}), fact(int64s({2}))), "3*n 3 ");
  EXPECT_EQ(result("Div", numbers({n * n}), numbers({n})), "n ");
  EXPECT_EQ(result("Max", numbers({n, 3}), numbers({n, 5})), "n 5 ");
  EXPECT_EQ(result("Min", numbers({n, 3}), numbers({2})), "? 2 ");
  EXPECT_EQ(result("Mod", numbers({7}), numbers({4})), "3 ");
  EXPECT_EQ((*infer_op({"Neg"}, {numbers({n})})[0].numbers)[0].str(), "-n");
  EXPECT_EQ((*infer_op({"Cast", 17, {number("to", 6)}}, {numbers({n})})[0].numbers)[0].str(), "n");
}

TEST(Variadic, SumMeanMaxMin) {
  const Tensor a = floats({2}, {1, 8}), b = floats({1}, {4}), c = floats({2}, {-2, 3});
  expect_near(run_op({"Sum"}, {a, b, c})[0], floats({2}, {3, 15}));
  expect_near(run_op({"Mean"}, {a, b, c})[0], floats({2}, {1, 5}));
  expect_near(run_op({"Max"}, {a, b, c})[0], floats({2}, {4, 8}));
  expect_near(run_op({"Min"}, {a, b, c})[0], floats({2}, {-2, 3}));
  EXPECT_EQ(run_op({"Sum"}, {a})[0], a);
  EXPECT_EQ(run_op({"Max"}, {Tensor::of<int8_t>({2}, {1, 2}), Tensor::of<int8_t>({}, {-1})})[0], Tensor::of<int8_t>({2}, {1, 2}));
  EXPECT_TRUE(std::isnan(run_op({"Max"}, {floats({1}, {kNan}), floats({1}, {1})})[0].data<float>()[0]));
  EXPECT_THROW(run_op({"Sum"}, {a, floats({3}, {1, 2, 3})}), Error);
}

TEST(Pow, MixesTypesAndKeepsTheBases) {
  expect_near(run_op({"Pow", 15}, {floats({3}, {2, 4, 9}), Tensor::scalar(0.5f)})[0], floats({3}, {std::sqrt(2.0f), 2, 3}));
  EXPECT_EQ(run_op({"Pow", 15}, {Tensor::of<int32_t>({2}, {-3, 7}), Tensor::of<int64_t>({}, {3})})[0], Tensor::of<int32_t>({2}, {-27, 343}));
  EXPECT_EQ(run_op({"Pow", 15}, {Tensor::of<int64_t>({1}, {3}), Tensor::scalar(2.0f)})[0], Tensor::of<int64_t>({1}, {9}));
  EXPECT_THROW(run_op({"Pow", 7}, {floats({1}, {2}), Tensor::of<int64_t>({}, {3})}), Error);
}

TEST(Comparison, GivesBools) {
  const Tensor a = floats({3}, {1, 2, 3}), b = Tensor::scalar(2.0f);
  EXPECT_EQ(run_op({"Less"}, {a, b})[0], Tensor::of<bool>({3}, {true, false, false}));
  EXPECT_EQ(run_op({"LessOrEqual"}, {a, b})[0], Tensor::of<bool>({3}, {true, true, false}));
  EXPECT_EQ(run_op({"Greater"}, {a, b})[0], Tensor::of<bool>({3}, {false, false, true}));
  EXPECT_EQ(run_op({"GreaterOrEqual"}, {a, b})[0], Tensor::of<bool>({3}, {false, true, true}));
  EXPECT_EQ(run_op({"Equal"}, {a, b})[0], Tensor::of<bool>({3}, {false, true, false}));
  EXPECT_EQ(run_op({"Equal", 19}, {Tensor::of_strings({2}, {"a", "b"}), Tensor::of_strings({}, {"b"})})[0], Tensor::of<bool>({2}, {false, true}));
  EXPECT_EQ(run_op({"Less"}, {Tensor::scalar(kNan), b})[0], Tensor::scalar(false));
}

TEST(Logic, BoolsAndBits) {
  const Tensor a = Tensor::of<bool>({4}, {false, false, true, true}), b = Tensor::of<bool>({4}, {false, true, false, true});
  EXPECT_EQ(run_op({"And"}, {a, b})[0], Tensor::of<bool>({4}, {false, false, false, true}));
  EXPECT_EQ(run_op({"Or"}, {a, b})[0], Tensor::of<bool>({4}, {false, true, true, true}));
  EXPECT_EQ(run_op({"Xor"}, {a, b})[0], Tensor::of<bool>({4}, {false, true, true, false}));
  EXPECT_EQ(run_op({"Not"}, {a})[0], Tensor::of<bool>({4}, {true, true, false, false}));
  const Tensor bits = Tensor::of<uint8_t>({2}, {0b1100, 0b1010}), mask = Tensor::scalar<uint8_t>(0b0110);
  EXPECT_EQ(run_op({"BitwiseAnd", 18}, {bits, mask})[0], Tensor::of<uint8_t>({2}, {0b0100, 0b0010}));
  EXPECT_EQ(run_op({"BitwiseNot", 18}, {mask})[0], Tensor::scalar<uint8_t>(0b11111001));
  EXPECT_EQ(run_op({"BitShift", 11, {text("direction", "LEFT")}}, {mask, Tensor::scalar<uint8_t>(6)})[0], Tensor::scalar<uint8_t>(128));
  EXPECT_EQ(run_op({"BitShift", 11, {text("direction", "RIGHT")}}, {mask, Tensor::scalar<uint8_t>(200)})[0], Tensor::scalar<uint8_t>(0));
  const Tensor odd = floats({4}, {kInf, -kInf, kNan, 1});
  EXPECT_EQ(run_op({"IsInf", 20, {number("detect_negative", 0)}}, {odd})[0], Tensor::of<bool>({4}, {true, false, false, false}));
  EXPECT_EQ(run_op({"IsNaN"}, {odd})[0], Tensor::of<bool>({4}, {false, false, true, false}));
}

TEST(Mod, FollowsTheDivisorOrTheDividend) {
  const Tensor a = Tensor::of<int32_t>({4}, {-7, 7, -7, 7}), b = Tensor::of<int32_t>({4}, {3, -3, -3, 3});
  EXPECT_EQ(run_op({"Mod"}, {a, b})[0], Tensor::of<int32_t>({4}, {2, -2, -1, 1}));
  EXPECT_EQ(run_op({"Mod", 13, {number("fmod", 1)}}, {a, b})[0], Tensor::of<int32_t>({4}, {-1, 1, -1, 1}));
  EXPECT_THROW(run_op({"Mod"}, {floats({1}, {1}), floats({1}, {1})}), Error);
}

TEST(PRelu, SlopeBroadcastsOneWay) {
  const Tensor x = floats({1, 2, 2}, {-1, 2, -3, 4}), slope = floats({2, 1}, {0.5f, 10});
  expect_near(run_op({"PRelu"}, {x, slope})[0], floats({1, 2, 2}, {-0.5f, 2, -30, 4}));
  expect_near(run_op({"PRelu", 6}, {x, floats({2}, {0.5f, 10})})[0], floats({1, 2, 2}, {-0.5f, 2, -30, 4}));
  EXPECT_THROW(run_op({"PRelu"}, {floats({1}, {1}), slope}), Error);
}

TEST(Elementwise, CostIsOneFlopAnElement) {
  const Cost cost = cost_of({"Add"}, {typed({2, 3}), typed({3})});
  EXPECT_EQ(cost.macs, 0);
  EXPECT_EQ(cost.flops, 6);
  EXPECT_EQ(cost.bytes, 4 * (6 + 3 + 6));
}

}  // namespace
}  // namespace espalier
