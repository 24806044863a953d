#include "lib/analysis/rebatch.h"

#include <gtest/gtest.h>

#include "lib/analysis/certificate.h"
#include "lib/analysis/reference.h"
#include "lib/analysis/unit_groups.h"
#include "lib/graph/text.h"
#include "lib/onnx_io/load.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

/// The elements of `count` samples from sample `first` on.
Tensor samples(const Tensor& t, int64_t first, int64_t count) {
  Dims dims = t.dims();
  const std::vector<double> all = t.to_doubles();
  const auto per = static_cast<std::ptrdiff_t>(all.size()) / dims[0];
  dims[0] = count;
  return Tensor::of<double>(dims, {all.begin() + first * per, all.begin() + (first + count) * per}).cast(t.type());
}

/// n samples at once give what n runs of the file's own batch give.
void expect_same_as_single_runs(const Graph& graph, int64_t n) {
  const Graph wide = rebatch(graph, n);
  const UnitTable table = assign_units(wide);
  const auto feeds = random_feeds(table, 5);
  const auto together = run_reference(wide, feeds, {.in_double = true});
  for (int64_t i = 0; i < n; ++i) {
    std::map<std::string, Tensor> one;
    for (const auto& [name, tensor] : feeds) one[name] = samples(tensor, i, 1);
    for (const auto& [name, tensor] : run_reference(graph, one, {.in_double = true})) {
      ASSERT_EQ(together.at(name).dims()[0], n * tensor.dims()[0]);
      const std::vector<double> expected = tensor.to_doubles(), all = together.at(name).to_doubles();
      for (size_t k = 0; k < expected.size(); ++k) {
        ASSERT_NEAR(all[static_cast<size_t>(i) * expected.size() + k], expected[k], 1e-9) << name;
      }
    }
  }
}

TEST(Rebatch, FollowsShapeConstantsOfEveryKind) {
  expect_same_as_single_runs(parse_graph(R"(graph g (x: float[1,2,2,2]) -> (y: float[1,3]) opset 13 {
    w: float[8,3] = fill(1)
    flat: int64[2] = {1, -1}
    wide: int64[4] = {1, 2, 1, 4}
    back: int64[3] = {2, 4, 1}
    again: int64[2] = {1, 8}
    a = Reshape(x, wide)
    t = Transpose(a) {perm = [1,3,0,2]}
    b = Reshape(t, back)
    u = Transpose(b) {perm = [2,0,1]}
    c = Reshape(u, flat)
    d = Reshape(c, again)
    y = MatMul(d, w)
  })"), 3);
}

TEST(Rebatch, DeclaresTheNewSizes) {
  const Graph wide = rebatch(parse_graph(R"(graph g (x: float[1,4]) -> (y: float[1,3]) opset 13 {
    w: float[4,3] = fill(1)
    y = MatMul(x, w)
  })"), 32);
  EXPECT_EQ(wide.value(wide.inputs[0]).type.str(), "float[32,4]");
  EXPECT_EQ(wide.value(wide.outputs[0]).type.str(), "float[32,3]");
}

TEST(Rebatch, RefusesWhereSamplesMeet) {
  const char* models[] = {
      "graph g (x: float[1,4]) -> (y) opset 13 { y = ReduceMean(x) {axes = [0]} }",
      "graph g (x: float[1,4]) -> (y) opset 13 { y = Softmax(x) {axis = 0} }",
      "graph g (x: float[1,4]) -> (y) opset 13 { y = Concat(x, x) {axis = 0} }",
      "graph g (x: float[1,4]) -> (y) opset 13 { zero: int64[] = 0\n y = Gather(x, zero) }",
  };
  for (const char* model : models) {
    SCOPED_TRACE(model);
    EXPECT_THROW(rebatch(parse_graph(model), 2), Error);
  }
}

TEST(Rebatch, RefusesABatchBelowOne) {
  EXPECT_THROW(rebatch(parse_graph("graph g (x: float[1,4]) -> (y) opset 13 { y = Relu(x) }"), 0), Error);
}

TEST(Rebatch, TheClassifiersOfTheZoo) {
  const char* files[] = {"burn__mnist", "ort_examples__mnist_cntk", "whitematter__mnist_cnn", "vnncomp2021__cifar10_resnet__resnet_2b",
                         "vnncomp2021__oval21__cifar_base_kw", "vnncomp2021__oval21__cifar_deep_kw",
                         "vnncomp2021__mnistfc__mnist-net_256x4", "vnncomp2021__verivital__Convnet_maxpool"};
  if (!exists(testing::shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  for (const std::string file : files) {
    SCOPED_TRACE(file);
    expect_same_as_single_runs(load_model(testing::shared_path("zoo/" + file + ".onnx")).graph, 2);
  }
}

}  // namespace
}  // namespace espalier
