// Convolutions with a kernel a channel, forward and backward, by oneDNN or by our loops, against the reference in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "lib/analysis/reference.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/graph/text.h"
#include "lib/kernels/depthwise_loops.h"
#include "lib/kernels/vector_loops.h"
#include "lib/runtime/plan.h"

namespace espalier {
namespace {

std::vector<float> normals(size_t n, uint32_t stream) {
  std::vector<float> result(n);
  const Random random(4, RandomUse::test, stream);
  for (size_t i = 0; i < n; ++i) result[i] = random.normal(i);
  return result;
}

Tensor normal_tensor(const Dims& dims, uint32_t stream) {
  Tensor result(DataType::float32, dims);
  const auto values = normals(static_cast<size_t>(result.size()), stream);
  std::copy(values.begin(), values.end(), result.mutable_data<float>().begin());
  return result;
}

double largest(const Tensor& a, const Tensor* b = nullptr) {
  const auto x = a.to_doubles(), y = b ? b->to_doubles() : std::vector<double>(x.size());
  double result = 0;
  for (size_t i = 0; i < x.size(); ++i) result = std::max(result, std::abs(x[i] - y[i]));
  return result;
}

/// Outputs and all gradients of a plan equal the reference's; returns the implementations that ran.
std::string implementations(const std::string& text) {
  Graph forward = parse_graph(text);
  const ValueId loss = add_loss(forward, forward.outputs[0], {.terms = {{.kind = LossTerm::Kind::mse}}}).loss;
  std::vector<ValueId> wanted;
  std::map<std::string, Tensor> feeds;
  for (const ValueId v : forward.inputs) {
    const Value& value = forward.value(v);
    feeds[value.name] = normal_tensor(*value.type.known_dims(), static_cast<uint32_t>(v));
    if (value.name != "target") wanted.push_back(v);
  }
  const TrainingGraph training = differentiate(forward, loss, wanted);
  const auto expected = run_reference(training.graph, feeds, {.in_double = true});
  ParameterStore store;
  Plan plan(training.graph, store, {});
  for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
  plan.set_profiling(true);
  for (int run = 0; run < 2; ++run) plan.run();
  for (const ValueId v : training.graph.outputs) {
    const std::string& name = training.graph.value(v).name;
    const Tensor actual = plan.output_tensor(name);
    EXPECT_LT(largest(actual, &expected.at(name)) / largest(expected.at(name)), 1e-5) << text << "\n" << name;
  }
  std::string all;
  for (const StepProfile& step : plan.profile()) all += step.op + ":" + step.implementation + " ";
  return all;
}

std::string text_of(const Dims& dims) {
  std::string text = "float" + to_string(dims);
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  return text;
}

/// The convolution alone, behind one that hands on blocks, and with an activation to take in.
void expect_fast(const Dims& x, const Dims& w, const std::string& attributes) {
  Dims square(w.size(), 1);
  square[0] = square[1] = w[0];
  const std::string inputs = "x: " + text_of(x) + ", w: " + text_of(w) + ", b: " + text_of({w[0]});
  const std::string tail = ", w, b) {group = " + std::to_string(w[0]) + attributes + "}\n";
  for (const std::string& text :
       {"graph g (" + inputs + ") -> (y) opset 19 { y = Conv(x" + tail + " }",
        "graph g (" + inputs + ", v: " + text_of(square) + ") -> (y) opset 19 { h = Conv(x, v)\n y = Conv(h" + tail + " }",
        "graph g (" + inputs + ") -> (y) opset 19 { c = Conv(x" + tail + " y = Sigmoid(c) }"}) {
    for (const int threads : {1, 2}) {
      set_thread_count(threads);
      const std::string ran = implementations(text);
      EXPECT_EQ(ran.find(":ref:"), std::string::npos) << text << "\n" << ran;
    }
  }
}

TEST(DepthwisePlan, OneAxis) {
  expect_fast({3, 20, 19}, {20, 1, 5}, ", pads = [2,2]");
  expect_fast({2, 32, 40}, {32, 1, 13}, ", pads = [12,12], dilations = [2]");
  expect_fast({2, 7, 40}, {7, 1, 3}, ", strides = [2], pads = [1,0]");
}

TEST(DepthwisePlan, LargeKernelsOnSmallImages) {
  expect_fast({2, 24, 3, 4}, {24, 1, 5, 5}, ", pads = [2,2,2,2]");
  expect_fast({2, 16, 1, 1}, {16, 1, 5, 5}, ", pads = [2,2,2,2]");
  expect_fast({2, 16, 1, 1}, {16, 1, 3, 3}, ", pads = [2,2,2,2]");
  expect_fast({2, 40, 9, 2}, {40, 1, 5, 5}, ", pads = [2,2,2,2], strides = [2,1]");
}

TEST(DepthwisePlan, StridesDilationsAndPads) {
  expect_fast({2, 20, 11, 12}, {20, 1, 3, 3}, ", pads = [1,1,1,1], strides = [2,2]");
  expect_fast({2, 20, 11, 12}, {20, 1, 3, 3}, ", pads = [2,1,0,2], strides = [1,3]");
  expect_fast({2, 20, 11, 12}, {20, 1, 3, 3}, ", pads = [2,3,2,3], dilations = [2,3]");
  expect_fast({2, 20, 11, 12}, {20, 1, 4, 2}, ", pads = [0,3,0,4], strides = [3,2], dilations = [2,1]");
}

TEST(DepthwisePlan, Volumes) {
  expect_fast({2, 20, 4, 5, 6}, {20, 1, 3, 3, 3}, ", pads = [1,1,1,1,1,1], strides = [1,2,1]");
}

/// Every set of loops gives what the sums say, for all forms of rows.
TEST(DepthwiseLoops, AgreeWithTheSums) {
  std::vector<const DepthwiseLoops*> all = {&kDepthwiseBaseline};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) all.push_back(&kDepthwiseAvx2);
  if (&vector_loops() == &kLoopsAvx512) all.push_back(&kDepthwiseAvx512);
  for (const DepthwiseRow row : {DepthwiseRow{9, 9, 3, 1, 1, 1, 16, 16}, {9, 5, 3, 2, 1, 1, 8, 24}, {20, 8, 5, 2, 2, 3, 25, 25},
                                 {3, 3, 7, 1, 1, 3, 16, 32}, {9, 9, 3, 1, -1, -1, 16, 16}, {2, 9, 2, 1, 4, 8, 3, 3}}) {
    const auto size = [&](int64_t n, int64_t step) { return static_cast<size_t>(n * step); };
    const auto x = normals(size(row.in, row.block), 1), y = normals(size(row.out, row.block), 2), w = normals(size(row.kernel, row.tap), 3);
    std::vector<double> forward(y.begin(), y.end()), back(x.begin(), x.end()), weights(w.size());
    for (int64_t o = 0; o < row.out; ++o) {
      for (int64_t k = 0; k < row.kernel; ++k) {
        const int64_t i = o * row.stride - row.pad + k * row.dilation;
        if (i < 0 || i >= row.in) continue;
        for (int64_t c = 0; c < row.block; ++c) {
          const size_t at_x = size(i, row.block) + static_cast<size_t>(c), at_y = size(o, row.block) + static_cast<size_t>(c);
          const size_t at_w = size(k, row.tap) + static_cast<size_t>(c);
          forward[at_y] += w[at_w] * x[at_x];
          back[at_x] += w[at_w] * y[at_y];
          weights[at_w] += x[at_x] * y[at_y];
        }
      }
    }
    for (const DepthwiseLoops* loops : all) {
      auto to_y = y, to_x = x;
      std::vector<double> to_w(w.size());
      loops->correlate(x.data(), w.data(), to_y.data(), row);
      loops->products(x.data(), y.data(), to_w.data(), row);
      for (size_t i = 0; i < to_y.size(); ++i) ASSERT_NEAR(to_y[i], forward[i], 1e-5);
      for (size_t i = 0; i < to_w.size(); ++i) ASSERT_NEAR(to_w[i], weights[i], 1e-5);
      if (row.dilation < 0) continue;
      loops->spread(y.data(), w.data(), to_x.data(), row);
      for (size_t i = 0; i < to_x.size(); ++i) ASSERT_NEAR(to_x[i], back[i], 1e-5);
    }
  }
}

}  // namespace
}  // namespace espalier
