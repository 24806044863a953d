#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numbers>

#include "tests/support/errors.h"
#include "tests/support/op_test.h"

namespace espalier {
namespace {

using namespace testing;
using ::testing::HasSubstr;

Tensor scalar(int64_t v) { return Tensor::scalar(v); }

TEST(DFT, OfACosineIsTwoLines) {
  std::vector<double> wave;
  for (int n = 0; n < 8; ++n) wave.push_back(std::cos(2 * std::numbers::pi * 2 * n / 8));
  const Tensor y = run_op({"DFT", 20}, {doubles({1, 8, 1}, wave)})[0];
  std::vector<double> expected(16, 0);
  expected[2 * 2] = expected[6 * 2] = 4;
  expect_near(y, doubles({1, 8, 2}, expected), 1e-12);
}

TEST(DFT, AndItsInverseGiveTheSignalBack) {
  const Tensor x = doubles({2, 5, 2}, {1, 2, 3, -4, 5, 6, -7, 8, 9, 1, 0, 1, 2, 3, 5, 8, 1, 3, 2, 1});
  expect_near(run_op({"DFT", 20, {number("inverse", 1)}}, {run_op({"DFT", 20}, {x})[0]})[0], x, 1e-12);
  expect_near(run_op({"DFT", 17, {number("axis", 0), number("inverse", 1)}}, {run_op({"DFT", 17, {number("axis", 0)}}, {x})[0]})[0], x, 1e-12);
}

TEST(DFT, OneSidedIsHalfTheSpectrumAndBackAgain) {
  for (const int64_t size : {6, 7}) {
    std::vector<double> values;
    for (int64_t n = 0; n < size; ++n) values.push_back(static_cast<double>(n * n % 5) - 1.5);
    const Tensor x = doubles({1, size, 1}, values);
    const Tensor whole = run_op({"DFT", 20}, {x})[0], half = run_op({"DFT", 20, {number("onesided", 1)}}, {x})[0];
    ASSERT_EQ(half.dims(), (Dims{1, size / 2 + 1, 2}));
    for (int64_t i = 0; i < half.size(); ++i) EXPECT_NEAR(half.data<double>()[i], whole.data<double>()[i], 1e-12);
    expect_near(run_op({"DFT", 20, {number("onesided", 1), number("inverse", 1)}}, {half, scalar(size)})[0], x, 1e-12);
  }
}

TEST(DFT, PadsOrCutsToItsLengthAlongAnyAxis) {
  const Tensor x = doubles({3, 2, 1}, {1, 2, 3, 4, 5, 6});
  const Tensor cut = run_op({"DFT", 20}, {x, scalar(2), scalar(0)})[0];
  expect_near(cut, doubles({2, 2, 2}, {4, 0, 6, 0, -2, 0, -2, 0}), 1e-12);
  EXPECT_EQ(run_op({"DFT", 20}, {x, scalar(4), scalar(-3)})[0].dims(), (Dims{4, 2, 2}));
  EXPECT_EQ(inferred({"DFT", 20}, {typed({"n", 16, 1})}), "float[n,16,2]");
  EXPECT_EQ(inferred({"DFT", 17, {number("onesided", 1)}}, {typed({"n", 16, 1})}), "float[n,9,2]");
  EXPECT_EQ(inferred({"DFT", 20}, {typed({"n", 16, 1}), typed({}, DataType::int64)}), "float[n,?,2]");
}

TEST(DFT, RefusesWhatIsNoSignal) {
  const auto message = [](const OpUse& use, const std::vector<Fact>& inputs) { return error_of(ErrorKind::bad_data, [&] { infer_op(use, inputs); }); };
  EXPECT_THAT(message({"DFT", 20}, {fact(typed({8, 3}))}), HasSubstr("last axis of the input has size 3, expected 1 (real) or 2 (complex)"));
  EXPECT_THAT(message({"DFT", 20, {number("onesided", 1)}}, {fact(typed({8, 2}))}), HasSubstr("needs a real input"));
  EXPECT_THAT(message({"DFT", 20}, {fact(typed({4, 8, 1})), omitted(), fact(scalar(2))}), HasSubstr("axis is the last one"));
  EXPECT_THAT(message({"DFT", 20}, {fact(typed({4, 8, 1})), fact(scalar(0))}), HasSubstr("dft_length is 0"));
  EXPECT_THAT(message({"DFT", 20}, {fact(typed({8}))}), HasSubstr("input has rank 1"));
}

TEST(STFT, IsTheDftOfEachWindowedPiece) {
  std::vector<double> values;
  for (int n = 0; n < 10; ++n) values.push_back(static_cast<double>(n * n % 7) - 2);
  const Tensor x = doubles({1, 10, 1}, values), window = doubles({4}, {0.5, 1, 0.25, 2});
  const Tensor y = run_op({"STFT", 17}, {x, scalar(3), window})[0];
  ASSERT_EQ(y.dims(), (Dims{1, 3, 3, 2}));
  for (int64_t frame = 0; frame < 3; ++frame) {
    std::vector<double> piece;
    for (int64_t n = 0; n < 4; ++n) piece.push_back(values[static_cast<size_t>(frame * 3 + n)] * window.data<double>()[n]);
    const Tensor expected = run_op({"DFT", 20, {number("onesided", 1)}}, {doubles({1, 4, 1}, piece)})[0];
    for (int64_t i = 0; i < 6; ++i) EXPECT_NEAR(y.data<double>()[frame * 6 + i], expected.data<double>()[i], 1e-12);
  }
  EXPECT_EQ(run_op({"STFT", 17, {number("onesided", 0)}}, {x, scalar(3), Tensor(), scalar(4)})[0].dims(), (Dims{1, 3, 4, 2}));
}

TEST(STFT, RefusesFramesThatDoNotFit) {
  const auto message = [](const std::vector<Fact>& inputs) { return error_of(ErrorKind::bad_data, [&] { infer_op({"STFT", 17}, inputs); }); };
  const Fact signal = fact(typed({1, 10, 1}));
  EXPECT_THAT(message({signal, fact(scalar(2)), omitted(), fact(scalar(11))}), HasSubstr("signal has 10 samples, fewer than a frame of 11"));
  EXPECT_THAT(message({signal, fact(scalar(0)), fact(typed({4}))}), HasSubstr("frame_step is 0"));
  EXPECT_THAT(message({signal, fact(scalar(1))}), HasSubstr("neither a window nor a frame_length"));
  EXPECT_THAT(message({signal, fact(scalar(1)), fact(typed({4})), fact(scalar(5))}), HasSubstr("window has 4 elements, but frame_length is 5"));
}

TEST(SignalWindows, ArePeriodicOrSymmetric) {
  const auto window = [](const char* op, int64_t size, int64_t periodic) {
    return run_op({op, 17, {number("periodic", periodic), number("output_datatype", 11)}}, {scalar(size)})[0];
  };
  expect_near(window("HannWindow", 4, 1), doubles({4}, {0, 0.5, 1, 0.5}), 1e-12);
  expect_near(window("HannWindow", 5, 0), doubles({5}, {0, 0.5, 1, 0.5, 0}), 1e-12);
  expect_near(window("HammingWindow", 3, 0), doubles({3}, {4.0 / 46, 1, 4.0 / 46}), 1e-12);
  expect_near(window("BlackmanWindow", 3, 0), doubles({3}, {0, 1, 0}), 1e-12);
  EXPECT_EQ(window("HannWindow", 0, 1).size(), 0);
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { window("HannWindow", -1, 1); }), HasSubstr("size is -1"));
}

TEST(MelWeightMatrix, HasATriangleForEachBand) {
  const auto use = [](float upper) {
    return run_op({"MelWeightMatrix", 17}, {scalar(3), scalar(32), scalar(8000), floats({}, {0}), floats({}, {upper})})[0];
  };
  const Tensor m = use(4000);
  ASSERT_EQ(m.dims(), (Dims{17, 3}));
  for (int64_t band = 0; band < 3; ++band) {
    float top = 0;
    for (int64_t i = 0; i < 17; ++i) top = std::max(top, m.data<float>()[i * 3 + band]);
    EXPECT_EQ(top, 1) << band;
  }
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { use(1e6f); }), HasSubstr("a band reaches beyond the spectrum"));
}

TEST(Swish, IsXTimesItsSigmoid) {
  expect_near(run_op({"Swish", 24, {real("alpha", 2)}}, {doubles({3}, {0, 1, -800})})[0], doubles({3}, {0, 1 / (1 + std::exp(-2.0)), 0}), 1e-12);
}

TEST(CumProd, MultipliesUpToEachElement) {
  const Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(run_op({"CumProd", 26}, {x, scalar(1)})[0], floats({2, 3}, {1, 2, 6, 4, 20, 120}));
  EXPECT_EQ(run_op({"CumProd", 26, {number("exclusive", 1), number("reverse", 1)}}, {x, scalar(-1)})[0], floats({2, 3}, {6, 3, 1, 30, 6, 1}));
  EXPECT_EQ(run_op({"CumProd", 26}, {x, scalar(0)})[0], floats({2, 3}, {1, 2, 3, 4, 10, 18}));
}

TEST(BitCast, ReadsTheSameBits) {
  EXPECT_EQ(run_op({"BitCast", 26, {number("to", 6)}}, {floats({2}, {1, -2})})[0], Tensor::of<int32_t>({2}, {0x3f800000, static_cast<int32_t>(0xc0000000)}));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op({"BitCast", 26, {number("to", 7)}}, {floats({2}, {1, -2})}); }), HasSubstr("their widths differ"));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op({"BitCast", 26, {number("to", 8)}}, {floats({2}, {1, -2})}); }), HasSubstr("expected a type of numbers"));
}

TEST(TensorScatter, WritesAtTheIndexOfEachSample) {
  const Tensor cache = floats({2, 3, 1}, {1, 2, 3, 4, 5, 6}), update = floats({2, 2, 1}, {10, 20, 30, 40});
  EXPECT_EQ(run_op({"TensorScatter", 24}, {cache, update, int64s({0, 1})})[0], floats({2, 3, 1}, {10, 20, 3, 4, 30, 40}));
  EXPECT_EQ(run_op({"TensorScatter", 24, {text("mode", "circular")}}, {cache, update, int64s({2, 0})})[0], floats({2, 3, 1}, {20, 2, 10, 30, 40, 6}));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op({"TensorScatter", 24}, {cache, update, int64s({2, 0})}); }), HasSubstr("write index 3 is not in [0, 3)"));
}

TEST(TfIdfVectorizer, CountsGramsOfIntegersAndStrings) {
  const auto use = [](std::vector<Attribute> more) {
    std::vector<Attribute> all = {text("mode", "TF"), number("min_gram_length", 2), number("max_gram_length", 2), number("max_skip_count", 0),
                                  ints("ngram_counts", {0, 2}), ints("ngram_indexes", {0, 1, 2, 3})};
    for (Attribute& a : more) {
      std::erase_if(all, [&](const Attribute& old) { return old.name == a.name; });
      all.push_back(std::move(a));
    }
    return OpUse{"TfIdfVectorizer", 9, all};
  };
  const Attribute pool = ints("pool_int64s", {2, 3, 5, 4, 5, 6});  // 2, 3 | 54, 56
  const Tensor words = Tensor::of<int32_t>({6}, {5, 4, 5, 6, 2, 6});
  EXPECT_EQ(run_op(use({pool}), {words})[0], floats({4}, {0, 0, 1, 1}));
  EXPECT_EQ(run_op(use({pool, number("min_gram_length", 1)}), {words})[0], floats({4}, {1, 0, 1, 1}));
  EXPECT_EQ(run_op(use({pool, number("max_skip_count", 2)}), {words})[0], floats({4}, {0, 0, 1, 3}));
  EXPECT_EQ(run_op(use({pool, number("max_skip_count", 2), text("mode", "TFIDF"), attribute("weights", std::vector<float>{1, 1, 1, 0.5f})}), {words})[0],
            floats({4}, {0, 0, 1, 1.5f}));
  EXPECT_EQ(run_op(use({pool, number("max_skip_count", 2), text("mode", "IDF"), attribute("weights", std::vector<float>{1, 1, 1, 0.5f})}), {words})[0],
            floats({4}, {0, 0, 1, 0.5f}));
  const Attribute strings = attribute("pool_strings", std::vector<std::string>{"a", "b", "b", "c", "c", "a"});
  EXPECT_EQ(run_op(use({strings}), {Tensor::of_strings({2, 2}, {"b", "c", "c", "a"})})[0], floats({2, 4}, {0, 0, 1, 0, 0, 0, 0, 1}));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op(use({strings}), {words}); }), HasSubstr("but the pool is of strings"));
  EXPECT_THAT(error_of(ErrorKind::bad_data, [&] { run_op(use({pool, text("mode", "X")}), {words}); }), HasSubstr("mode is 'X'"));
}

}  // namespace
}  // namespace espalier
