#include "passes/simplify/merge_duplicates.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "lib/ops/op.h"
#include "passes/rewrite.h"

namespace espalier::passes {
namespace {

using Key = std::tuple<std::string, std::string, int, std::vector<ValueId>>;

bool has_body(const Node& node) {
  return std::any_of(node.attributes.begin(), node.attributes.end(), [](const Attribute& a) {
    return std::holds_alternative<Body>(a.value) || std::holds_alternative<std::vector<Body>>(a.value) ||
           std::holds_alternative<std::monostate>(a.value);
  });
}

bool same_attributes(const Node& a, const Node& b) {
  return a.attributes.size() == b.attributes.size() &&
         std::all_of(a.attributes.begin(), a.attributes.end(), [&](const Attribute& x) {
           const Attribute* y = b.find(x.name);
           return y && x.value == y->value;
         });
}

class Merging {
 public:
  explicit Merging(Graph& graph) : graph_(graph), captured_(captured_values(graph)) {}

  int64_t nodes() {
    int64_t merged = 0;
    std::map<Key, std::vector<NodeId>> seen;
    const std::vector<NodeId> order(graph_.nodes().begin(), graph_.nodes().end());
    for (const NodeId id : order) {
      const Node& node = graph_.node(id);
      const Op* op = find_op(node);
      if (!op || !op->deterministic || has_body(node) || node.op_type == "Constant") continue;
      auto& alike = seen[{node.domain, node.op_type, node.version, node.inputs}];
      const auto twin = std::find_if(alike.begin(), alike.end(), [&](NodeId other) { return replaces(graph_.node(other), node); });
      if (twin == alike.end()) {
        alike.push_back(id);
      } else {
        merge(*twin, id);
        ++merged;
      }
    }
    return merged;
  }

  int64_t constants() {
    int64_t merged = 0;
    std::map<std::tuple<DataType, Dims, std::vector<int64_t>>, ValueId> seen;
    const auto initializers = graph_.initializers();
    for (const auto& [v, initializer] : initializers) {
      const Tensor& tensor = initializer.tensor;
      constexpr int64_t kMost = 64;
      if (!is_integer(tensor.type()) || tensor.size() > kMost || graph_.is_input(v)) continue;
      const auto [at, fresh] = seen.try_emplace({tensor.type(), tensor.dims(), tensor.to_int64s()}, v);
      if (fresh || named(v)) continue;
      graph_.replace_uses(v, at->second);
      graph_.erase_initializer(v);
      ++merged;
    }
    return merged;
  }

 private:
  bool named(ValueId v) const { return graph_.is_output(v) || captured_[v]; }

  // Whether every output of `second` that is read can be read from `first`.
  bool replaces(const Node& first, const Node& second) const {
    if (!same_attributes(first, second)) return false;
    for (size_t i = 0; i < second.outputs.size(); ++i) {
      if (!second.has_output(i)) continue;
      const ValueId v = second.outputs[i];
      if (named(v) || (!graph_.users(v).empty() && !first.has_output(i))) return false;
    }
    return first.outputs.size() == second.outputs.size();  // an operator may count its outputs (Split)
  }

  void merge(NodeId first, NodeId second) {
    const std::vector<ValueId> from = graph_.node(second).outputs, to = graph_.node(first).outputs;
    graph_.erase_node(second);
    for (size_t i = 0; i < from.size(); ++i) {
      if (from[i] == kNone) continue;
      graph_.value(from[i]).declared = false;
      if (to[i] != kNone) graph_.replace_uses(from[i], to[i]);
    }
  }

  Graph& graph_;
  std::vector<bool> captured_;
};

void run(PassContext& context) {
  int64_t constants = 0, nodes = 0;
  edit_graphs(context.graph(), [&](Graph& graph) {
    Merging merging(graph);
    const int64_t merged_constants = merging.constants(), merged_nodes = merging.nodes();
    constants += merged_constants;
    nodes += merged_nodes;
    return merged_constants + merged_nodes;
  });
  context.count("merged-constants", constants);
  context.count("merged-nodes", nodes);
}

constexpr PassCounter kCounters[] = {
    {"merged-nodes", "nodes that computed what another one does"},
    {"merged-constants", "integer initialisers equal to another one"},
};

}  // namespace

extern const Pass merge_duplicates;
const Pass merge_duplicates = {.name = "merge-duplicates",
                               .summary = "compute common subexpressions once",
                               .contract = Contract::exact,
                               .counters = kCounters,
                               .run = run};

}  // namespace espalier::passes
