// Plans of operators on images, forward and backward, against the reference in double. A convolution before the operator
// hands it a blocked layout; 20 channels do not fill their blocks.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "lib/analysis/infer.h"
#include "lib/analysis/reference.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/base/parallel.h"
#include "lib/base/random.h"
#include "lib/graph/text.h"
#include "lib/runtime/plan.h"

namespace espalier {
namespace {

Tensor normals(DataType type, const Dims& dims, uint32_t stream) {
  Tensor t(DataType::float32, dims);
  const Random random(3, RandomUse::test, stream);
  const auto values = t.mutable_data<float>();
  for (size_t i = 0; i < values.size(); ++i) values[i] = random.normal(i);
  return t.cast(type);
}

void expect_close(const Tensor& actual, const Tensor& expected, const std::string& what) {
  ASSERT_EQ(actual.dims(), expected.dims()) << what;
  const auto a = actual.to_doubles(), e = expected.to_doubles();
  double scale = 1e-6, error = 0;
  for (size_t i = 0; i < e.size(); ++i) {
    scale = std::max(scale, std::abs(e[i]));
    error = std::max(error, std::abs(a[i] - e[i]));
  }
  EXPECT_LT(error / scale, 1e-5) << what;
}

/// Gradients of all float inputs of a graph whose first output is compared with a target. Returns the operators, the loss
/// apart, that ran their reference.
std::set<std::string> check_plan(const std::string& text) {
  set_thread_count(2);
  Graph forward = parse_graph(text);
  LossTerm distance;
  distance.kind = LossTerm::Kind::mse;
  const ValueId loss = add_loss(forward, forward.outputs[0], {.terms = {distance}}).loss;
  std::vector<ValueId> wanted;
  std::map<std::string, Tensor> feeds;
  for (size_t i = 0; i < forward.inputs.size(); ++i) {
    const Value& value = forward.value(forward.inputs[i]);
    feeds[value.name] = normals(value.type.elem_type, *value.type.known_dims(), static_cast<uint32_t>(i));
    if (value.name != "target") wanted.push_back(forward.inputs[i]);
  }
  const TrainingGraph training = differentiate(forward, loss, wanted);
  const auto expected = run_reference(training.graph, feeds, {.in_double = true});
  ParameterStore store;
  Plan plan(training.graph, store, {});
  for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
  plan.run();
  plan.run();
  for (const ValueId v : training.graph.outputs) {
    const std::string& name = training.graph.value(v).name;
    expect_close(plan.output_tensor(name), expected.at(name), text + "\n" + name);
  }
  plan.set_profiling(true);
  plan.run();
  std::set<std::string> slow;
  for (const StepProfile& step : plan.profile()) {
    if (step.implementation == "reference" && !step.op.starts_with("MeanSquaredError")) slow.insert(step.op);
  }
  return slow;
}

/// x [2, 3, 9, 10] through a convolution of 20 channels into h [2, 20, 9, 10], then `node`.
std::string behind_convolution(const std::string& node, const std::string& constants = "", const std::string& inputs = "") {
  return "graph g (x: float[2,3,9,10], w: float[20,3,3,3]" + inputs + ") -> (y) opset 19 { " + constants +
         "\n h = Conv(x, w) {pads = [1,1,1,1]}\n y = " + node + " }";
}

void expect_fast(const std::string& text) { EXPECT_EQ(check_plan(text), std::set<std::string>{}) << text; }

TEST(ImagePlan, ResizeKeepsBlockedLayouts) {
  for (const std::string attributes : {"{}", "{mode = \"linear\"}", "{mode = \"cubic\"}", "{mode = \"linear\", coordinate_transformation_mode = \"align_corners\"}",
                                       "{mode = \"linear\", antialias = 1}"}) {
    for (const std::string scales : {"{1, 1, 2, 2}", "{1, 1, 0.5, 1.5}"}) {
      expect_fast(behind_convolution("Resize(h, _, s) " + attributes, "s: float[4] = " + scales));
    }
  }
  expect_fast(behind_convolution("Resize(h, r, _, s) {mode = \"linear\", coordinate_transformation_mode = \"tf_crop_and_resize\", extrapolation_value = 2.0}",
                                 "r: float[8] = {0, 0, 0.4, 0.6, 1, 1, 1.2, 1.7}\n s: int64[4] = {2, 20, 5, 6}"));
}

TEST(ImagePlan, ResizeOfPlainLayoutsAndOtherAxes) {
  expect_fast("graph g (x: float[2,3,7,5]) -> (y) opset 19 { s: float[4] = {1, 2, 1, 1.5}\n y = Resize(x, _, s) {mode = \"linear\"} }");
  expect_fast("graph g (x: float[2,6,5,3]) -> (y) opset 19 { s: int64[2] = {9, 11}\n y = Resize(x, _, _, s) {mode = \"linear\", axes = [1, 2]} }");
  expect_fast("graph g (x: float[2,3,4,3,5]) -> (y) opset 19 { s: float[5] = {1, 1, 2, 2, 0.6}\n y = Resize(x, _, s) {mode = \"linear\"} }");
  expect_fast("graph g (x: float[2,3,4]) -> (y) opset 9 { s: float[3] = {1, 1, 3}\n y = Upsample(x, s) }");
}

TEST(ImagePlan, ConvTransposeWithBiasAndActivation) {
  for (const std::string attributes : {"{strides = [2,2]}", "{strides = [2,2], pads = [1,1,1,1], output_padding = [1,1]}", "{dilations = [2,1]}",
                                       "{strides = [2,3], auto_pad = \"SAME_UPPER\"}", "{strides = [2,2], auto_pad = \"VALID\"}"}) {
    expect_fast(behind_convolution("ConvTranspose(h, v, b) " + attributes, "", ", v: float[20,12,3,3], b: float[12]"));
    expect_fast("graph g (x: float[2,20,6,5], v: float[20,1,3,3], b: float[1]) -> (y) opset 19 { t = ConvTranspose(x, v, b) " + attributes + "\n y = Sigmoid(t) }");
  }
  expect_fast(behind_convolution("ConvTranspose(h, v, b) {group = 4, strides = [2,2]}", "", ", v: float[20,4,2,2], b: float[16]"));
  expect_fast(behind_convolution("ConvTranspose(h, v) {group = 20, strides = [2,2]}", "", ", v: float[20,1,2,2]"));
  expect_fast("graph g (x: float[2,8,7], v: float[8,6,4], b: float[6]) -> (y) opset 19 { t = ConvTranspose(x, v, b) {strides = [2]}\n y = Relu(t) }");
  expect_fast("graph g (x: float[2,8,3,4,5], v: float[8,6,2,2,2]) -> (y) opset 19 { y = ConvTranspose(x, v) {strides = [2,2,2]} }");
}

}  // namespace
}  // namespace espalier
