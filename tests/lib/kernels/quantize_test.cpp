#include "lib/kernels/quantize.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lib/kernels/vector_loops.h"

namespace espalier {
namespace {

std::vector<float> numbers() {
  std::vector<float> x = {0, 0.5f, 1.5f, -0.5f, -1.5f, 2.5f, 1e9f, -1e9f, INFINITY, -INFINITY, NAN};
  for (int i = 0; i < 1000; ++i) x.push_back(static_cast<float>(i - 500) * 0.37f);
  return x;
}

template <class T>
void expect_formula(const VectorLoops& loops, QuantizedAs type, int zero) {
  const std::vector<float> x = numbers();
  std::vector<T> q(x.size());
  std::vector<float> back(x.size());
  const float scale = 0.25f;
  loops.quantize(x.data(), q.data(), type, static_cast<int64_t>(x.size()), scale, zero);
  loops.dequantize(q.data(), back.data(), type, static_cast<int64_t>(x.size()), scale, zero);
  const double low = std::numeric_limits<T>::lowest(), high = std::numeric_limits<T>::max();
  for (size_t i = 0; i < x.size(); ++i) {
    const double v = std::nearbyint(static_cast<double>(x[i] / scale)) + zero;
    const double expected = v > low ? std::min(v, high) : low;
    ASSERT_EQ(static_cast<double>(q[i]), expected) << loops.name << " " << x[i];
    ASSERT_EQ(back[i], static_cast<float>(expected - zero) * scale) << loops.name << " " << x[i];
  }
}

TEST(QuantizeLoops, EqualTheFormulaInEveryInstructionSet) {
  for (const VectorLoops* loops : {&kLoopsBaseline, &vector_loops()}) {
    expect_formula<uint8_t>(*loops, QuantizedAs::u8, 128);
    expect_formula<int8_t>(*loops, QuantizedAs::s8, -3);
    expect_formula<uint16_t>(*loops, QuantizedAs::u16, 40000);
    expect_formula<int16_t>(*loops, QuantizedAs::s16, 0);
  }
}

TEST(Quantize, HasAScaleForEachRow) {
  const std::vector<float> x = {1, 2, 30, 40};
  std::vector<uint8_t> q(4);
  const auto kernel = quantize(DataType::uint8, {1, 2, 2, {1, 10}, {0, 5}});
  void* args[] = {const_cast<float*>(x.data()), q.data()};
  kernel->bind(args);
  kernel->run();
  EXPECT_EQ(q, (std::vector<uint8_t>{1, 2, 8, 9}));
}

}  // namespace
}  // namespace espalier
