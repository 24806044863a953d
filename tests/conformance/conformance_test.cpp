// ONNX's own cases by way of the reference runner, and by way of plans. Every case whose graph uses only operators of ours must pass, but for
// those that a list names with the reason: tests/conformance/denied_opset<newest opset of the data>.txt.

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <set>

#include "lib/analysis/reference.h"
#include "lib/base/error.h"
#include "lib/onnx_io/load.h"
#include "lib/ops/op.h"
#include "lib/runtime/plan.h"
#include "tests/conformance/cases.h"
#include "tests/support/environment.h"

namespace espalier::testing {
namespace {

/// The operators that the first release promises in full.
const std::set<std::string> kRequired = {
    "Add",       "AveragePool", "BatchNormalization", "Cast",      "Clip",       "Concat",     "Constant", "ConstantOfShape",
    "Conv",      "Div",         "Dropout",            "Exp",       "Flatten",    "Gather",     "Gemm",     "GlobalAveragePool",
    "HardSigmoid", "HardSwish", "Identity",           "LeakyRelu", "Log",        "LogSoftmax", "MatMul",   "MaxPool",
    "Mul",       "Neg",         "Pad",                "Pow",       "ReduceMean", "ReduceSum",  "Relu",     "Reshape",
    "Shape",     "Sigmoid",     "Slice",              "Softmax",   "Split",      "Sqrt",       "Squeeze",  "Sub",
    "Sum",       "Tanh",        "Transpose",          "Unsqueeze"};

constexpr size_t kMostDenied = 10;

struct Tally {
  int cases = 0, ours = 0, required = 0, passed = 0, denied = 0, failed = 0, required_passed = 0;
};

bool all_ours(const Graph& graph) {
  const auto nodes = graph.nodes();
  return std::all_of(nodes.begin(), nodes.end(), [&](NodeId id) { return find_op(graph.node(id)) != nullptr; });
}

bool all_required(const Graph& graph) {
  const auto nodes = graph.nodes();
  return std::all_of(nodes.begin(), nodes.end(), [&](NodeId id) {
    return graph.node(id).domain.empty() && kRequired.contains(graph.node(id).op_type);
  });
}

std::ostream& operator<<(std::ostream& out, const Tally& t) {
  return out << t.passed << " of " << t.ours << " cases of our operators pass (" << t.denied << " denied, " << t.failed
             << " fail), " << t.cases << " cases in all; of the required operators " << t.required_passed << " of "
             << t.required;
}

class Conformance {
 public:
  Conformance(std::vector<Case> cases, Runner runner) : cases_(std::move(cases)), runner_(std::move(runner)) {
    for (const Case& c : cases_) {
      models_.push_back(load_model(c.folder / "model.onnx"));
      newest_ = std::max(newest_, models_.back().graph.opset());
    }
    denied_ = read_denied(source_path("tests/conformance/denied_opset" + std::to_string(newest_) + ".txt"));
  }

  void run() {
    for (size_t i = 0; i < cases_.size(); ++i) run(cases_[i], models_[i]);
    for (const auto& [suite, tally] : by_suite_) std::cout << suite << ": " << tally << "\n";
    std::cout << "opset " << newest_ << " data: " << all_ << "\n";
  }

  int newest() const { return newest_; }
  const Tally& all() const { return all_; }
  size_t denied() const { return denied_.size(); }

 private:
  void run(const Case& c, const Model& model) {
    const bool ours = all_ours(model.graph), required = all_required(model.graph);
    const std::string problem = ours ? run_case(c, model, runner_) : "uses operators that are not ours";
    const bool denied = ours && !problem.empty() && denied_.contains(c.name);
    const bool failed = ours && !problem.empty() && !denied;
    if (denied) std::cout << c.suite << "/" << c.name << " is denied: " << denied_.at(c.name) << " (" << problem << ")\n";
    EXPECT_FALSE(failed) << c.suite << "/" << c.name << ": " << problem;
    EXPECT_FALSE(problem.empty() && denied_.contains(c.name)) << c.name << " passes: take it off the list of denied cases";
    for (Tally* t : {&by_suite_[c.suite], &all_}) {
      t->cases += 1;
      t->ours += ours;
      t->required += required;
      t->passed += problem.empty();
      t->required_passed += required && problem.empty();
      t->denied += denied;
      t->failed += failed;
    }
  }

  std::vector<Case> cases_;
  std::vector<Model> models_;
  Runner runner_;
  int newest_ = 0;
  std::map<std::string, std::string> denied_;
  std::map<std::string, Tally> by_suite_;
  Tally all_;
};

TEST(Conformance, ReferenceAgreesWithOnnxOnEveryCaseOfOurOperators) {
  if (onnx_testdata().empty()) GTEST_SKIP() << "libonnx-testdata is not installed";
  const auto reference = [](const Model& model, const std::map<std::string, Tensor>& feeds) {
    return run_reference(model.graph, feeds);
  };
  Conformance conformance(find_cases(onnx_testdata()), reference);
  conformance.run();
  EXPECT_LE(conformance.denied(), kMostDenied);
  if (conformance.newest() == 17) {  // ONNX 1.12
    EXPECT_EQ(conformance.all().cases, 1072);
    EXPECT_EQ(conformance.all().required, 369);
  }
}

/// Runs a case as a plan. Inputs that decide sizes (shapes, axes, repeats) are constants of the plan: with feeds of any
/// other type than float as initialisers where the plan asks for known sizes.
class PlanRunner {
 public:
  int plans = 0, by_reference = 0;

  std::map<std::string, Tensor> run(const Model& model, const std::map<std::string, Tensor>& feeds) {
    try {
      return run_plan(model.graph, feeds);
    } catch (const Error&) {
      Graph graph = model.graph;
      std::map<std::string, Tensor> left;
      for (const auto& [name, tensor] : feeds) {
        const ValueId v = graph.find_value(name);
        if (v == kNone || tensor.type() == DataType::float32) left[name] = tensor;
        else graph.set_initializer(v, tensor);
      }
      try {
        return run_plan(graph, left);
      } catch (const Error&) {
        ++by_reference;
        return run_reference(model.graph, feeds);
      }
    }
  }

 private:
  std::map<std::string, Tensor> run_plan(const Graph& graph, const std::map<std::string, Tensor>& feeds) {
    ParameterStore store;
    CompileOptions options;
    options.frozen = true;
    for (const auto& [name, tensor] : feeds) options.input_shapes[name] = tensor.dims();
    Plan plan(graph, store, options);
    for (const auto& [name, tensor] : feeds) plan.feed(name, tensor);
    plan.run();
    std::map<std::string, Tensor> outputs;
    for (const ValueId v : graph.outputs) outputs[graph.value(v).name] = plan.output_tensor(graph.value(v).name);
    ++plans;
    return outputs;
  }
};

TEST(Conformance, PlansAgreeWithOnnxOnEveryCaseOfOurOperators) {
  if (onnx_testdata().empty()) GTEST_SKIP() << "libonnx-testdata is not installed";
  PlanRunner runner;
  Conformance conformance(find_cases(onnx_testdata()), [&](const Model& model, const std::map<std::string, Tensor>& feeds) {
    return runner.run(model, feeds);
  });
  conformance.run();
  std::cout << runner.plans << " runs of plans, " << runner.by_reference
            << " runs that are no plan (strings, or sizes that depend on data)\n";
}

}  // namespace
}  // namespace espalier::testing
