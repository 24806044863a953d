#include "lib/runtime/fusion.h"

#include <algorithm>
#include <map>

#include "lib/base/error.h"
#include "lib/ops/op.h"

namespace espalier {
namespace {

constexpr size_t kMaxChainOperands = 6;
constexpr size_t kMaxChainNodes = 16;
constexpr size_t kMaxSummands = 512;
constexpr size_t kMaxTransposedRank = 6;

class Fuser {
 public:
  Fuser(const Graph& graph, const FactTable& facts, const std::vector<NodeId>& live, const FusionOptions& options)
      : graph_(graph), facts_(facts), live_(live), options_(options) {
    for (size_t i = 0; i < live.size(); ++i) position_[live[i]] = i;
    count_readers();
  }

  std::vector<Group> run() {
    for (const NodeId id : live_) try_anchor(id);
    for (const NodeId id : live_) {
      if (!taken_.contains(id)) groups_.push_back(single(id));
    }
    merge_chains();
    std::sort(groups_.begin(), groups_.end(),
              [&](const Group& a, const Group& b) { return position_[a.nodes.back()] < position_[b.nodes.back()]; });
    return std::move(groups_);
  }

 private:
  void count_readers() {
    for (const NodeId id : live_) {
      const Node& node = graph_.node(id);
      const Op* op = find_op(node);
      std::set<ValueId> seen;
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        if (!node.has_input(i) || (op && i < 32 && op->shape_only_inputs >> i & 1u)) continue;
        if (seen.insert(node.inputs[i]).second) readers_[node.inputs[i]].push_back(id);
      }
    }
  }

  /// The one node that reads the value's elements, if nothing else needs the value.
  NodeId sole_reader(ValueId v) const {
    const auto found = readers_.find(v);
    if (found == readers_.end() || found->second.size() != 1 || options_.wanted.contains(v)) return kNone;
    return found->second.front();
  }

  std::optional<Dims> dims(ValueId v) const { return facts_.type(v).known_dims(); }
  bool same_dims(ValueId a, ValueId b) const { return dims(a) == dims(b); }

  Group single(NodeId id) const { return single_group(graph_, facts_, id); }

  void take(Group& group, NodeId id) {
    group.nodes.push_back(id);
    taken_.insert(id);
  }

  void try_anchor(NodeId id) {
    const Op* op = find_op(graph_.node(id));
    if (!op || !op->absorbs || taken_.contains(id)) return;
    Group group = single(id);
    if (op->absorbs & kAbsorbsGradMask) absorb_mask(group, static_cast<size_t>(op->masked_input));
    if (op->absorbs & kAbsorbsTransposes) absorb_inputs(group);
    if (group.result != kNone) absorb_results(group, op->absorbs);
    group.fusion.quantized = is_quantized(group.result);
    if (group.fusion.empty() && !group.fusion.quantized) return;
    taken_.insert(id);
    std::sort(group.nodes.begin(), group.nodes.end(), [&](NodeId a, NodeId b) { return position_[a] < position_[b]; });
    groups_.push_back(std::move(group));
  }

  bool is_quantized(ValueId v) const {
    const NodeId reader = v == kNone ? kNone : sole_reader(v);
    return reader != kNone && graph_.node(reader).domain.empty() && graph_.node(reader).op_type == "QuantizeLinear";
  }

  void absorb_mask(Group& group, size_t input) {
    const ValueId dy = group.inputs[input];
    const NodeId made_by = graph_.producer(dy);
    if (made_by == kNone || taken_.contains(made_by) || sole_reader(dy) == kNone) return;
    const auto element = element_of(graph_, facts_, made_by);
    if (!element || (element->kind != ElementKind::relu_grad && element->kind != ElementKind::clip_grad)) return;
    const Node& node = graph_.node(made_by);
    if (!same_dims(node.inputs[0], dy) || !same_dims(node.inputs[1], dy)) return;
    group.fusion.grad_mask = element;
    group.mask = node.inputs[0];
    group.inputs[input] = node.inputs[1];
    take(group, made_by);
  }

  /// The permutation of a Transpose of floats that leaves one of the last two axes dense; empty where it is none.
  std::vector<int64_t> dense_perm(NodeId id) const {
    if (id == kNone || !position_.contains(id)) return {};
    const Node& node = graph_.node(id);
    if (node.op_type != "Transpose" || !node.domain.empty() || facts_.type(node.inputs[0]).elem_type != DataType::float32) return {};
    const auto from = dims(node.inputs[0]);
    if (!from || from->size() < 2 || from->size() > kMaxTransposedRank) return {};
    std::vector<int64_t> perm;
    for (size_t axis = from->size(); axis-- > 0;) perm.push_back(static_cast<int64_t>(axis));
    perm = node.get("perm", std::move(perm));
    const int64_t last = static_cast<int64_t>(perm.size()) - 1;
    return perm[perm.size() - 1] == last || perm[perm.size() - 2] == last ? perm : std::vector<int64_t>();
  }

  /// Transposes whose result only such nodes read: each reads what is transposed, and the result is never made.
  void absorb_inputs(Group& group) {
    for (const size_t i : {0, 1}) {
      const ValueId v = group.inputs[i];
      const NodeId made_by = graph_.producer(v);
      const std::vector<int64_t> perm = dense_perm(made_by);
      if (perm.empty() || options_.wanted.contains(v) || (taken_.contains(made_by) && !absorbed_.contains(made_by))) continue;
      const auto& readers = readers_.at(v);
      const bool all = std::all_of(readers.begin(), readers.end(), [&](NodeId id) {
        const Op* op = find_op(graph_.node(id));
        return op && (op->absorbs & kAbsorbsTransposes);
      });
      if (!all) continue;
      group.fusion.perms.resize(2);
      group.fusion.perms[i] = perm;
      group.inputs[i] = graph_.node(made_by).inputs[0];
      absorbed_.insert(made_by);
      if (std::find(group.nodes.begin(), group.nodes.end(), made_by) == group.nodes.end()) take(group, made_by);
    }
  }

  bool absorb_transposed_result(Group& group, NodeId next) {
    const std::vector<int64_t> perm = dense_perm(next);
    if (perm.empty() || facts_.type(group.result).elem_type != DataType::float32) return false;
    group.fusion.result_perm = perm;
    take(group, next);
    group.result = graph_.node(next).outputs[0];
    return true;
  }

  /// A weight as long as the last axis, added before anything else.
  bool absorb_bias(Group& group, uint32_t absorbs, NodeId add) {
    Fusion& fusion = group.fusion;
    if (!(absorbs & kAbsorbsBias) || fusion.bias || fusion.residual || !fusion.activations.empty()) return false;
    const auto& operands = graph_.node(add).inputs;
    if (operands.size() != 2) return false;
    const ValueId other = operands[operands[0] == group.result ? 1 : 0];
    const auto own = dims(other), full = dims(group.result);
    if (!options_.weights.contains(other) && !facts_.constant(other)) return false;
    if (!own || own->empty() || full->empty() || own->back() != full->back() || element_count(*own) != own->back()) return false;
    fusion.bias = true;
    group.bias = other;
    return true;
  }

  void absorb_results(Group& group, uint32_t absorbs) {
    while (absorb_next(group, absorbs)) {
    }
  }

  bool absorb_next(Group& group, uint32_t absorbs) {
    const NodeId next = sole_reader(group.result);
    if (next == kNone || taken_.contains(next) || !group.fusion.result_perm.empty()) return false;
    if ((absorbs & kAbsorbsTransposes) && absorb_transposed_result(group, next)) return true;
    const auto element = element_of(graph_, facts_, next);
    if (!element) return false;
    const ValueId out = graph_.node(next).outputs[0];
    if (!same_dims(out, group.result)) return false;
    Fusion& fusion = group.fusion;
    if (element->kind == ElementKind::add && absorb_bias(group, absorbs, next)) {
      // All that it took is noted.
    } else if (element->kind == ElementKind::add) {
      if (!(absorbs & kAbsorbsResidual) || fusion.residual || !fusion.activations.empty()) return false;
      const auto operands = element_operands(graph_, next, *element);
      if (operands.size() != 2) return false;
      const ValueId other = operands[operands[0] == group.result ? 1 : 0];
      if (other == group.result || !same_dims(other, out) || options_.weights.contains(other) ||
          facts_.constant(other)) {
        return false;
      }
      fusion.residual = true;
      group.residual = other;
    } else {
      const bool bounds = element->kind == ElementKind::relu || element->kind == ElementKind::clip;
      const bool any = (absorbs & kAbsorbsActivations) && can_fuse(*element, fusion.activations);
      if (!any && !(bounds && (absorbs & kAbsorbsBounds) && fusion.activations.empty())) return false;
      fusion.activations.push_back(*element);
    }
    take(group, next);
    group.result = out;
    return true;
  }

  /// Elementwise nodes that only one chain of the same shape reads join it, from the front to the back.
  void merge_chains() {
    std::map<NodeId, size_t> chain_of;  // last node of a chain -> its group
    for (size_t i = 0; i < groups_.size(); ++i) {
      if (groups_[i].anchor == kNone) chain_of[groups_[i].nodes.back()] = i;
    }
    for (const NodeId id : live_) {
      const auto here = chain_of.find(id);
      if (here == chain_of.end()) continue;
      Group& group = groups_[here->second];
      while (merge_one(group, chain_of)) {
      }
      std::sort(group.nodes.begin(), group.nodes.end(), [&](NodeId a, NodeId b) { return position_[a] < position_[b]; });
    }
    std::erase_if(groups_, [](const Group& g) { return g.nodes.empty(); });
  }

  /// Takes in one chain that nothing outside of the group reads.
  bool merge_one(Group& group, std::map<NodeId, size_t>& chain_of) {
    for (const NodeId id : group.nodes) {
      for (const ValueId v : element_operands(graph_, id, *element_of(graph_, facts_, id))) {
        const NodeId made_by = graph_.producer(v);
        const auto below = made_by == kNone ? chain_of.end() : chain_of.find(made_by);
        if (below == chain_of.end() || &groups_[below->second] == &group || !only_read_by(v, group) || !same_dims(v, group.result)) continue;
        Group& other = groups_[below->second];
        if (group.nodes.size() + other.nodes.size() > kMaxChainNodes || operands(group, other) > kMaxChainOperands) continue;
        group.nodes.insert(group.nodes.begin(), other.nodes.begin(), other.nodes.end());
        other.nodes.clear();
        chain_of.erase(below);
        return true;
      }
    }
    return false;
  }

  bool only_read_by(ValueId v, const Group& group) const {
    const auto found = readers_.find(v);
    if (found == readers_.end() || options_.wanted.contains(v)) return false;
    return std::all_of(found->second.begin(), found->second.end(), [&](NodeId reader) {
      return std::find(group.nodes.begin(), group.nodes.end(), reader) != group.nodes.end();
    });
  }

  size_t operands(const Group& a, const Group& b) const {
    std::set<ValueId> read, made;
    for (const Group* g : {&a, &b}) {
      for (const NodeId id : g->nodes) {
        for (const ValueId v : element_operands(graph_, id, *element_of(graph_, facts_, id))) read.insert(v);
        made.insert(graph_.node(id).outputs[0]);
      }
    }
    return static_cast<size_t>(std::count_if(read.begin(), read.end(), [&](ValueId v) { return !made.contains(v); }));
  }

  const Graph& graph_;
  const FactTable& facts_;
  const std::vector<NodeId>& live_;
  const FusionOptions& options_;
  std::map<NodeId, size_t> position_;
  std::map<ValueId, std::vector<NodeId>> readers_;
  std::set<NodeId> taken_;
  std::set<NodeId> absorbed_;  // Transposes that their readers undertake
  std::vector<Group> groups_;
};

}  // namespace

Group single_group(const Graph& graph, const FactTable& facts, NodeId id) {
  const Node& node = graph.node(id);
  Group group;
  group.nodes = {id};
  group.inputs = node.inputs;
  group.result = node.outputs.empty() ? kNone : node.outputs[0];
  if (!element_of(graph, facts, id)) group.anchor = id;
  return group;
}

std::optional<ElementOp> element_of(const Graph& graph, const FactTable& facts, NodeId id) {
  const Node& node = graph.node(id);
  const Op* op = find_op(node);
  if (!op || !op->element || node.outputs.size() != 1 || node.inputs.size() > kMaxSummands) return std::nullopt;
  const Type& result = facts.type(node.outputs[0]);
  if (result.elem_type != DataType::float32 || !result.known_dims()) return std::nullopt;
  const auto element = op->element(facts.context(graph, id));
  if (!element) return std::nullopt;
  for (const ValueId v : element_operands(graph, id, *element)) {
    if (v == kNone || facts.type(v).elem_type != DataType::float32) return std::nullopt;
  }
  return element;
}

std::vector<ValueId> element_operands(const Graph& graph, NodeId id, const ElementOp& op) {
  const auto& inputs = graph.node(id).inputs;
  if (operand_count(op.kind) == 1) return {inputs[0]};
  return inputs;
}

std::vector<Group> fuse(const Graph& graph, const FactTable& facts, const std::vector<NodeId>& live,
                        const FusionOptions& options) {
  return Fuser(graph, facts, live, options).run();
}

}  // namespace espalier
