#include "lib/ops/delegate.h"

namespace espalier {

Type infer_as(const InferContext& c, const Op& op, const std::vector<Type>& inputs) {
  Graph graph;
  Node node = c.node();
  node.inputs.clear();
  std::vector<Fact> facts;
  for (const Type& type : inputs) {
    node.inputs.push_back(graph.add_value(""));
    facts.push_back({type, std::nullopt, std::nullopt});
  }
  node.outputs = {graph.add_value("")};
  const NodeId id = graph.add_node(std::move(node));
  std::vector<const Fact*> pointers;
  for (const Fact& fact : facts) pointers.push_back(&fact);
  InferContext context(graph, id, std::move(pointers));
  op.infer(context);
  return context.outputs()[0].type;
}

Tensor evaluate_as(const EvaluateContext& c, const Op& op, const std::vector<Tensor>& inputs) {
  std::vector<const Tensor*> pointers;
  for (const Tensor& tensor : inputs) pointers.push_back(&tensor);
  EvaluateContext context(c.node(), std::move(pointers));
  op.evaluate(context);
  return context.outputs()[0];
}

}  // namespace espalier
