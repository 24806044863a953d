#include "lib/runtime/expand.h"

#include <cmath>
#include <limits>

#include "lib/ops/gradient.h"
#include "lib/runtime/expand_forms.h"

namespace espalier {
namespace {

using Attributes = std::vector<Attribute>;

/// Adds nodes in place of one.
class Builder {
 public:
  Builder(Graph& graph, NodeId at) : graph_(graph), at_(at), name_(graph.node(at).name) {}

  ValueId add(std::string op_type, std::vector<ValueId> inputs, Attributes attributes = {}) {
    Node node;
    const bool internal = find_op(kInternalDomain, op_type) != nullptr;
    node.domain = internal ? kInternalDomain : std::string_view();
    node.version = internal ? 1 : kTrainingOpset;
    node.name = name_;
    node.op_type = std::move(op_type);
    node.inputs = std::move(inputs);
    node.attributes = std::move(attributes);
    const ValueId made = graph_.add_value(name_.empty() ? "expanded" : name_);
    node.outputs = {made};
    graph_.add_node(std::move(node), at_);
    return made;
  }

  ValueId constant(Tensor tensor) {
    const ValueId v = graph_.add_value(name_.empty() ? "constant" : name_ + "/constant");
    graph_.set_initializer(v, std::move(tensor));
    return v;
  }
  ValueId number(double value) { return constant(Tensor::of<float>({}, {static_cast<float>(value)})); }
  ValueId list(const std::vector<int64_t>& values) { return constant(Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values)); }

  ValueId reshape(ValueId x, const Dims& dims) { return add("Reshape", {x, list(dims)}); }
  ValueId transpose(ValueId x, const std::vector<int64_t>& perm) { return add("Transpose", {x}, {{"perm", perm, {}}}); }
  ValueId turned(ValueId x) { return transpose(x, {0, 1, 3, 2}); }
  ValueId slice(ValueId x, int64_t axis, int64_t begin, int64_t end) { return add("Slice", {x, list({begin}), list({end}), list({axis})}); }

 private:
  Graph& graph_;
  NodeId at_;
  std::string name_;
};

/// Attention's operands, for it and for its gradient, whose inputs begin with dy.
class AttentionParts {
 public:
  AttentionParts(Graph& graph, const FactTable& facts, NodeId id, size_t first) : b_(graph, id), node_(graph.node(id)), facts_(facts), first_(first) {}

  /// Reads the sizes; false where the node is not one to rewrite.
  bool read() {
    for (const size_t i : {0, 1, 2}) {
      if (!is_float_of_known_size(i)) return false;
    }
    const Dims q = dims(0), k = dims(1), v = dims(2);
    flat_ = q.size() == 3;
    heads_ = flat_ ? node_.require<int64_t>("q_num_heads") : q[1];
    kv_heads_ = flat_ ? node_.require<int64_t>("kv_num_heads") : k[1];
    batch_ = q[0];
    queries_ = flat_ ? q[1] : q[2];
    head_size_ = flat_ ? q[2] / heads_ : q[3];
    value_size_ = flat_ ? v[2] / kv_heads_ : v[3];
    if (has(4) != has(5) || (has(4) && (!is_float_of_known_size(4) || !is_float_of_known_size(5)))) return false;
    past_ = has(4) ? dims(4)[2] : 0;
    keys_ = past_ + (flat_ ? k[1] : k[2]);
    if (element_count(q) == 0 || element_count(k) == 0 || element_count(v) == 0 || k[0] != batch_ || v[0] != batch_) return false;
    return !has(3) || reads_mask();
  }

  /// Q by heads, and K and V behind their past, then repeated for each head that reads them.
  void gather() {
    q_ = by_heads(input(0), heads_);
    k_ = present(1, 4);
    v_ = present(2, 5);
    all_k_ = repeated(k_, head_size_);
    all_v_ = repeated(v_, value_size_);
  }

  void attend() {
    const double scale = node_.has("scale") ? static_cast<double>(node_.require<float>("scale")) : 1 / std::sqrt(static_cast<double>(head_size_));
    const double softcap = static_cast<double>(node_.get<float>("softcap", 0.0f));
    scale_ = b_.number(scale);
    scores_ = capped_ = b_.add("Mul", {b_.add("MatMul", {q_, b_.turned(all_k_)}), scale_});
    if (softcap > 0) {
      tanh_ = b_.add("Tanh", {b_.add("Div", {scores_, b_.number(softcap)})});
      capped_ = b_.add("Mul", {tanh_, b_.number(softcap)});
    }
    biased_ = capped_;
    if (has(3)) biased_ = b_.add("Add", {biased_, mask()});
    if (node_.get<int64_t>("is_causal", 0) != 0) biased_ = b_.add("Add", {biased_, causal()});
    p_ = b_.add("Softmax", {biased_}, {{"axis", int64_t{-1}, {}}});
  }

  /// What each of Attention's outputs is.
  ValueId output(size_t i) {
    if (i == 1) return k_;
    if (i == 2) return v_;
    if (i == 0) return merged(b_.add("MatMul", {p_, all_v_}), heads_, value_size_);
    switch (node_.get<int64_t>("qk_matmul_output_mode", 0)) {
      case 0: return scores_;
      case 1: return capped_;
      case 2: return biased_;
      default: return p_;
    }
  }

  /// dV = P^T dY; dS through the softmax and the cap; dQ = scale dS K, dK = scale dS^T Q.
  void go_back() {
    const ValueId dy = by_heads(node_.inputs[0], heads_);
    const ValueId dp = with_shown(3, b_.add("MatMul", {dy, b_.turned(all_v_)}));
    const ValueId sum = b_.add("ReduceSum", {b_.add("Mul", {p_, dp}), b_.list({-1})});
    dbias_ = with_shown(2, b_.add("Mul", {p_, b_.add("Sub", {dp, sum})}));
    ValueId ds = with_shown(1, dbias_);
    if (tanh_ != kNone) ds = b_.add("Mul", {ds, b_.add("Sub", {b_.number(1), b_.add("Mul", {tanh_, tanh_})})});
    ds = b_.add("Mul", {with_shown(0, ds), scale_});
    dq_ = b_.add("MatMul", {ds, all_k_});
    dk_ = shared(b_.add("MatMul", {b_.turned(ds), q_}), head_size_);
    dv_ = shared(b_.add("MatMul", {b_.turned(p_), dy}), value_size_);
    if (node_.has_input(7)) dk_ = b_.add("Add", {dk_, node_.inputs[7]});
    if (node_.has_input(8)) dv_ = b_.add("Add", {dv_, node_.inputs[8]});
  }

  /// What each of AttentionGrad's outputs is.
  ValueId gradient(size_t i) {
    switch (i) {
      case 0: return merged(dq_, heads_, head_size_);
      case 1: return merged(newest(dk_), kv_heads_, head_size_);
      case 2: return merged(newest(dv_), kv_heads_, value_size_);
      case 3: return has(3) ? mask_gradient() : b_.number(0);
      default: return has(i) ? b_.slice(i == 4 ? dk_ : dv_, 2, 0, past_) : b_.number(0);
    }
  }

  ValueId alias(ValueId x) { return b_.add("Identity", {x}); }

 private:
  bool has(size_t i) const { return node_.has_input(first_ + i); }
  ValueId input(size_t i) const { return node_.inputs[first_ + i]; }
  Dims dims(size_t i) const { return *facts_.type(input(i)).known_dims(); }
  bool is_float_of_known_size(size_t i) const {
    const Type& type = facts_.type(input(i));
    return type.elem_type == DataType::float32 && type.known_dims();
  }

  /// The gradient x, and that of the scores that Attention shows, where they are taken at this point.
  ValueId with_shown(int64_t mode, ValueId x) {
    if (!node_.has_input(9) || node_.get<int64_t>("qk_matmul_output_mode", 0) != mode) return x;
    return b_.add("Add", {x, node_.inputs[9]});
  }

  bool reads_mask() const {
    const Type& type = facts_.type(input(3));
    return (type.elem_type == DataType::float32 || type.elem_type == DataType::boolean) && type.known_dims() && element_count(*type.known_dims()) > 0;
  }

  ValueId by_heads(ValueId x, int64_t heads) {
    if (!flat_) return x;
    const Dims own = *facts_.type(x).known_dims();
    return b_.transpose(b_.reshape(x, {own[0], own[1], heads, own[2] / heads}), {0, 2, 1, 3});
  }

  ValueId merged(ValueId x, int64_t heads, int64_t size) { return flat_ ? b_.reshape(b_.transpose(x, {0, 2, 1, 3}), {batch_, -1, heads * size}) : x; }

  ValueId present(size_t i, size_t past) {
    const ValueId x = by_heads(input(i), kv_heads_);
    return has(past) ? b_.add("Concat", {input(past), x}, {{"axis", int64_t{2}, {}}}) : x;
  }

  ValueId repeated(ValueId x, int64_t size) {
    const int64_t together = heads_ / kv_heads_;
    if (together == 1) return x;
    const ValueId wide = b_.add("Expand", {b_.reshape(x, {batch_, kv_heads_, 1, keys_, size}), b_.list({batch_, kv_heads_, together, keys_, size})});
    return b_.reshape(wide, {batch_, heads_, keys_, size});
  }

  /// The reverse: the sum over the heads that read the same keys.
  ValueId shared(ValueId x, int64_t size) {
    const int64_t together = heads_ / kv_heads_;
    if (together == 1) return x;
    return b_.add("ReduceSum", {b_.reshape(x, {batch_, kv_heads_, together, keys_, size}), b_.list({2})}, {{"keepdims", int64_t{0}, {}}});
  }

  ValueId newest(ValueId x) { return past_ == 0 ? x : b_.slice(x, 2, past_, keys_); }

  int64_t mask_width() const { return dims(3).empty() ? 1 : dims(3).back(); }
  bool is_short() const { return mask_width() < keys_ && mask_width() != 1; }

  /// What is added; positions that a short mask lacks are out.
  ValueId mask() {
    constexpr float kOut = -std::numeric_limits<float>::infinity();
    ValueId m = input(3);
    if (facts_.type(m).elem_type == DataType::boolean) m = b_.add("Where", {m, b_.number(0), b_.number(static_cast<double>(kOut))});
    if (!is_short()) return m;
    std::vector<int64_t> pads(2 * dims(3).size(), 0);
    pads.back() = keys_ - mask_width();
    return b_.add("Pad", {m, b_.list(pads), b_.number(static_cast<double>(kOut))});
  }

  ValueId causal() {
    Tensor out(DataType::float32, {queries_, keys_});
    const auto to = out.mutable_data<float>();
    for (int64_t i = 0; i < queries_; ++i) {
      for (int64_t j = past_ + i + 1; j < keys_; ++j) to[i * keys_ + j] = -std::numeric_limits<float>::infinity();
    }
    return b_.constant(std::move(out));
  }

  ValueId mask_gradient() {
    const ValueId part = is_short() ? b_.slice(dbias_, 3, 0, mask_width()) : dbias_;
    return b_.add("SumTo", {part, input(3)});
  }

  Builder b_;
  const Node node_;  // a copy: adding nodes moves the graph's own
  const FactTable& facts_;
  size_t first_;
  bool flat_ = false;
  int64_t batch_ = 0, heads_ = 0, kv_heads_ = 0, queries_ = 0, keys_ = 0, past_ = 0, head_size_ = 0, value_size_ = 0;
  ValueId q_ = kNone, k_ = kNone, v_ = kNone, all_k_ = kNone, all_v_ = kNone, scale_ = kNone;
  ValueId scores_ = kNone, tanh_ = kNone, capped_ = kNone, biased_ = kNone, p_ = kNone;
  ValueId dbias_ = kNone, dq_ = kNone, dk_ = kNone, dv_ = kNone;
};

bool expand_attention(Graph& graph, const FactTable& facts, NodeId id, bool backward) {
  AttentionParts parts(graph, facts, id, backward ? 1 : 0);
  if (!parts.read() || graph.node(id).get<int64_t>("only_present", 0) != 0) return false;
  if (backward && graph.node(id).has_input(4) && graph.node(id).has_output(3) && facts.type(graph.node(id).inputs[4]).elem_type != DataType::float32) return false;
  const std::vector<ValueId> outputs = graph.node(id).outputs;
  graph.set_outputs(id, {});
  parts.gather();
  parts.attend();
  if (backward) parts.go_back();
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i] == kNone) continue;
    const ValueId made = parts.alias(backward ? parts.gradient(i) : parts.output(i));
    graph.set_outputs(graph.producer(made), {outputs[i]});
  }
  graph.erase_node(id);
  return true;
}

}  // namespace

bool expand_operators(Graph& graph, const FactTable& facts) {
  bool any = false;
  const std::vector<NodeId> nodes(graph.nodes().begin(), graph.nodes().end());
  for (const NodeId id : nodes) {
    any = expand_form(graph, facts, id) || any;
    const Node& node = graph.node(id);
    const bool forward = node.domain.empty() && node.op_type == "Attention" && find_op(node);
    const bool backward = node.domain == kInternalDomain && node.op_type == "AttentionGrad";
    if (forward || backward) any = expand_attention(graph, facts, id, backward) || any;
  }
  return any;
}

}  // namespace espalier
