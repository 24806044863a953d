// What the other tests of gradients leave out: every operator that ONNX calls differentiable is looked for in their cases, with
// each input, output and attribute; and every case runs as a plan, too.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <sstream>

#include "lib/analysis/infer.h"
#include "lib/analysis/reference.h"
#include "lib/autodiff/differentiate.h"
#include "lib/autodiff/loss.h"
#include "lib/base/parallel.h"
#include "lib/graph/text.h"
#include "lib/ops/op.h"
#include "lib/runtime/plan.h"
#include "tests/lib/autodiff/gradient_check.h"
#include "tests/support/environment.h"

namespace espalier::testing {
namespace {

/// A line of tests/golden/differentiable.txt.
struct Schema {
  std::set<size_t> inputs, outputs;
  std::set<std::string> attributes;
};

std::set<size_t> numbers(const std::string& text) {
  std::set<size_t> result;
  std::istringstream in(text);
  for (std::string number; text != "-" && std::getline(in, number, ',');) result.insert(std::stoul(number));
  return result;
}

std::map<std::string, Schema> differentiable() {
  std::map<std::string, Schema> result;
  std::ifstream in(source_path("tests/golden/differentiable.txt"));
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name, inputs, outputs;
    words >> name >> inputs >> outputs;
    Schema& schema = result[name] = {.inputs = numbers(inputs), .outputs = numbers(outputs), .attributes = {}};
    for (std::string attribute; words >> attribute;) schema.attributes.insert(attribute);
  }
  return result;
}

/// What the cases ask of an operator.
struct Covered {
  int cases = 0;
  std::set<std::string> shapes;  ///< of all inputs of a node, by case
  std::set<size_t> inputs, outputs;
  std::set<std::string> attributes;
};

std::set<ValueId> dependent(const Graph& graph, std::set<ValueId> values) {
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    const auto reads = [&](ValueId v) { return values.contains(v); };
    bool any = std::any_of(node.inputs.begin(), node.inputs.end(), reads);
    for (const Attribute& attribute : node.attributes) any = any || std::holds_alternative<Body>(attribute.value);
    if (any) values.insert(node.outputs.begin(), node.outputs.end());
  }
  return values;
}

std::set<ValueId> needed(const Graph& graph, std::set<ValueId> values) {
  for (auto id = graph.nodes().rbegin(); id != graph.nodes().rend(); ++id) {
    const Node& node = graph.node(*id);
    if (std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) { return values.contains(v); })) {
      values.insert(node.inputs.begin(), node.inputs.end());
    }
  }
  return values;
}

void cover(const GradientCase& c, std::map<std::string, Covered>& operators) {
  const Graph graph = parse_graph(c.text);
  const FactTable facts = infer(graph);
  std::set<ValueId> wanted;
  for (const ValueId v : graph.inputs) {
    if (is_float(graph.value(v).type.elem_type) && !c.options.fixed.contains(graph.value(v).name)) wanted.insert(v);
  }
  const std::set<ValueId> moving = dependent(graph, wanted), read = needed(graph, {graph.outputs.at(0)});
  std::set<std::string> here;
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (!node.domain.empty()) continue;
    Covered& op = operators[node.op_type];
    std::string shapes;
    bool moves = false;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!node.has_input(i)) continue;
      const Type& type = facts.type(node.inputs[i]);
      shapes += type.str() + " ";
      if (!moving.contains(node.inputs[i]) || !is_float(type.elem_type)) continue;
      op.inputs.insert(i);
      moves = true;
    }
    for (const Attribute& attribute : node.attributes) moves = moves || std::holds_alternative<Body>(attribute.value);
    if (!moves) continue;
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (read.contains(node.outputs[i])) op.outputs.insert(i);
    }
    op.shapes.insert(shapes);
    if (here.insert(node.op_type).second) ++op.cases;
    for (const Attribute& attribute : node.attributes) op.attributes.insert(attribute.name);
  }
}

/// Operators that ONNX calls differentiable, and why they have no gradient here.
const std::map<std::string, std::string> kWithout = {
    {"CausalConvWithState", "newer than opset 23"}, {"LinearAttention", "newer than opset 23"}, {"TensorScatter", "newer than opset 23"}};
/// Operators whose gradient is no slope that differences would find.
const std::map<std::string, std::string> kStaircases = {
    {"QuantizeLinear", "straight through: quantized_gradient_test"}, {"DequantizeLinear", "straight through: quantized_gradient_test"}};
/// Attributes that say nothing about floats.
const std::set<std::string> kOfOtherTypes = {"Cast round_mode", "CastLike round_mode"};

std::string missing(const std::string& name, const Schema& schema, const Covered& c) {
  std::string faults;
  const auto fault = [&](const std::string& what) { faults += name + ": " + what + "\n"; };
  if (c.cases < 3) fault(std::to_string(c.cases) + " cases, expected 3");
  if (c.shapes.size() < 2) fault("one shape only");
  for (const size_t i : schema.inputs) {
    if (!c.inputs.contains(i)) fault("no case asks for the gradient of input " + std::to_string(i));
  }
  for (const size_t i : schema.outputs) {
    if (!c.outputs.contains(i)) fault("no case differentiates through output " + std::to_string(i));
  }
  for (const std::string& attribute : schema.attributes) {
    if (!c.attributes.contains(attribute) && !kOfOtherTypes.contains(name + " " + attribute)) fault("no case sets " + attribute);
  }
  return faults;
}

TEST(EveryGradient, HasCasesForEachInputOutputAndAttribute) {
  const auto schemas = differentiable();
  ASSERT_GT(schemas.size(), 100u);
  std::map<std::string, Covered> operators;
  const auto cases = gradient_cases();
  for (const GradientCase& c : cases) cover(c, operators);
  int with = 0;
  std::string faults;
  for (const auto& [name, schema] : schemas) {
    const Op* op = find_op("", name);
    const bool has = op && op->gradient;
    with += has;
    EXPECT_NE(has, kWithout.contains(name)) << name << " is differentiable by its schema";
    if (has) faults += missing(name, schema, operators[name]);
  }
  int all = 0;
  for (const Op* op : all_ops()) {
    if (!op->domain.empty() || !op->gradient) continue;
    ++all;
    const std::string name(op->name);
    if (!schemas.contains(name) && !kStaircases.contains(name)) faults += missing(name, {}, operators[name]);
  }
  EXPECT_EQ(faults, "");
  std::cout << all << " operators with a gradient, " << with << " of " << schemas.size() << " that ONNX calls differentiable; " << cases.size() << " cases\n";
}

/// By a plan in single precision, against the reference in double on the same numbers.
std::string differs_as_plan(const GradientCase& c) {
  GradientProblem problem = gradient_problem(c.text, c.options);
  const TrainingGraph training = differentiate(problem.graph, problem.loss, problem.wanted);
  CompileOptions options;
  for (const ValueId v : problem.graph.inputs) {
    const Value& value = problem.graph.value(v);
    Tensor& feed = problem.feeds[value.name];
    feed = feed.cast(value.type.elem_type);
    options.input_shapes[value.name] = feed.dims();
  }
  const auto expected = run_reference(training.graph, problem.feeds, {.in_double = true});
  ParameterStore store;
  Plan plan(training.graph, store, options);
  for (const auto& [name, tensor] : problem.feeds) plan.feed(name, tensor);
  plan.run();
  std::string faults;
  for (const ValueId v : training.graph.outputs) {
    const std::string& name = training.graph.value(v).name;
    const auto actual = plan.output_tensor(name).to_doubles(), wanted = expected.at(name).to_doubles();
    if (actual.size() != wanted.size()) return name + " has another size\n";
    double scale = 1e-3, error = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      const bool same = actual[i] == wanted[i] || (std::isnan(actual[i]) && std::isnan(wanted[i]));
      if (std::isfinite(wanted[i])) scale = std::max(scale, std::abs(wanted[i]));
      error = std::max(error, same ? 0.0 : std::isfinite(actual[i] - wanted[i]) ? std::abs(actual[i] - wanted[i]) : INFINITY);
    }
    if (error > 1e-4 * scale) faults += name + " is off by " + std::to_string(error) + " of " + std::to_string(scale) + "\n";
  }
  return faults;
}

TEST(EveryGradient, IsTheSameAsAPlan) {
  set_thread_count(2);
  for (const GradientCase& c : gradient_cases()) {
    SCOPED_TRACE(c.test + "\n" + c.text);
    EXPECT_NO_THROW(EXPECT_EQ(differs_as_plan(c), ""));
  }
}

}  // namespace
}  // namespace espalier::testing
