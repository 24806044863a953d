#include "passes/prune/prune.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lib/analysis/surgeon.h"
#include "lib/base/file.h"
#include "lib/graph/text.h"
#include "passes/pipeline.h"
#include "passes/prune/plan.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

constexpr const char* kNet = R"(graph g (x: float[1,3]) -> (y: float[1,2]) opset 13 {
  w: float[3,4] = {1, 20, 3, 40, 1, 20, 3, 40, 1, 20, 3, 40}
  v: float[4,2] = {1, 1, 20, 20, 3, 3, 40, 40}
  "first": h = MatMul(x, w)
  "relu": r = Relu(h)
  "last": y = MatMul(r, v)
})";

Model net() {
  Model model;
  model.graph = parse_graph(kNet);
  return model;
}

PassReport run(Model& model, const std::string& text) { return Pipeline::parse(text).run(model, Resources{}).at(0); }

Tensor constant(const Model& model, const char* name) { return *model.graph.initializer(model.graph.find_value(name)); }

TEST(Prune, TakesTheUnitsOfLeastWorthAndShowsItsCertificate) {
  Model model = net();
  const PassReport report = run(model, "prune{flops=0.5}");
  EXPECT_EQ(constant(model, "w"), parse_tensor("float[3,2] {20, 40, 20, 40, 20, 40}"));
  EXPECT_EQ(constant(model, "v"), parse_tensor("float[2,2] {20, 20, 40, 40}"));
  EXPECT_EQ(report.verification.state, Verification::State::passed);
  EXPECT_EQ(report.counters.at("units-removed"), 2);
  EXPECT_EQ(report.figures.at("macs"), 10);
  EXPECT_EQ(report.figures.at("macs-before"), 20);
}

TEST(Prune, KeepsWhatItIsAskedToKeep) {
  Model model = net();
  EXPECT_EQ(run(model, "prune{flops=0.5 keep=first}").missed->message, "at most 0 % can go, 50 % were asked for");
  EXPECT_EQ(constant(model, "w").dims(), (Dims{3, 4}));
  Model other = net();
  EXPECT_THROW(run(other, "prune{flops=0.5 keep=nothing}"), Error);
}

TEST(Prune, RefusesToOrderUnitsWhoseWeightsAreNotFinite) {
  Model model = net();
  Tensor w = constant(model, "w");
  w.mutable_data<float>()[2] = NAN;
  model.graph.set_initializer(model.graph.find_value("w"), w);
  try {
    run(model, "prune{flops=0.5 criterion=l1}");
    FAIL() << "pruned";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::bad_data);
    EXPECT_NE(std::string(error.what()).find("node 'first' (MatMul): weight 'w' is not finite"), std::string::npos) << error.what();
  }
}

TEST(Prune, WritesAPlanThatGivesTheSameModelAgain) {
  testing::TemporaryFolder folder;
  const std::string file = (folder / "plan.json").string();
  Model first = net(), second = net();
  run(first, "prune{ratio=0.25 plan-out=\"" + file + "\"}");
  run(second, "prune{plan=\"" + file + "\"}");
  EXPECT_TRUE(same_graph(first.graph, second.graph));
  EXPECT_EQ(constant(first, "w").dims(), (Dims{3, 3}));
}

TEST(Prune, AppliesAPlanWrittenByHand) {
  testing::TemporaryFolder folder;
  const std::string file = (folder / "plan.json").string();
  Model model = net();
  write_file(file, R"({"format": "espalier prune plan 1", "model": ")" + structure_hash(model.graph) + R"(",
    "groups": [{"name": "hidden", "layers": [{"node": "first", "channels": 4, "units": [0, 1, 2, 3], "kept": [0, 3]}]}]})");
  run(model, "prune{plan=\"" + file + "\"}");
  EXPECT_EQ(constant(model, "w"), parse_tensor("float[3,2] {1, 40, 1, 40, 1, 40}"));
}

TEST(Prune, TheScopeSaysWhoCompetes) {
  const std::string text = R"(graph g (x: float[1,2]) -> (y) opset 13 {
    w: float[2,4] = {100, 101, 102, 103, 100, 101, 102, 103}
    v: float[4,4] = {1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4}
    u: float[4,1] = {1, 1, 1, 1}
    h = MatMul(x, w)
    k = MatMul(h, v)
    y = MatMul(k, u)
  })";
  const auto left = [&](const std::string& scope) {
    Model model;
    model.graph = parse_graph(text);
    run(model, "prune{params=0.7 criterion=l1 align=1 reconstruct=false scope=" + scope + "}");
    return std::pair(constant(model, "w").dims()[1], constant(model, "u").dims()[0]);
  };
  EXPECT_EQ(left("layer"), std::pair(int64_t{3}, int64_t{3}));
  EXPECT_EQ(left("mixed"), std::pair(int64_t{4}, int64_t{2})) << "all of the first layer is worth more than any of the second";
}

TEST(Prune, NeedsExactlyOneBudgetAndAKnownCriterion) {
  for (const char* text : {"prune", "prune{flops=0.5 params=0.5}", "prune{flops=0.5 criterion=taylor}", "prune{flops=0.5 align=x}"}) {
    SCOPED_TRACE(text);
    Model model = net();
    EXPECT_THROW(run(model, text), Error);
  }
}

TEST(Prune, TakesAllThatCanGoWhereATargetCannotBeReached) {
  Model model = net();
  const PassReport report = run(model, "prune{flops=0.01}");
  ASSERT_TRUE(report.missed);
  EXPECT_EQ(report.missed->message, "at most 75 % can go, 99 % were asked for");
  EXPECT_EQ(constant(model, "w"), parse_tensor("float[3,1] {40, 40, 40}"));
  EXPECT_EQ(report.verification.state, Verification::State::passed);
  try {
    throw_if_missed({&report, 1});
    FAIL() << "a missed target is an error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::target);
  }
}

// Before IR 4 every initialiser is a graph input, too.
TEST(Prune, KeepsTheIrVersion) {
  Model model = net();
  model.ir_version = 3;
  run(model, "prune{flops=0.5}");
  EXPECT_EQ(model.ir_version, 3);
  for (const auto& [v, initializer] : model.graph.initializers()) {
    EXPECT_TRUE(model.graph.is_input(v)) << model.graph.value(v).name;
    EXPECT_EQ(*model.graph.value(v).type.known_dims(), initializer.tensor.dims());
  }
}

TEST(Prune, MissesNothingWhereTheBudgetIsMet) {
  Model model = net();
  const PassReport report = run(model, "prune{flops=0.5}");
  EXPECT_FALSE(report.missed);
  EXPECT_NO_THROW(throw_if_missed({&report, 1}));
}

TEST(Prune, FindsTheUnitsOfIfsWhoseConditionIsKnown) {
  Model model;
  model.graph = parse_graph(R"(graph g (x: float[b,3], c: bool[]) -> (y: float[b,2]) opset 13 {
    w: float[3,4] = fill(1)
    y = If(c) {then_branch = graph () -> (t) {
                 one: int64[1] = {1}
                 three: int64[1] = {3}
                 p: float[3,8] = fill(2)
                 q: float[8,2] = fill(3)
                 s = Shape(x)
                 columns = Gather(s, one) {axis = 0}
                 known = Equal(columns, three)
                 h = MatMul(x, p)
                 r = If(known) {then_branch = graph () -> (a) { a = Relu(h) }, else_branch = graph () -> (e) { e = Flatten(h) {axis = 2} }}
                 t = MatMul(r, q) },
               else_branch = graph () -> (e) { v: float[4,2] = fill(4)  h2 = MatMul(x, w)  e = MatMul(h2, v) }}
  })");
  const PassReport report = run(model, "prune{ratio=0.5}");
  EXPECT_EQ(report.counters.at("inlined"), 1);
  EXPECT_EQ(report.counters.at("units-removed"), 6);
  EXPECT_NE(report.verification.detail.find("certificate"), std::string::npos);
}

TEST(PrunePlan, RefusesFaultsClearly) {
  const Graph graph = parse_graph(kNet);
  const UnitTable table = assign_units(graph);
  EXPECT_THROW(parse_plan("{"), Error);
  EXPECT_THROW(parse_plan("{}"), Error);
  EXPECT_THROW(parse_plan(R"({"format": "espalier prune plan 1", "model": 3, "groups": []})"), Error);
  PrunePlan plan = make_plan(table, std::vector<bool>(static_cast<size_t>(table.units.size()), true), {}, "test");
  EXPECT_EQ(print_plan(parse_plan(print_plan(plan))), print_plan(plan));
  PrunePlan other = plan;
  other.model = "0";
  EXPECT_THROW(apply_plan(table, other), Error);
  other = plan;
  other.groups.at(0).layers.at(0).kept = {17};
  EXPECT_THROW(apply_plan(table, other), Error);
  other = plan;
  other.groups.at(0).layers.at(0).node = "nobody";
  EXPECT_THROW(apply_plan(table, other), Error);
}

TEST(Rebatch, IsAPassOfThePipeline) {
  Model model = net();
  run(model, "rebatch{n=8}");
  EXPECT_EQ(model.graph.value(model.graph.inputs[0]).type.str(), "float[8,3]");
  Model other = net();
  EXPECT_THROW(run(other, "rebatch"), Error);
}

}  // namespace
}  // namespace espalier
