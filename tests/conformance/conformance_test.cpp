// ONNX's own cases, each by the reference runner, as a plan and by a session. A case passes if all agree with its outputs.
// What does not pass stands by name and reason in tests/conformance/denied*.txt; these lists may only shrink: a denied case
// that passes fails the test. `name@22` is denied only in data whose newest opset is 22.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>

#include "lib/analysis/reference.h"
#include "lib/base/error.h"
#include "lib/onnx_io/load.h"
#include "lib/ops/op.h"
#include "lib/runtime/plan.h"
#include "lib/runtime/session.h"
#include "tests/conformance/cases.h"
#include "tests/support/environment.h"

namespace espalier::testing {
namespace {

/// Cases of Debian 12's libonnx-testdata (ONNX 1.12), and how many of them pass at least.
constexpr int kCasesOf112 = 1072, kLeastOf112 = 1047;
/// Share of the node cases of Python's onnx 1.22 that passes at least.
constexpr double kLeastShareOf122 = 0.92;

struct Tally {
  int cases = 0, passed = 0, denied = 0, foreign = 0, failed = 0;
};

std::ostream& operator<<(std::ostream& out, const Tally& t) {
  return out << t.passed << " of " << t.cases << " (" << t.denied << " denied, " << t.failed << " fail; " << t.foreign
             << " use an operator that is not ours)";
}

/// The first operator of a graph that is not ours, or an empty string.
std::string foreign_operator(const Graph& graph) {
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (!find_op(node)) return (node.domain.empty() ? "" : node.domain + ".") + node.op_type + "-" + std::to_string(node.version);
  }
  return "";
}

/// Runs a case as a plan. Inputs that decide sizes are constants of the plan where it asks for known sizes: feeds of any
/// other type than float (shapes, axes, repeats), or all but the first (scales).
class PlanRunner {
 public:
  int plans = 0, no_plan = 0;

  Values run(const Model& model, const Values& feeds) {
    using Fixed = bool (*)(const Tensor& fed, bool is_first);
    const Fixed none = [](const Tensor&, bool) { return false; };
    const Fixed no_floats = [](const Tensor& fed, bool) { return fed.type() != DataType::float32; };
    const Fixed all_but_first = [](const Tensor&, bool is_first) { return !is_first; };
    for (const Fixed fixed : {none, no_floats, all_but_first}) {
      Graph graph = model.graph;
      Values left;
      for (const auto& [name, value] : feeds) {
        const ValueId v = graph.find_value(name);
        if (v == kNone || !value.is_tensor() || !fixed(value.tensor(), v == model.graph.inputs[0])) left[name] = value;
        else graph.set_initializer(v, value.tensor());
      }
      try {
        return run_plan(graph, left);
      } catch (const Error&) {
      }
    }
    ++no_plan;
    return run_session(model, feeds);
  }

  static Values run_session(const Model& model, const Values& feeds) {
    ParameterStore store;
    CompileOptions options;
    options.frozen = true;
    return Session(model.graph, store, options).run(feeds);
  }

 private:
  Values run_plan(const Graph& graph, const Values& feeds) {
    ParameterStore store;
    CompileOptions options;
    options.frozen = true;
    for (const auto& [name, value] : feeds) {
      if (!value.is_tensor()) throw Error(ErrorKind::bad_data, "a plan is fed tensors");
      options.input_shapes[name] = value.tensor().dims();
    }
    Plan plan(graph, store, options);
    if (!plan.is_static()) throw Error(ErrorKind::bad_data, "sizes depend on data");
    for (const auto& [name, value] : feeds) plan.feed(name, value.tensor());
    plan.run();
    Values outputs;
    for (const ValueId v : graph.outputs) outputs[graph.value(v).name] = plan.output_tensor(graph.value(v).name);
    ++plans;
    return outputs;
  }
};

Values by_reference(const Model& model, const Values& feeds) { return run_reference_values(model.graph, feeds); }

/// All cases of one release of ONNX.
class Conformance {
 public:
  Conformance(std::vector<Case> cases, const std::string& denied)
      : cases_(std::move(cases)), denied_(read_denied(source_path("tests/conformance/" + denied))) {}

  void run() {
    for (const Case& c : cases_) newest_ = std::max(newest_, opset_of(c));
    for (const Case& c : cases_) run(c);
    for (const auto& [suite, tally] : by_suite_) std::cout << "  " << suite << ": " << tally << "\n";
    for (const auto& [op, count] : foreign_) std::cout << "  not ours: " << op << " (" << count << " cases)\n";
    std::cout << "  " << plans_.plans << " runs of plans, " << plans_.no_plan
              << " runs that are no plan (strings, sequences, or sizes that depend on data)\n";
  }

  const Tally& all() const { return all_; }
  int newest() const { return newest_; }
  /// Cases of operators that are not ours and that the list does not name.
  const std::vector<std::string>& unlisted() const { return unlisted_; }

 private:
  /// 0 for a model that cannot be read.
  static int opset_of(const Case& c) {
    try {
      return load_model(c.folder / "model.onnx").graph.opset();
    } catch (const std::exception&) {
      return 0;
    }
  }

  /// What went wrong, by either way; empty if nothing.
  std::string problem_of(const Case& c, const Model& model) {
    const std::string plain = run_case(c, model, by_reference);
    if (!plain.empty()) return "evaluate: " + plain;
    const std::string fast = run_case(c, model, [&](const Model& m, const Values& f) { return plans_.run(m, f); });
    if (!fast.empty()) return "plan: " + fast;
    const std::string staged = run_case(c, model, PlanRunner::run_session);
    return staged.empty() ? "" : "session: " + staged;
  }

  void run(const Case& c) {
    std::string problem, foreign;
    try {
      const Model model = load_model(c.folder / "model.onnx");
      foreign = foreign_operator(model.graph);
      problem = foreign.empty() ? problem_of(c, model) : "operator " + foreign + " is not ours";
    } catch (const std::exception& e) {
      problem = e.what();
    }
    auto listed = denied_.find(c.name);
    if (listed == denied_.end()) listed = denied_.find(c.name + "@" + std::to_string(newest_));
    const bool is_denied = listed != denied_.end();
    const bool failed = !problem.empty() && !is_denied && foreign.empty();
    if (!problem.empty() && !is_denied && !foreign.empty()) unlisted_.push_back(c.name);
    EXPECT_FALSE(failed) << c.suite << "/" << c.name << ": " << problem;
    EXPECT_FALSE(problem.empty() && is_denied) << c.name << " passes: take it off the list of denied cases";
    if (!problem.empty() && !foreign.empty()) ++foreign_[foreign];
    for (Tally* t : {&by_suite_[c.suite], &all_}) {
      t->cases += 1;
      t->passed += problem.empty();
      t->denied += !problem.empty() && is_denied;
      t->foreign += !problem.empty() && !foreign.empty();
      t->failed += failed;
    }
  }

  std::vector<Case> cases_;
  std::map<std::string, std::string> denied_;
  PlanRunner plans_;
  int newest_ = 0;
  std::vector<std::string> unlisted_;
  std::map<std::string, int> foreign_;
  std::map<std::string, Tally> by_suite_;
  Tally all_;
};

TEST(Conformance, CasesOfLibonnxTestdata) {
  if (onnx_testdata().empty()) GTEST_SKIP() << "libonnx-testdata is not installed";
  Conformance conformance(find_cases(onnx_testdata()), "denied.txt");
  conformance.run();
  std::cout << "libonnx-testdata, opset " << conformance.newest() << ": " << conformance.all() << "\n";
  if (conformance.newest() != 17) return;
  EXPECT_THAT(conformance.unlisted(), ::testing::IsEmpty());
  EXPECT_EQ(conformance.all().cases, kCasesOf112);
  EXPECT_GE(conformance.all().passed, kLeastOf112);
}

/// Version and data folder of Python's onnx, or two empty strings.
std::array<std::string, 2> python_onnx() {
  const std::string python = python_with("onnx");
  if (python.empty()) return {};
  const std::string command = "'" + python + "' -c 'import onnx, os; print(onnx.__version__); "
                              "print(os.path.join(os.path.dirname(onnx.__file__), \"backend\", \"test\", \"data\"))'";
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return {};
  std::array<std::string, 2> lines;
  for (std::string& line : lines) {
    for (int letter = 0; (letter = std::fgetc(pipe)) != EOF && letter != '\n';) line += static_cast<char>(letter);
  }
  pclose(pipe);
  return lines;
}

TEST(Conformance, NodeCasesOfPythonsOnnx) {
  const auto [version, data] = python_onnx();
  if (!version.starts_with("1.22.")) {
    std::cout << "skipped: the node cases of onnx 1.22 need pip install onnx==1.22.0 ("
              << (version.empty() ? "no onnx" : "onnx " + version) << " found)\n";
    GTEST_SKIP();
  }
  std::vector<Case> cases = find_cases(data);
  std::erase_if(cases, [](const Case& c) { return c.suite != "node"; });
  Conformance conformance(std::move(cases), "denied_1_22.txt");
  conformance.run();
  const Tally& all = conformance.all();
  std::cout << "onnx " << version << ", node cases: " << all << ", " << 100.0 * all.passed / std::max(all.cases, 1) << " %\n";
  EXPECT_THAT(conformance.unlisted(), ::testing::IsEmpty());
  EXPECT_GE(all.passed, kLeastShareOf122 * all.cases);
}

}  // namespace
}  // namespace espalier::testing
