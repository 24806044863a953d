#include "passes/simplify/remove_identities.h"

#include <algorithm>
#include <set>

#include "lib/analysis/infer.h"
#include "passes/rewrite.h"

namespace espalier::passes {
namespace {

class Finder {
 public:
  Finder(const Graph& graph, const FactTable& facts) : graph_(graph), facts_(facts) {}

  /// The input that output 0 of the node always equals, or kNone.
  ValueId same_input(NodeId id) const {
    const Node& node = graph_.node(id);
    if (!node.domain.empty() || !node.has_input(0) || !node.has_output(0)) return kNone;
    const std::string& op = node.op_type;
    if (op == "Identity") return node.inputs[0];
    if (op == "Dropout") return idle_dropout(node) ? node.inputs[0] : kNone;
    if (op == "Mul" || op == "Add") return other_than_neutral(node, op == "Mul" ? 1 : 0);
    if (op == "Div" || op == "Sub" || op == "Pow") {
      return neutral(node, 1, op == "Sub" ? 0 : 1) && same_type(node) ? node.inputs[0] : kNone;
    }
    if (kOfOne.contains(op)) return node.inputs.size() == 1 ? node.inputs[0] : kNone;
    if (op == "Cast") return keeps_elem_type(node) ? node.inputs[0] : kNone;
    if (op == "Transpose") return keeps_order(node) ? node.inputs[0] : kNone;
    if (op == "Slice") return same_type(node) && steps_forward(node) ? node.inputs[0] : kNone;
    if (op == "Pad") return pads_nothing(node) ? node.inputs[0] : kNone;
    if (kBySize.contains(op)) return same_type(node) ? node.inputs[0] : kNone;
    return kNone;
  }

 private:
  static inline const std::set<std::string> kOfOne = {"Concat", "Sum", "Max", "Min", "Mean"};
  /// Their elements keep their order, or each is reduced alone, where the sizes stay.
  static inline const std::set<std::string> kBySize = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "ReduceMean",
                                                       "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "GlobalAveragePool"};

  bool keeps_elem_type(const Node& node) const {
    const DataType in = facts_.type(node.inputs[0]).elem_type;
    return in != DataType::undefined && in == facts_.type(node.outputs[0]).elem_type;
  }

  bool same_type(const Node& node, size_t input = 0) const {
    const Type &in = facts_.type(node.inputs[input]), &out = facts_.type(node.outputs[0]);
    return in.is_tensor() && out.is_tensor() && in.elem_type == out.elem_type && in.elem_type != DataType::undefined &&
           in.has_rank() && out.has_rank() && *in.dims == *out.dims;
  }

  bool idle_dropout(const Node& node) const {
    if (node.outputs.size() > 1 && node.outputs[1] != kNone &&
        (!graph_.users(node.outputs[1]).empty() || graph_.is_output(node.outputs[1]))) {
      return false;
    }
    if (node.version < 7) return node.get<int64_t>("is_test", 0) != 0;
    if (node.version < 12 || !node.has_input(2)) return true;
    const Tensor* training = facts_.constant(node.inputs[2]);
    return training && training->to_doubles().at(0) == 0;
  }

  bool neutral(const Node& node, size_t i, double wanted) const {
    constexpr int64_t kMost = 1 << 20;
    const Tensor* tensor = node.has_input(i) ? facts_.constant(node.inputs[i]) : nullptr;
    if (!tensor || tensor->size() > kMost || tensor->size() == 0) return false;
    const auto values = tensor->to_doubles();
    return std::all_of(values.begin(), values.end(), [&](double v) { return v == wanted; });
  }

  ValueId other_than_neutral(const Node& node, double wanted) const {
    if (neutral(node, 1, wanted) && same_type(node, 0)) return node.inputs[0];
    if (neutral(node, 0, wanted) && same_type(node, 1)) return node.inputs[1];
    return kNone;
  }

  bool keeps_order(const Node& node) const {
    const auto perm = node.get<std::vector<int64_t>>("perm", {});
    const Type& type = facts_.type(node.inputs[0]);
    if (perm.empty()) return type.has_rank() && type.rank() < 2;
    return std::is_sorted(perm.begin(), perm.end());
  }

  bool steps_forward(const Node& node) const {
    if (node.version < 10 || !node.has_input(4)) return true;
    const Tensor* steps = facts_.constant(node.inputs[4]);
    if (!steps) return false;
    const auto values = steps->to_int64s();
    return std::all_of(values.begin(), values.end(), [](int64_t s) { return s > 0; });
  }

  bool pads_nothing(const Node& node) const {
    std::vector<int64_t> pads;
    if (node.version < 11) {
      pads = node.get<std::vector<int64_t>>(node.version < 2 ? "paddings" : "pads", {1});
    } else {
      const Tensor* tensor = node.has_input(1) ? facts_.constant(node.inputs[1]) : nullptr;
      if (!tensor) return false;
      pads = tensor->to_int64s();
    }
    return std::all_of(pads.begin(), pads.end(), [](int64_t p) { return p == 0; });
  }

  const Graph& graph_;
  const FactTable& facts_;
};

int64_t remove(Graph& graph) {
  int64_t removed = 0;
  const FactTable facts = infer(graph);
  const auto captured = captured_values(graph);
  const std::vector<NodeId> nodes(graph.nodes().begin(), graph.nodes().end());
  for (const NodeId id : nodes) {
    const Node& node = graph.node(id);
    const ValueId same = Finder(graph, facts).same_input(id);
    const bool dead = same == kNone || (graph.users(node.outputs[0]).empty() && !graph.is_output(node.outputs[0]) && !captured[node.outputs[0]]);
    if (!dead && bypass_node(graph, id, same, captured)) ++removed;
  }
  return removed;
}

void run(PassContext& context) { context.count("identities", edit_graphs(context.graph(), remove)); }

constexpr PassCounter kCounters[] = {{"identities", "nodes taken out because they change nothing"}};

}  // namespace

extern const Pass remove_identities;
const Pass remove_identities = {.name = "remove-identities",
                                .summary = "take out nodes that change nothing, dropout included",
                                .contract = Contract::equal,
                                .counters = kCounters,
                                .run = run};

}  // namespace espalier::passes
