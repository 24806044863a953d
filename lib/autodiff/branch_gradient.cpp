#include "lib/autodiff/branch_gradient.h"

#include <algorithm>
#include <set>

#include "lib/analysis/unit_groups.h"
#include "lib/autodiff/differentiate.h"
#include "lib/ops/gradient.h"

namespace espalier {
namespace {

ValueId captured(Graph& graph, const std::string& name) {
  const ValueId known = graph.find_value(name);
  if (known != kNone) return known;
  const ValueId v = graph.add_value(name);
  graph.value(v).captured = true;
  return v;
}

ValueId add(Graph& graph, std::string op_type, std::vector<ValueId> inputs, std::vector<Attribute> attributes = {}) {
  const bool internal = find_op(kInternalDomain, op_type) != nullptr;
  Node node;
  node.domain = internal ? kInternalDomain : std::string_view();
  node.version = internal ? 1 : kTrainingOpset;
  node.name = "grad/branch/" + op_type;
  node.op_type = std::move(op_type);
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  const ValueId out = graph.add_value(node.name);
  node.outputs = {out};
  graph.add_node(std::move(node));
  return out;
}

/// The sum over outputs and elements of y * dy, whose gradient is what is asked for; kNone where no gradient flows.
ValueId weighted_sum(Graph& graph, const std::vector<std::string>& grads) {
  std::vector<ValueId> terms;
  for (size_t i = 0; i < grads.size(); ++i) {
    if (grads[i].empty()) continue;
    const ValueId product = add(graph, "Mul", {graph.outputs[i], captured(graph, grads[i])});
    terms.push_back(add(graph, "ReduceSum", {product}, {{"keepdims", int64_t{0}, ""}}));
  }
  if (terms.size() <= 1) return terms.empty() ? kNone : terms[0];
  return add(graph, "Sum", terms);
}

ValueId zeros_like(Graph& graph, ValueId v, DataType type) {
  const ValueId zero = graph.add_value("grad/zero");
  graph.set_initializer(zero, Tensor::scalar(0.0).cast(type));
  return add(graph, "ExpandLike", {zero, v});
}

void drop_dead(Graph& graph) {
  std::set<ValueId> needed(graph.outputs.begin(), graph.outputs.end());
  const std::vector<NodeId> order(graph.nodes().begin(), graph.nodes().end());
  for (auto id = order.rbegin(); id != order.rend(); ++id) {
    const Node& node = graph.node(*id);
    if (std::none_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) { return needed.contains(v); })) {
      graph.erase_node(*id);
      continue;
    }
    needed.insert(node.inputs.begin(), node.inputs.end());
    for (const ValueId v : captured_values(graph, node)) needed.insert(v);
  }
}

}  // namespace

Body branch_gradient(const Graph& branch, const BranchRequest& request) {
  Graph graph = branch;
  for (const std::string& name : branch.captured_by_bodies()) captured(graph, name);
  std::vector<ValueId> wanted;
  for (const std::string& name : request.wanted) wanted.push_back(captured(graph, name));
  const ValueId loss = weighted_sum(graph, request.grads);
  graph.outputs.clear();
  std::map<ValueId, ValueId> grads;
  if (loss != kNone) {
    TrainingGraph made = differentiate(graph, loss, wanted, request.facts);
    for (const Gradient& g : made.gradients) grads[g.param] = g.grad;
    graph = std::move(made.graph);
  }
  graph.outputs.clear();
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto found = grads.find(wanted[i]);
    const DataType type = request.facts.at(request.wanted[i]).type.elem_type;
    const ValueId out = found == grads.end() ? zeros_like(graph, wanted[i], type) : add(graph, "Identity", {found->second});
    graph.outputs.push_back(out);
  }
  drop_dead(graph);
  return std::make_shared<const Graph>(std::move(graph));
}

}  // namespace espalier
