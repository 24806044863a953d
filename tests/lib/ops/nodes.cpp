#include "tests/lib/ops/nodes.h"

#include <map>

#include "lib/base/error.h"
#include "lib/graph/text.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"

namespace espalier::testing {
namespace {

const Op& op_of(const Node& node) {
  const Op* op = find_op(node);
  if (!op) throw Error(ErrorKind::bad_data, node.where() + ": unknown operator");
  return *op;
}

std::map<ValueId, Fact> infer_all(const Graph& graph) {
  std::map<ValueId, Fact> facts;
  for (const ValueId v : graph.inputs) facts[v].type = graph.value(v).type;
  for (const auto& [v, initializer] : graph.initializers()) {
    facts[v] = {Type::tensor(initializer.tensor.type(), initializer.tensor.dims()), initializer.tensor, std::nullopt};
  }
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    std::vector<const Fact*> inputs;
    for (const ValueId v : node.inputs) inputs.push_back(v == kNone ? nullptr : &facts[v]);
    InferContext context(graph, id, inputs);
    op_of(node).infer(context);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.has_output(i)) facts[node.outputs[i]] = context.outputs()[i];
    }
  }
  return facts;
}

}  // namespace

Graph graph_of(std::string_view inputs, std::string_view body, int opset) {
  return parse_graph("graph g (" + std::string(inputs) + ") -> () opset " + std::to_string(opset) + " {\n" + std::string(body) + "\n}");
}

std::string type_of(const Graph& graph, std::string_view name) {
  return infer_all(graph)[graph.find_value(name)].type.str();
}

std::string numbers_of(const Graph& graph, std::string_view name) {
  const Fact fact = infer_all(graph)[graph.find_value(name)];
  return fact.numbers ? to_string(*fact.numbers) : "";
}

Tensor value_of(const Graph& graph, std::string_view name) {
  infer_all(graph);
  std::map<ValueId, Tensor> values;
  for (const auto& [v, initializer] : graph.initializers()) values[v] = initializer.tensor;
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    std::vector<const Tensor*> inputs;
    for (const ValueId v : node.inputs) inputs.push_back(v == kNone ? nullptr : &values.at(v));
    EvaluateContext context(node, inputs);
    op_of(node).evaluate(context);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.has_output(i)) values[node.outputs[i]] = context.outputs()[i];
    }
  }
  return values.at(graph.find_value(name));
}

std::string refusal(const Graph& graph, std::string_view name) {
  try {
    if (graph.inputs.empty()) value_of(graph, name);
    else infer_all(graph);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace espalier::testing
