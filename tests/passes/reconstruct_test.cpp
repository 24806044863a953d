#include "passes/prune/reconstruct.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lib/analysis/choose.h"
#include "lib/analysis/reference.h"
#include "lib/base/random.h"
#include "lib/graph/text.h"
#include "passes/pipeline.h"
#include "passes/prune/least_squares.h"

namespace espalier {
namespace {

Tensor noise(Dims dims, uint32_t stream) {
  Tensor tensor(DataType::float32, std::move(dims));
  const Random random(7, RandomUse::test, stream);
  const auto out = tensor.mutable_data<float>();
  for (size_t i = 0; i < out.size(); ++i) out[i] = random.normal(i);
  return tensor;
}

Dataset samples(Dims dims) { return make_dataset("noise", {{"x", noise(std::move(dims), 1)}}); }

/// Channels 4..7 of the first layer are sums of channels 0..3, linearly, so the second layer can do without them.
Graph redundant(const char* text) {
  Graph graph = parse_graph(text);
  const ValueId w = graph.find_value("w");
  Tensor weight = noise(graph.initializer(w)->dims(), 2);
  const auto rows = weight.mutable_data<float>();
  const size_t each = rows.size() / 8;
  for (size_t c = 0; c < 4; ++c) {
    for (size_t i = 0; i < each; ++i) rows[(4 + c) * each + i] = 0.5f * rows[c * each + i] - 0.25f * rows[(c + 1) % 4 * each + i];
  }
  graph.set_initializer(w, weight);
  graph.set_initializer(graph.find_value("v"), noise(graph.initializer(graph.find_value("v"))->dims(), 3));
  return graph;
}

struct Done {
  Reconstructed report;
  double error_cut = 0, error = 0;  ///< largest difference of the output from the original's, as a share of its largest value
  Graph graph;
};

double distance(const Graph& a, const Graph& b, const Tensor& x) {
  const auto p = run_reference(a, {{"x", x}}), q = run_reference(b, {{"x", x}});
  const std::vector<double> u = p.begin()->second.to_doubles(), v = q.begin()->second.to_doubles();
  double worst = 0, scale = 0;
  for (size_t i = 0; i < u.size(); ++i) worst = std::max(worst, std::abs(u[i] - v[i])), scale = std::max(scale, std::abs(u[i]));
  return worst / scale;
}

/// Cuts units `gone` of the first birth and reconstructs.
Done reconstructed(const Graph& graph, const std::vector<int32_t>& gone, const Dataset& data) {
  UnitTable table = assign_units(graph);
  std::vector<bool> keep(static_cast<size_t>(table.units.size()), true);
  for (const int32_t unit : gone) keep[static_cast<size_t>(table.units.find(unit))] = false;
  Chosen chosen = cut_chosen(table, keep);
  Done done;
  Dims dims = *table.facts[static_cast<size_t>(graph.inputs[0])].dims;
  const Tensor x = noise(dims, 9);
  done.error_cut = distance(graph, chosen.cut.graph, x);
  done.report = reconstruct(table, chosen.keep, chosen.cut, data, {});
  done.error = distance(graph, chosen.cut.graph, x);
  done.graph = chosen.cut.graph;
  return done;
}

constexpr const char* kConvs = R"(graph g (x: float[1,2,6,5]) -> (y) opset 13 {
  w: float[8,2,3,3] = zeros
  v: float[3,8,3,2] = zeros
  b: float[3] = {0.5, -1, 2}
  h = Conv(x, w) {pads = [1,1,1,1]}
  y = Conv(h, v, b) {pads = [1,0,1,1], strides = [2,1], dilations = [1,2]}
})";

TEST(Reconstruct, RestoresWhatKeptChannelsCanSay) {
  const struct {
    const char* name;
    const char* text;
    Dims data;
  } nets[] = {
      {"Conv with pads, strides and dilations", kConvs, {400, 2, 6, 5}},
      {"Conv, then Add", R"(graph g (x: float[1,2,6,5]) -> (y) opset 13 {
         w: float[8,2,3,3] = zeros
         v: float[3,8,3,3] = zeros
         b: float[3,1,1] = {0.5, -1, 2}
         h = Conv(x, w)
         z = Conv(h, v) {auto_pad = "SAME_UPPER"}
         y = Add(b, z)
       })", {400, 2, 6, 5}},
      {"Gemm with factors", R"(graph g (x: float[1,6]) -> (y) opset 13 {
         w: float[8,6] = zeros
         v: float[3,8] = zeros
         b: float[3] = {0.5, -1, 2}
         h = Gemm(x, w) {transB = 1}
         y = Gemm(h, v, b) {transB = 1, alpha = 0.5, beta = 2.0}
       })", {400, 6}},
      {"MatMul over time", R"(graph g (x: float[1,5,6]) -> (y) opset 13 {
         w: float[8,6] = zeros
         v: float[8,3] = zeros
         t = Transpose(w) {perm = [1,0]}
         h = MatMul(x, t)
         y = MatMul(h, v)
       })", {400, 5, 6}},
  };
  for (const auto& net : nets) {
    SCOPED_TRACE(net.name);
    const Done done = reconstructed(redundant(net.text), {4, 5, 6, 7}, samples(net.data));
    EXPECT_EQ(done.report.sinks, 1);
    EXPECT_EQ(done.report.written, 1);
    EXPECT_GT(done.error_cut, 1e-2);
    EXPECT_LT(done.error, 1e-5);
    EXPECT_LT(done.report.error_after, 1e-9);
  }
}

TEST(Reconstruct, LeavesLessErrorWhereNotAllCanBeSaid) {
  const Done done = reconstructed(redundant(kConvs), {0, 1, 4, 5, 6}, samples({400, 2, 6, 5}));
  EXPECT_EQ(done.report.written, 1);
  EXPECT_LT(done.report.error_after, done.report.error_before);
  EXPECT_LT(done.error, done.error_cut);
}

TEST(Reconstruct, IsTheSameAgain) {
  const Graph graph = redundant(kConvs);
  const Dataset data = samples({300, 2, 6, 5});
  EXPECT_TRUE(same_graph(reconstructed(graph, {0, 4, 5}, data).graph, reconstructed(graph, {0, 4, 5}, data).graph));
}

TEST(Reconstruct, SaysWhatItSkips) {
  const Graph shared = redundant(R"(graph g (x: float[1,6]) -> (y) opset 13 {
    w: float[8,6] = zeros
    v: float[3,8] = zeros
    h = Gemm(x, w) {transB = 1}
    p = Relu(h)
    q = Sigmoid(h)
    a = Gemm(p, v) {transB = 1}
    b = Gemm(q, v) {transB = 1}
    y = Add(a, b)
  })");
  const Done done = reconstructed(shared, {4, 5, 6, 7}, samples({200, 6}));
  EXPECT_EQ(done.report.written, 0);
  EXPECT_EQ(done.report.skipped.at("the weight is shared"), 2);
  EXPECT_EQ(done.error, done.error_cut);
  const Done few = reconstructed(redundant(kConvs), {4, 5, 6, 7}, samples({1, 2, 6, 5}));
  EXPECT_EQ(few.report.written + few.report.skipped.count("nothing is gained"), 1u);
}

TEST(Reconstruct, NothingCutIsNothingDone) {
  const Done done = reconstructed(redundant(kConvs), {}, samples({20, 2, 6, 5}));
  EXPECT_EQ(done.report.sinks, 0);
}

TEST(LeastSquares, FindsWeightsAndInterceptByEitherForm) {
  for (const int64_t rows : {200, 40}) {  // 60 inputs: more rows than inputs, and fewer
    SCOPED_TRACE(rows);
    Regression p{rows, 60, 2, {}, {}, true};
    const Random random(3, RandomUse::test, 4);
    uint64_t at = 0;
    for (int64_t i = 0; i < rows; ++i) {
      const double u = static_cast<double>(random.normal(at++)), v = static_cast<double>(random.normal(at++));
      for (int64_t k = 0; k < 60; ++k) p.x.push_back(k % 2 ? u + 3 : v - 1);  // two directions, so that few rows say all
      p.r.push_back(2 * u - v + 5), p.r.push_back(v);
    }
    const auto fit = least_squares(p);
    ASSERT_TRUE(fit);
    EXPECT_LT(fit->after, 1e-8 * fit->before);
    double first = fit->intercept.at(0);
    for (size_t k = 0; k < 60; ++k) first += fit->weights.at(2 * k) * (k % 2 ? 1 + 3 : 0 - 1);  // u = 1, v = 0
    EXPECT_NEAR(first, 7, 1e-3);
  }
}

TEST(LeastSquares, LeavesNoiseAlone) {
  Regression p{50, 20, 1, {}, {}, false};
  const Random random(3, RandomUse::test, 5);
  for (uint64_t i = 0; i < 1000; ++i) p.x.push_back(static_cast<double>(random.normal(i)));
  for (uint64_t i = 0; i < 50; ++i) p.r.push_back(i < 40 ? static_cast<double>(random.normal(2000 + i)) : 0.0);  // held out: nothing to explain
  EXPECT_FALSE(least_squares(p));
  EXPECT_FALSE(least_squares({5, 1, 1, {1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}, false}));
}

constexpr const char* kClassifier = R"(graph g (x: float[1,6]) -> (y: float[1,3]) opset 13 {
  w: float[8,6] = zeros
  v: float[3,8] = zeros
  h = Gemm(x, w) {transB = 1}
  r = Relu(h)
  y = Gemm(r, v) {transB = 1}
})";

TEST(Prune, WithDataChoosesItsWayAndReconstructs) {
  Model model;
  model.graph = redundant(kClassifier);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 300; ++i) labels.push_back(i % 3);
  const Dataset labelled = make_dataset("noise", {{"x", noise({300, 6}, 1)}}, Tensor::of<int64_t>({300}, labels));
  const Dataset plain = samples({300, 6});
  for (const Dataset* data : {&labelled, &plain}) {
    Resources resources;
    resources.train = data;
    Model with = model, without = model;
    const PassReport report = Pipeline::parse("prune{flops=0.5}").run(with, resources).at(0);
    EXPECT_EQ(report.verification.state, Verification::State::passed);
    EXPECT_EQ(report.counters.at("weights-reconstructed"), 1);
    EXPECT_LT(report.figures.at("reconstruction-error"), report.figures.at("reconstruction-error-before"));
    ASSERT_FALSE(report.notes.empty());
    EXPECT_NE(report.notes.at(1).find(data->labelled() ? "criterion=taylor" : "criterion=l2"), std::string::npos) << report.notes.at(1);
    const PassReport left = Pipeline::parse("prune{flops=0.5 reconstruct=false}").run(without, resources).at(0);
    EXPECT_EQ(left.counters.at("weights-reconstructed"), 0);
    EXPECT_EQ(left.figures.at("macs"), report.figures.at("macs"));
  }
}

/// A classifier with 16 hidden units, of which `busy` have weights.
Model with_busy_units(int64_t busy) {
  Model model;
  model.graph = parse_graph(R"(graph g (x: float[1,24]) -> (y: float[1,16]) opset 13 {
    w: float[16,24] = zeros
    v: float[16,16] = zeros
    h = Gemm(x, w) {transB = 1}
    r = Relu(h)
    y = Gemm(r, v)
  })");
  for (const char* name : {"w", "v"}) {
    const ValueId weight = model.graph.find_value(name);
    Tensor values = noise(model.graph.initializer(weight)->dims(), 5);
    const auto rows = values.mutable_data<float>();
    std::fill(rows.begin() + busy * static_cast<int64_t>(rows.size()) / 16, rows.end(), 0.0f);
    model.graph.set_initializer(weight, values);
  }
  return model;
}

TEST(Prune, TakesFinerStepsWhereTheySaveMuch) {
  const Dataset data = samples({300, 24});
  Resources resources;
  resources.train = &data;
  Model fine = with_busy_units(12), coarse = with_busy_units(8);
  const PassReport twelve = Pipeline::parse("prune{flops=0.8}").run(fine, resources).at(0);
  EXPECT_EQ(twelve.counters.at("units-removed"), 4);
  EXPECT_NE(twelve.notes.at(1).find("data: {criterion=l2 scope=global align=4}"), std::string::npos) << twelve.notes.at(1);
  // Steps of 8 cost nothing here, and are left alone where they are asked for.
  EXPECT_EQ(Pipeline::parse("prune{flops=0.8}").run(coarse, resources).at(0).counters.at("units-removed"), 8);
  Model asked = with_busy_units(12);
  EXPECT_EQ(Pipeline::parse("prune{flops=0.8 align=8}").run(asked, resources).at(0).counters.at("units-removed"), 8);
}

}  // namespace
}  // namespace espalier
