// A model whose batch, length or image size is open stays so: after every pass its outputs have the same symbolic sizes, and other
// sizes than those that the file was traced with still fit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "lib/analysis/infer.h"
#include "lib/base/error.h"
#include "lib/graph/text.h"
#include "lib/onnx_io/load.h"
#include "passes/pass.h"
#include "passes/pipeline.h"
#include "passes/resources.h"
#include "tests/support/environment.h"
#include "tests/support/zoo.h"

namespace espalier {
namespace {

namespace fs = std::filesystem;

/// What users run.
const std::vector<std::string> kPipelines = {"simplify, fuse", "prune{ratio=0.5}", "simplify, prune{ratio=0.3 criterion=random}, fuse", "unroll"};

/// And each pass by itself, but for those that need data or fix sizes by their nature.
std::vector<std::string> all_pipelines() {
  std::vector<std::string> result = kPipelines;
  for (const Pass* pass : all_passes()) {
    const std::string name(pass->name);
    if (name != "prune" && name != "finetune" && name != "rebatch") result.push_back(name);
  }
  return result;
}

bool is_open(const Graph& graph) {
  return std::any_of(graph.inputs.begin(), graph.inputs.end(), [&](ValueId v) {
    const Type& type = graph.value(v).type;
    return !graph.initializer(v) && type.is_tensor() && !type.known_dims();
  });
}

/// The sizes that the outputs have, as far as they follow from the inputs' symbols.
std::vector<std::string> symbolic_outputs(const Graph& graph) {
  const FactTable facts = infer(graph);
  std::vector<std::string> result;
  for (const ValueId v : graph.outputs) result.push_back(graph.value(v).name + ": " + facts.type(v).str());
  return result;
}

/// Every open size bound: the first axis of an input to `batch`, the others to `open`.
std::map<std::string, Dims> bound(const Graph& graph, int64_t batch, int64_t open) {
  std::map<std::string, Dims> result;
  std::map<std::string, int64_t> symbols;
  for (const ValueId v : graph.inputs) {
    const Type& type = graph.value(v).type;
    if (graph.initializer(v) || !type.is_tensor() || !type.has_rank()) continue;
    Dims& dims = result[graph.value(v).name];
    for (const Dim& d : *type.dims) {
      const int64_t guess = dims.empty() ? batch : open;
      const auto name = d.symbol_name();
      dims.push_back(d.known() ? d.value() : name ? symbols.try_emplace(*name, guess).first->second : guess);
    }
  }
  return result;
}

/// The outputs' sizes where the inputs have others than any that the file may have been written with; nothing where the model
/// itself does not allow them.
std::optional<std::vector<std::string>> outputs_at(const Graph& graph, int64_t batch, int64_t open) {
  try {
    InferOptions options;
    options.input_dims = bound(graph, batch, open);
    const FactTable facts = infer(graph, options);
    std::vector<std::string> result;
    for (const ValueId v : graph.outputs) result.push_back(graph.value(v).name + ": " + facts.type(v).str());
    return result;
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::bad_data) throw;
    return std::nullopt;
  }
}

void expect_open(const Model& original, const std::vector<std::string>& pipelines) {
  for (const std::string& text : pipelines) {
    SCOPED_TRACE(text);
    Model model = original;
    Resources resources;
    resources.verify = false;  // that outputs are the same is the business of zoo_test
    Pipeline::parse(text).run(model, resources);
    EXPECT_EQ(symbolic_outputs(model.graph), symbolic_outputs(original.graph));
    int sizes = 0;
    for (const auto& [batch, open] : {std::pair<int64_t, int64_t>{3, 96}, {5, 64}, {2, 1}, {4, 800}}) {
      const auto expected = outputs_at(original.graph, batch, open);
      if (!expected) continue;
      ++sizes;
      EXPECT_EQ(outputs_at(model.graph, batch, open), expected) << "batch " << batch << ", other open sizes " << open;
    }
    EXPECT_GT(sizes, 0);
    for (const ValueId v : original.graph.inputs) {
      const std::string& name = original.graph.value(v).name;
      const ValueId same = model.graph.find_value(name);
      if (original.graph.initializer(v)) continue;
      ASSERT_NE(same, kNone) << name;
      EXPECT_TRUE(model.graph.value(same).type.same_as(original.graph.value(v).type)) << name;
    }
  }
}

/// Attention over a batch and a length that are both open, shapes calculated as PyTorch's exporter does.
TEST(DynamicSizes, OfATransformerStayOpen) {
  Model model;
  model.graph = parse_graph(R"(graph g (x: float[batch,length,8]) -> (y: float[batch,length,3]) opset 14 {
    zero: int64[] = 0
    one: int64[] = 1
    first: int64[1] = {0}
    heads: int64[1] = {2}
    size: int64[1] = {4}
    width: int64[1] = {8}
    wq: float[8,8] = fill(1)
    wk: float[8,8] = fill(2)
    wv: float[8,8] = fill(3)
    wo: float[8,8] = fill(4)
    wy: float[8,3] = fill(5)
    sizes = Shape(x)
    n = Gather(sizes, zero)
    l = Gather(sizes, one)
    n1 = Unsqueeze(n, first)
    l1 = Unsqueeze(l, first)
    split = Concat(n1, l1, heads, size) {axis = 0}
    merged = Concat(n1, l1, width) {axis = 0}
    q0 = MatMul(x, wq)
    k0 = MatMul(x, wk)
    v0 = MatMul(x, wv)
    q1 = Reshape(q0, split)
    k1 = Reshape(k0, split)
    v1 = Reshape(v0, split)
    q = Transpose(q1) {perm = [0,2,1,3]}
    k = Transpose(k1) {perm = [0,2,3,1]}
    v = Transpose(v1) {perm = [0,2,1,3]}
    s = MatMul(q, k)
    p = Softmax(s) {axis = -1}
    a = MatMul(p, v)
    b = Transpose(a) {perm = [0,2,1,3]}
    c = Reshape(b, merged)
    d = MatMul(c, wo)
    e = Add(d, x)
    f = Relu(e)
    y = MatMul(f, wy)
  })");
  expect_open(model, all_pipelines());
}

/// A class token that is repeated for the batch as PyTorch's exporter does it: constant for any one batch, and so for none.
TEST(DynamicSizes, OfAClassTokenStayOpenWhereItIsCut) {
  Model model;
  model.graph = parse_graph(R"(graph g (x: float[batch,5,6]) -> (y: float[batch,4]) opset 9 {
    zero: int64[] = 0
    first: int64[1] = {0}
    one: int64[1] = {1}
    width: int64[1] = {8}
    w: float[6,8] = fill(1)
    token: float[8] = fill(2)
    positions: float[6,8] = fill(3)
    v: float[8,4] = fill(4)
    sizes = Shape(x)
    n = Gather(sizes, zero)
    n1 = Unsqueeze(n) {axes = [0]}
    shape = Concat(n1, one, width) {axis = 0}
    zeros = ConstantOfShape(shape)
    tokens = Add(zeros, token)
    h = MatMul(x, w)
    all = Concat(tokens, h) {axis = 1}
    p = Add(all, positions)
    r = Relu(p)
    m = ReduceMax(r) {axes = [1], keepdims = 0}
    y = MatMul(m, v)
  })");
  expect_open(model, all_pipelines());
}

/// allowzero says that a zero in the shape is a size: a size that is copied needs it gone.
TEST(DynamicSizes, OfAReshapeThatAllowsZeros) {
  Model model;
  model.graph = parse_graph(R"(graph g (x: float[batch,3,4,4]) -> (y: float[batch,4]) opset 15 {
    w: float[8,3,3,3] = fill(1)
    v: float[32,4] = fill(2)
    rest: int64[1] = {32}
    sizes = Shape(x) {start = 0, end = 1}
    shape = Concat(sizes, rest) {axis = 0}
    h = Conv(x, w)
    r = Relu(h)
    f = Reshape(r, shape) {allowzero = 1}
    y = MatMul(f, v)
  })");
  expect_open(model, all_pipelines());
}

std::vector<std::string> open_models() {
  std::vector<std::string> result;
  for (const std::string folder : {"zoo", "zoo/zuramai__mnist_external_data"}) {
    for (const fs::path& path : testing::zoo_models(folder)) result.push_back(folder + "/" + path.filename().string());
  }
  return result;
}

class DynamicZoo : public ::testing::TestWithParam<std::string> {};

TEST_P(DynamicZoo, StaysOpen) {
  const Model model = load_model(testing::shared_path(GetParam()));
  if (!is_open(model.graph) || !testing::all_ops_known(model.graph)) return;
  std::printf("open: %s %s\n", GetParam().c_str(), symbolic_outputs(model.graph).at(0).c_str());
  expect_open(model, kPipelines);
}

INSTANTIATE_TEST_SUITE_P(Models, DynamicZoo, ::testing::ValuesIn(open_models()), [](const auto& model) {
  std::string name = fs::path(model.param).stem().string();
  std::replace_if(name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DynamicZoo);

TEST(DynamicSizes, OfTheZooWereLookedAt) {
  if (open_models().empty()) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
}

}  // namespace
}  // namespace espalier
