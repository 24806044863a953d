// LSTM, GRU, RNN and ReverseSequence.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/support/op_test.h"

namespace espalier {
namespace {

using namespace testing;
using ::testing::HasSubstr;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
Attribute words(std::string name, std::vector<std::string> values) { return attribute(std::move(name), std::move(values)); }
Attribute reals(std::string name, std::vector<float> values) { return attribute(std::move(name), std::move(values)); }
Tensor int32s(const std::vector<int32_t>& values) { return Tensor::of({static_cast<int64_t>(values.size())}, values); }

TEST(Lstm, OneUnitByItsEquations) {
  const std::vector<double> x = {0.5, -1.5, 2}, w = {0.3, -0.2, 0.7, 0.9}, r = {0.1, 0.4, -0.3, 0.8}, b = {0.1, 0.2, 0.3, 0.4, -0.1, 0.5, 0.2, 0},
                            p = {0.2, -0.4, 0.6};
  double h = 0.25, c = -0.75;
  std::vector<double> y;
  for (const double v : x) {
    const auto sum = [&](size_t gate) { return v * w[gate] + h * r[gate] + b[gate] + b[gate + 4]; };
    const double i = sigmoid(sum(0) + p[0] * c), f = sigmoid(sum(2) + p[2] * c), next = f * c + i * std::tanh(sum(3));
    const double o = sigmoid(sum(1) + p[1] * next);
    c = next;
    h = o * std::tanh(c);
    y.push_back(h);
  }
  const std::vector<Tensor> inputs = {doubles({3, 1, 1}, x), doubles({1, 4, 1}, w), doubles({1, 4, 1}, r), doubles({1, 8}, b),
                                      {}, doubles({1, 1, 1}, {0.25}), doubles({1, 1, 1}, {-0.75}), doubles({1, 3}, p)};
  const auto out = run_op({.op_type = "LSTM", .outputs = 3}, inputs);
  expect_near(out[0], doubles({3, 1, 1, 1}, y), 1e-12);
  expect_near(out[1], doubles({1, 1, 1}, {h}), 1e-12);
  expect_near(out[2], doubles({1, 1, 1}, {c}), 1e-12);
}

TEST(Lstm, ClipHoldsTheGatesNotTheCell) {
  const std::vector<Tensor> inputs = {doubles({1, 1, 1}, {10}), doubles({1, 4, 1}, {1, 1, -1, 1}), doubles({1, 4, 1}, {0, 0, 0, 0}), {}, {}, {},
                                      doubles({1, 1, 1}, {3})};
  const auto out = run_op({.op_type = "LSTM", .attributes = {real("clip", 0.5f)}, .outputs = 3}, inputs);
  const double c = sigmoid(-0.5) * 3 + sigmoid(0.5) * std::tanh(0.5);
  expect_near(out[2], doubles({1, 1, 1}, {c}), 1e-12);
  expect_near(out[1], doubles({1, 1, 1}, {sigmoid(0.5) * std::tanh(c)}), 1e-12);
}

TEST(Lstm, CoupledGatesAndAlphasInOrder) {
  const std::vector<Tensor> inputs = {doubles({1, 1, 1}, {1}), doubles({1, 4, 1}, {0.4, 0.3, 9, -2}), doubles({1, 4, 1}, {0, 0, 0, 0}), {}, {}, {},
                                      doubles({1, 1, 1}, {2})};
  const OpUse use = {.op_type = "LSTM",
                     .attributes = {number("input_forget", 1), words("activations", {"sigmoid", "LeakyRelu", "HardSigmoid"}),
                                    reals("activation_alpha", {0.5f, 0.25f}), reals("activation_beta", {0.125f})},
                     .outputs = 3};
  const auto out = run_op(use, inputs);
  const double i = sigmoid(0.4), c = (1 - i) * 2 + i * (0.5 * -2);
  expect_near(out[2], doubles({1, 1, 1}, {c}), 1e-12);
  expect_near(out[1], doubles({1, 1, 1}, {sigmoid(0.3) * std::min(1.0, 0.25 * c + 0.125)}), 1e-12);
}

TEST(Gru, OneUnitByItsEquations) {
  const std::vector<double> w = {0.3, -0.2, 0.7}, r = {0.1, 0.4, -0.9}, b = {0.1, 0.2, 0.3, -0.1, 0.5, 0.2};
  for (const int64_t before : {0, 1}) {
    double h = 0.25;
    std::vector<double> y;
    for (const double v : {0.5, -1.5}) {
      const double z = sigmoid(v * w[0] + h * r[0] + b[0] + b[3]), reset = sigmoid(v * w[1] + h * r[1] + b[1] + b[4]);
      const double sum = before ? v * w[2] + b[2] + reset * (h * r[2] + b[5]) : v * w[2] + b[2] + reset * h * r[2] + b[5];
      h = (1 - z) * std::tanh(sum) + z * h;
      y.push_back(h);
    }
    const auto out = run_op({.op_type = "GRU", .attributes = {number("linear_before_reset", before)}, .outputs = 2},
                            {doubles({2, 1, 1}, {0.5, -1.5}), doubles({1, 3, 1}, w), doubles({1, 3, 1}, r), doubles({1, 6}, b), {}, doubles({1, 1, 1}, {0.25})});
    expect_near(out[0], doubles({2, 1, 1, 1}, y), 1e-12);
    expect_near(out[1], doubles({1, 1, 1}, {h}), 1e-12);
  }
}

/// Sums of the input so far, by direction: W and R are 1, the activation is the identity.
TEST(Rnn, DirectionsLengthsAndLayouts) {
  const Tensor ones = doubles({2, 1, 1}, {1, 1}), x = doubles({3, 2, 1}, {1, 10, 2, 20, 3, 30});
  const std::vector<Attribute> sums = {words("activations", {"Affine", "Affine"}), text("direction", "bidirectional")};
  const auto whole = run_op({.op_type = "RNN", .attributes = sums, .outputs = 2}, {x, ones, ones});
  expect_near(whole[0], doubles({3, 2, 2, 1}, {1, 10, 6, 60, 3, 30, 5, 50, 6, 60, 3, 30}));
  expect_near(whole[1], doubles({2, 2, 1}, {6, 60, 6, 60}));

  const auto part = run_op({.op_type = "RNN", .attributes = sums, .outputs = 2}, {x, ones, ones, {}, int32s({2, 0})});
  expect_near(part[0], doubles({3, 2, 2, 1}, {1, 0, 3, 0, 3, 0, 2, 0, 0, 0, 0, 0}));
  expect_near(part[1], doubles({2, 2, 1}, {3, 0, 3, 0}));

  std::vector<Attribute> rows = sums;
  rows.push_back(number("layout", 1));
  const auto batch = run_op({.op_type = "RNN", .attributes = rows, .outputs = 2}, {doubles({2, 3, 1}, {1, 2, 3, 10, 20, 30}), ones, ones});
  expect_near(batch[0], doubles({2, 3, 2, 1}, {1, 6, 3, 5, 6, 3, 10, 60, 30, 50, 60, 30}));
  expect_near(batch[1], doubles({2, 2, 1}, {6, 6, 60, 60}));

  const auto back = run_op({.op_type = "RNN", .attributes = {words("activations", {"Affine"}), text("direction", "reverse")}},
                           {x, doubles({1, 1, 1}, {1}), doubles({1, 1, 1}, {1})});
  expect_near(back[0], doubles({3, 1, 2, 1}, {6, 60, 5, 50, 3, 30}));
}

TEST(Recurrent, InHalfPrecisionToo) {
  for (const DataType type : {DataType::float16, DataType::bfloat16, DataType::float32}) {
    const auto of = [&](const Tensor& t) { return t.cast(type); };
    const std::vector<Tensor> in = {doubles({2, 1, 1}, {0.5, -1.5}), doubles({1, 3, 1}, {0.3, -0.2, 0.7}), doubles({1, 3, 1}, {0.1, 0.4, -0.9})};
    const auto out = run_op({.op_type = "GRU", .version = 22, .outputs = 2}, {of(in[0]), of(in[1]), of(in[2])});
    EXPECT_EQ(out[0].type(), type);
    expect_near(out[0].cast(DataType::float64), run_op({.op_type = "GRU"}, in)[0], 1e-2);
  }
}

TEST(Recurrent, Shapes) {
  const Type x = typed({"t", "b", 5}), w = typed({2, 12, 5}), r = typed({2, 12, 3});
  const OpUse lstm = {.op_type = "LSTM", .attributes = {text("direction", "bidirectional")}, .outputs = 3};
  const auto facts = infer_op(lstm, {fact(x), fact(w), fact(r)});
  EXPECT_EQ(facts[0].type.str(), "float[t,2,b,3]");
  EXPECT_EQ(facts[2].type.str(), "float[2,b,3]");
  EXPECT_EQ(inferred({"LSTM", 14, {text("direction", "bidirectional"), number("layout", 1)}}, {x, w, r}), "float[t,b,2,3]");
  EXPECT_EQ(cost_of({"LSTM", 14, {text("direction", "bidirectional")}}, {typed({7, 4, 5}), w, r}).macs, 7 * 4 * 2 * 12 * (5 + 3));
}

TEST(Recurrent, RefusesWhatDoesNotFit) {
  const auto fault = [](const OpUse& use, const std::vector<Type>& types) { return error_of(ErrorKind::bad_data, [&] { inferred(use, types); }); };
  const Type x = typed({4, 2, 5}), w = typed({1, 12, 5}), r = typed({1, 12, 3});
  EXPECT_THAT(fault({"LSTM"}, {x, typed({1, 12, 6}), r}), HasSubstr("W has shape [1,12,6], expected [1,12,5]"));
  EXPECT_THAT(fault({"LSTM"}, {x, w, typed({2, 12, 3})}), HasSubstr("R has shape [2,12,3], expected [1,12,3]"));
  EXPECT_THAT(fault({"GRU"}, {x, w, r}), HasSubstr("W has shape [1,12,5], expected [1,9,5]"));
  EXPECT_THAT(fault({"LSTM", 14, {number("hidden_size", 4)}}, {x, w, r}), HasSubstr("expected [1,16,5]"));
  EXPECT_THAT(fault({"LSTM", 14, {number("hidden_size", 0)}}, {x, w, r}), HasSubstr("hidden_size is 0"));
  EXPECT_THAT(fault({"LSTM", 14, {text("direction", "sideways")}}, {x, w, r}), HasSubstr("direction is 'sideways'"));
  EXPECT_THAT(fault({"LSTM", 14, {number("layout", 2)}}, {x, w, r}), HasSubstr("layout is 2"));
  EXPECT_THAT(fault({"LSTM", 14, {real("clip", 0)}}, {x, w, r}), HasSubstr("clip is"));
  EXPECT_THAT(fault({"LSTM", 14, {words("activations", {"Tanh"})}}, {x, w, r}), HasSubstr("1 activations, expected 3"));
  EXPECT_THAT(fault({"LSTM", 14, {words("activations", {"Tanh", "Gelu", "Tanh"})}}, {x, w, r}), HasSubstr("'Gelu'"));
  EXPECT_THAT(fault({"LSTM"}, {x, w}), HasSubstr("input"));
  EXPECT_THAT(fault({"LSTM"}, {x, w, r, typed({1, 12})}), HasSubstr("B has shape [1,12], expected [1,24]"));
  EXPECT_THAT(fault({"LSTM"}, {x, w, typed({12, 3})}), HasSubstr("rank 2, expected 3"));
  EXPECT_THAT(error_of(ErrorKind::bad_data,
                       [] {
                         const Tensor one = doubles({1, 1, 1}, {1});
                         run_op({"RNN"}, {doubles({2, 1, 1}, {1, 2}), one, one, {}, int32s({3})});
                       }),
              HasSubstr("sequence_lens has 3, expected 0 to 2"));
}

TEST(ReverseSequence, OfEitherOrder) {
  const Tensor x = floats({4, 2}, {0, 4, 1, 5, 2, 6, 3, 7});
  expect_near(run_op({"ReverseSequence"}, {x, int64s({4, 2})})[0], floats({4, 2}, {3, 5, 2, 4, 1, 6, 0, 7}));
  const OpUse rows = {"ReverseSequence", 10, {number("time_axis", 1), number("batch_axis", 0)}};
  expect_near(run_op(rows, {floats({2, 3, 1}, {0, 1, 2, 3, 4, 5}), int64s({3, 0})})[0], floats({2, 3, 1}, {2, 1, 0, 3, 4, 5}));
  const Tensor strings = Tensor::of_strings({2, 1}, {"a", "b"});
  EXPECT_EQ(run_op({"ReverseSequence"}, {strings, int64s({2})})[0], Tensor::of_strings({2, 1}, {"b", "a"}));
}

TEST(ReverseSequence, RefusesWhatDoesNotFit) {
  const auto fault = [](const OpUse& use, const std::vector<Type>& types) { return error_of(ErrorKind::bad_data, [&] { inferred(use, types); }); };
  const Type lens = typed({3}, DataType::int64);
  EXPECT_THAT(fault({"ReverseSequence", 10, {number("time_axis", 1)}}, {typed({2, 3}), lens}), HasSubstr("time_axis is 1 and batch_axis 1"));
  EXPECT_THAT(fault({"ReverseSequence"}, {typed({3, 2}), lens}), HasSubstr("sequence_lens has 3 elements, expected 2"));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [] { run_op({"ReverseSequence"}, {floats({2, 1}, {1, 2}), int64s({3})}); }), HasSubstr("expected 0 to 2"));
}

}  // namespace
}  // namespace espalier
