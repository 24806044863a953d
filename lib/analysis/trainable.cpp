#include "lib/analysis/trainable.h"

#include <algorithm>
#include <set>

namespace espalier {
namespace {

class Search {
 public:
  /// `outer`: of the graph around, where this is a body.
  Search(const Graph& graph, const FactTable& facts, Search* outer)
      : graph_(graph), facts_(facts), outer_(outer), weighted_(graph.value_count(), false) {}

  std::vector<ValueId> run() {
    for (size_t i = 0; outer_ && i < graph_.value_count(); ++i) {
      const ValueId v = outside(static_cast<ValueId>(i));
      weighted_[i] = v != kNone && outer_->weighted_[v];
    }
    for (const NodeId id : graph_.nodes()) visit(id);
    return std::move(found_);
  }

 private:
  /// The value of the graph around that a body's value stands for.
  ValueId outside(ValueId v) const {
    return outer_ && graph_.value(v).captured ? outer_->graph_.find_value(graph_.value(v).name) : kNone;
  }

  /// What the branches of an If read from outside is trained through it; constants inside them are not.
  void visit_branches(NodeId id) {
    const Node& node = graph_.node(id);
    for (const Attribute& a : node.attributes) {
      const auto* body = std::get_if<Body>(&a.value);
      const FactTable* inside = body ? facts_.body(id, a.name) : nullptr;
      if (!inside) continue;
      Search search(**body, *inside, this);
      search.run();
      for (size_t i = 0; i < node.outputs.size() && i < (*body)->outputs.size(); ++i) {
        if (node.has_output(i) && search.weighted_[(*body)->outputs[i]]) weighted_[node.outputs[i]] = true;
      }
    }
  }

  void visit(NodeId id) {
    const Node& node = graph_.node(id);
    if (is(node, "If")) return visit_branches(id);
    const Op* op = find_op(node);
    if (!op || !node.has_output(0) || facts_.constant(node.outputs[0])) return;
    bool weighted = (op->is_view || is(node, "Transpose")) && node.has_input(0) && weighted_[node.inputs[0]];
    weighted |= is(node, "Concat") && join(node);
    if (op->parameters) {
      for (const int i : op->parameters(node)) {
        if (node.has_input(i)) weighted |= add(node.inputs[i]);
      }
    }
    weighted |= is_affine(node) && after_weights(node);
    weighted_[node.outputs[0]] = weighted;
  }

  static bool is(const Node& node, std::string_view op_type) { return node.domain.empty() && node.op_type == op_type; }

  static bool is_affine(const Node& node) {
    return node.inputs.size() == 2 && (is(node, "Add") || is(node, "Sub") || is(node, "Mul") || is(node, "Div"));
  }

  /// What stands beside weighted values along an axis is a weight too: a class token, repeated for each sample.
  bool join(const Node& concat) {
    const auto weighted = [&](ValueId v) { return v != kNone && weighted_[v]; };
    if (std::none_of(concat.inputs.begin(), concat.inputs.end(), weighted)) return false;
    for (const ValueId v : concat.inputs) {
      if (v != kNone && !weighted_[v]) add_repeated(v);
    }
    return true;
  }

  /// The constant that `v` repeats by Expand, or by Add to zeros; padding and masks are not one.
  void add_repeated(ValueId v) {
    const NodeId producer = graph_.producer(v);
    if (producer == kNone) return;
    const Node& node = graph_.node(producer);
    if (!is(node, "Expand") && !is(node, "Tile") && !is(node, "Add")) return;
    const bool by_sum = is(node, "Add");
    for (size_t i = 0; i < (by_sum ? 2u : 1u); ++i) {
      const Tensor* constant = facts_.constant(node.inputs[i]);
      if (by_sum && !is_filled(node.inputs[1 - i])) continue;
      if (constant && constant->size() > 1 && !is_mask(*constant) && !is_uniform(*constant)) add(node.inputs[i]);
    }
  }

  bool is_filled(ValueId v) const {
    return graph_.producer(v) != kNone && is(graph_.node(graph_.producer(v)), "ConstantOfShape");
  }

  static bool is_uniform(const Tensor& tensor) {
    const auto values = tensor.to_doubles();
    return std::all_of(values.begin(), values.end(), [&](double x) { return x == values.front(); });
  }

  bool after_weights(const Node& node) {
    bool weighted = false;
    for (const size_t i : {size_t{0}, size_t{1}}) {
      if (!weighted_[node.inputs[1 - i]]) continue;
      const Tensor* constant = facts_.constant(node.inputs[i]);
      if (constant && constant->size() > 1 && !is_mask(*constant)) add(node.inputs[i]);
      weighted = true;
    }
    return weighted;
  }

  /// Zeros and ones, both present: it selects.
  static bool is_mask(const Tensor& tensor) {
    if (!is_float(tensor.type())) return false;
    const auto values = tensor.to_doubles();
    const auto ones = std::count(values.begin(), values.end(), 1.0);
    const auto zeros = std::count(values.begin(), values.end(), 0.0);
    return ones > 0 && zeros > 0 && ones + zeros == static_cast<int64_t>(values.size());
  }

  /// Adds the stored float constants that `v` is a rearrangement of, if there are any.
  bool add(ValueId v) {
    bool any = false;
    std::set<ValueId> seen;
    for (std::vector<ValueId> open = {v}; !open.empty();) {
      v = open.back();
      open.pop_back();
      if (v == kNone || !seen.insert(v).second) continue;
      if (const Tensor* constant = graph_.constant(v)) {
        if (!is_float(constant->type())) continue;
        if (std::find(found_.begin(), found_.end(), v) == found_.end()) found_.push_back(v);
        any = true;
      } else if (outside(v) != kNone) {
        any = outer_->add(outside(v)) || any;
      } else if (const NodeId made_by = graph_.producer(v); made_by != kNone) {
        const auto sources = rearranged(graph_.node(made_by));
        open.insert(open.end(), sources.rbegin(), sources.rend());
      }
    }
    return any;
  }

  /// The inputs whose elements a node only moves: exporters cut a weight and put its gates into another order.
  static std::vector<ValueId> rearranged(const Node& node) {
    const Op* op = find_op(node);
    if (!op || node.inputs.empty()) return {};
    if (is(node, "Concat")) return node.inputs;
    const bool moves = op->is_view || is(node, "Transpose") || is(node, "Slice");
    return moves ? std::vector<ValueId>{node.inputs[0]} : std::vector<ValueId>{};
  }

  const Graph& graph_;
  const FactTable& facts_;
  Search* outer_;
  std::vector<bool> weighted_;
  std::vector<ValueId> found_;
};

}  // namespace

std::vector<ValueId> trainable_parameters(const Graph& graph, const FactTable& facts) {
  return Search(graph, facts, nullptr).run();
}

}  // namespace espalier
