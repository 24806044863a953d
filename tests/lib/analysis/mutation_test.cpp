#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/onnx_io/load.h"
#include "lib/ops/op.h"
#include "lib/ops/unit_rules.h"
#include "lib/tensor/take.h"
#include "tests/lib/analysis/unit_models.h"
#include "tests/support/environment.h"

// One unit rule broken at a time, as UNIT_IDS.md lists them under "Mutations": the certificate must see it, or before it one
// of the surgeon's own checks.

namespace espalier {
namespace {

/// A fault: a rule of one op replaced, or what the rules made spoiled.
struct Mutation {
  std::string op = "";
  void (*units)(UnitContext&) = nullptr;
  void (*cut)(CutContext&) = nullptr;
  void (*spoil_table)(UnitTable&) = nullptr;
  void (*spoil_cut)(Graph&) = nullptr;
};

UnitRules rules_of(const Mutation& mutation) {
  if (mutation.op.empty()) return {};
  auto op = std::make_shared<Op>(*find_op("", mutation.op));
  if (mutation.units) op->units = mutation.units;
  if (mutation.cut) op->cut = mutation.cut;
  return [op](const Node& node) { return node.domain.empty() && node.op_type == op->name ? op.get() : find_op(node); };
}

/// "certificate", the message of the surgeon's check that failed, or "nobody".
std::string noticed_by(const Graph& graph, const Mutation& mutation) {
  try {
    const UnitRules rules = rules_of(mutation);
    UnitTable table = assign_units(graph, {}, {}, rules);
    Chosen chosen = choose_units(table, {keep_share(0.5), {}, 1, rules});
    if (mutation.spoil_table) mutation.spoil_table(table);
    if (mutation.spoil_cut) mutation.spoil_cut(chosen.cut.graph);
    const Certificate found = certify(table, chosen.keep, chosen.cut, random_feeds(table, 1));
    if (found.vacuous) return "nobody: it is vacuous";
    return found.error > 1e-4 ? "certificate" : "nobody";
  } catch (const Error& e) {
    return std::string("surgeon: ") + e.what();
  }
}

Graph synthetic(const std::string& name) {
  for (testing::UnitModel& model : testing::unit_models()) {
    if (model.name == name) return std::move(model.graph);
  }
  throw std::runtime_error("no model " + name);
}

bool no_zoo() { return !exists(testing::shared_path("zoo")); }
Graph zoo(const std::string& name) { return load_model(testing::shared_path("zoo/" + name + ".onnx")).graph; }

Tensor taken(const Tensor& tensor, int64_t axis, bool reversed, int64_t count) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  if (reversed) std::reverse(order.begin(), order.end());
  return take(tensor, axis, order);
}

TEST(Mutation, NothingBrokenNothingNoticed) {
  EXPECT_EQ(noticed_by(synthetic("fused_qkv"), {}), "nobody");
  EXPECT_EQ(noticed_by(synthetic("gate"), {}), "nobody");
  // Rules that are replaced by themselves.
  EXPECT_EQ(noticed_by(synthetic("gate"), {.op = "Softmax", .units = units::softmax, .cut = cuts::counting}), "nobody");
}

TEST(Mutation, ReduceMeanAsIfElementwise) {
  const auto units = [](UnitContext& c) {
    std::vector<Bundle> rest = c.bundles(c.input(0));
    std::erase_if(rest, [](const Bundle& b) { return b.ragged == 2; });
    c.set(c.output(), std::move(rest));
  };
  EXPECT_EQ(noticed_by(synthetic("fused_qkv"), {.op = "ReduceMean", .units = units}), "certificate");
}

TEST(Mutation, SoftmaxOverChannelsAsIfElementwise) {
  EXPECT_EQ(noticed_by(synthetic("gate"), {.op = "Softmax", .units = units::same, .cut = cuts::same}), "certificate");
}

// The ids of the right operand are lost on the way in.
TEST(Mutation, QAndKNotJoined) {
  const auto units = [](UnitContext& c) {
    const ValueId right = c.input(1);
    if (!c.active(c.input(0)) || !c.active(right)) return units::matmul(c);
    const std::vector<Bundle> ids = c.bundles(right);
    std::vector<Bundle> strangers = ids;
    for (Bundle& b : strangers) b.ids = c.born(b.ids.dims());
    c.set(right, strangers);
    units::matmul(c);
    c.set(right, ids);
  };
  EXPECT_EQ(noticed_by(synthetic("fused_qkv"), {.op = "MatMul", .units = units}).substr(0, 8), "surgeon:");
}

TEST(Mutation, LayerNormalizationAsIfElementwise) {
  if (no_zoo()) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const auto cut = [](CutContext& c) {
    const std::vector<Bundle> left = c.kept(c.input(0));
    for (size_t i = 1; i < c.input_count() && !left.empty(); ++i) {
      const ValueId v = c.input(i);
      c.set_input(i, c.cut_constant(v, c.follow(c.tensor(v), left, c.rank(c.output()) - c.rank(v))));
    }
    c.record(c.output(), left);
  };
  const Graph graph = zoo("deeploy__CCT_2_32_32_128_Opset20");
  EXPECT_EQ(noticed_by(graph, {.op = "LayerNormalization", .units = units::same, .cut = cut}), "certificate");
}

TEST(Mutation, AddDoesNotJoin) {
  if (no_zoo()) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const auto units = [](UnitContext& c) { c.set(c.output(), c.bundles(c.active(c.input(0)) ? c.input(0) : c.input(1))); };
  EXPECT_EQ(noticed_by(zoo("vnncomp2021__cifar10_resnet__resnet_2b"), {.op = "Add", .units = units}).substr(0, 8), "surgeon:");
}

TEST(Mutation, TransposeWithTheInversePermutation) {
  if (no_zoo()) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const auto units = [](UnitContext& c) {
    const auto perm = c.node().get<std::vector<int64_t>>("perm", {});
    std::vector<Bundle> moved;
    for (const Bundle& b : c.bundles(c.input(0))) {
      moved.push_back(b.moved([&](int axis) { return static_cast<int>(perm.at(static_cast<size_t>(axis))); }));
    }
    c.set(c.output(), std::move(moved));
  };
  EXPECT_EQ(noticed_by(zoo("vnncomp2021__marabou-cifar10__cifar10_large"), {.op = "Transpose", .units = units}).substr(0, 8), "surgeon:");
}

TEST(Mutation, GemmForgetsItsSink) {
  if (no_zoo()) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const auto spoil = [](UnitTable& table) {
    std::erase_if(table.sinks, [&](const Sink& sink) { return table.graph->node(sink.node).op_type == "Gemm"; });
  };
  EXPECT_EQ(noticed_by(zoo("alexis__mnist"), {.spoil_table = spoil}), "certificate");
}

TEST(Mutation, ColumnsOfWeightsInReversedOrder) {
  if (no_zoo()) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const auto spoil = [](Graph& graph) {
    for (const NodeId id : graph.nodes()) {
      if (graph.node(id).op_type != "Gemm") continue;
      const ValueId w = graph.node(id).inputs[1];
      const int64_t axis = graph.node(id).get<int64_t>("transB", 0) != 0 ? 1 : 0;
      const Tensor whole = *graph.constant(w);
      graph.set_initializer(w, taken(whole, axis, true, whole.dims()[static_cast<size_t>(axis)]));
    }
  };
  EXPECT_EQ(noticed_by(zoo("alexis__mnist"), {.spoil_cut = spoil}), "certificate");
}

TEST(Mutation, BatchNormalizationTakesTheFirstParameters) {
  if (no_zoo()) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  const auto cut = [](CutContext& c) {
    const auto left = static_cast<int64_t>(c.order(c.input(0), 1).size());
    for (size_t i = 1; i < c.input_count(); ++i) c.set_input(i, c.cut_constant(c.input(i), taken(c.tensor(c.input(i)), 0, false, left)));
    c.record(c.output(), c.kept(c.input(0)));
  };
  EXPECT_EQ(noticed_by(zoo("whitematter__mnist_cnn"), {.op = "BatchNormalization", .cut = cut}), "certificate");
}

}  // namespace
}  // namespace espalier
