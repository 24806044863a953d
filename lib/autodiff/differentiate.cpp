#include "lib/autodiff/differentiate.h"

#include <algorithm>
#include <map>
#include <set>

#include "lib/analysis/infer.h"
#include "lib/analysis/unit_groups.h"
#include "lib/autodiff/branch_gradient.h"
#include "lib/base/error.h"
#include "lib/ops/gradient.h"
#include "lib/ops/op.h"

namespace espalier {
namespace {

/// Facts in which what training changes is no constant.
FactTable training_facts(const Graph& forward, std::span<const ValueId> wanted, const std::map<std::string, Fact>& captured) {
  Graph graph = forward;
  InferOptions options;
  options.captured = captured;
  const auto feed = [&](ValueId id) {
    const Tensor* start = graph.initializer(id);
    if (!start) return;
    if (!graph.is_input(id)) {
      graph.inputs.push_back(id);
      graph.value(id).type = Type::tensor(start->type(), start->dims());
    }
    options.fed.insert(graph.value(id).name);
  };
  for (const ValueId id : wanted) feed(id);
  for (const StatePair& pair : forward.state_pairs) feed(pair.input);
  return infer(graph, options);
}

/// Integers do not, but for those that stand for real numbers: gradients pass straight through what QuantizeLinear makes.
bool carries_gradient(const Type& type, const Node& node) {
  if (node.domain.empty() && node.op_type == "QuantizeLinear") return true;
  return type.kind == Type::Kind::unknown || (type.is_tensor() && (is_float(type.elem_type) || type.elem_type == DataType::undefined));
}

bool has_branches(const Node& node) { return node.domain.empty() && node.op_type == "If"; }

/// The backward half of a graph in the making.
class Backward {
 public:
  Backward(const Graph& forward, ValueId loss, std::span<const ValueId> wanted, const std::map<std::string, Fact>& captured);
  TrainingGraph build();

 private:
  friend class NodeGradient;

  void mark_forward();
  void mark_path();
  void check_path() const;
  void check_loss() const;
  ValueId seed();
  ValueId summed(ValueId value);
  void visit(NodeId id);
  void visit_branches(NodeId id, const std::vector<ValueId>& grads);
  void drop_unused();
  ValueId scalar(double value, DataType type);
  NodeId add(Node node);

  Graph graph_;
  ValueId loss_;
  std::vector<ValueId> wanted_;
  FactTable facts_;
  std::vector<NodeId> forward_nodes_;
  std::vector<std::vector<ValueId>> reads_;  // by forward node: inputs, and what bodies capture
  std::vector<bool> marked_;   // by value: depends on a wanted value
  std::vector<bool> on_path_;  // by value: marked, and the loss depends on it
  std::vector<std::vector<ValueId>> contributions_;  // by value: gradients that have arrived
  std::map<std::pair<double, DataType>, ValueId> scalars_;
  NodeId first_backward_ = kNone;
};

/// What a `gradient` facet sees of one forward node.
class NodeGradient final : public GradientContext {
 public:
  NodeGradient(Backward& backward, NodeId id, std::vector<ValueId> grads)
      : backward_(backward), id_(id), node_(backward.graph_.node(id)), grads_(std::move(grads)) {}

  const Graph& graph() const override { return backward_.graph_; }
  const Node& node() const override { return node_; }
  ValueId grad_output(size_t i) const override { return i < grads_.size() ? grads_[i] : kNone; }
  bool wants(size_t i) const override { return input(i) != kNone && backward_.marked_[input(i)]; }
  const Type& type(ValueId id) const override { return backward_.facts_.type(id); }
  const Tensor* constant(ValueId id) const override { return id == kNone ? nullptr : backward_.facts_.constant(id); }

  void set_grad(size_t i, ValueId grad) override {
    if (wants(i) && grad != kNone) backward_.contributions_[input(i)].push_back(grad);
  }

  ValueId add(std::string op_type, std::vector<ValueId> inputs, std::vector<Attribute> attributes) override {
    return add_many(std::move(op_type), std::move(inputs), 1, std::move(attributes))[0];
  }

  std::vector<ValueId> add_many(std::string op_type, std::vector<ValueId> inputs, size_t outputs,
                                std::vector<Attribute> attributes) override {
    Node node;
    const bool internal = find_op(kInternalDomain, op_type) != nullptr;
    node.domain = internal ? kInternalDomain : std::string_view();
    node.version = internal ? 1 : kTrainingOpset;
    node.name = "grad/" + (node_.name.empty() ? node_.op_type : node_.name) + "/" + op_type;
    node.op_type = std::move(op_type);
    node.inputs = std::move(inputs);
    node.attributes = std::move(attributes);
    node.forward_of = id_;
    for (size_t i = 0; i < outputs; ++i) node.outputs.push_back(backward_.graph_.add_value(node.name));
    std::vector<ValueId> made = node.outputs;
    backward_.add(std::move(node));
    return made;
  }

  ValueId scalar(double value, ValueId like) override { return backward_.scalar(value, type(like).elem_type); }

 private:
  Backward& backward_;
  NodeId id_;
  const Node node_;  // a copy: adding nodes moves the graph's own
  std::vector<ValueId> grads_;
};

Backward::Backward(const Graph& forward, ValueId loss, std::span<const ValueId> wanted, const std::map<std::string, Fact>& captured)
    : graph_(forward),
      loss_(loss),
      wanted_(wanted.begin(), wanted.end()),
      facts_(training_facts(forward, wanted, captured)),
      forward_nodes_(forward.nodes().begin(), forward.nodes().end()),
      reads_(forward.node_limit()),
      marked_(forward.value_count(), false),
      on_path_(forward.value_count(), false),
      contributions_(forward.value_count()) {
  for (const NodeId id : forward_nodes_) {
    const Node& node = forward.node(id);
    auto& reads = reads_[static_cast<size_t>(id)];
    const Op* op = find_op(node);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const bool shape_only = op && i < 32 && (op->shape_only_inputs >> i & 1u);
      if (node.has_input(i) && !shape_only) reads.push_back(node.inputs[i]);
    }
    for (const ValueId v : captured_values(forward, node)) reads.push_back(v);
  }
}

void Backward::mark_forward() {
  for (const ValueId id : wanted_) {
    check(id >= 0 && static_cast<size_t>(id) < marked_.size(), "a wanted value of the graph");
    marked_[id] = true;
  }
  for (const NodeId id : forward_nodes_) {
    const Node& node = graph_.node(id);
    const auto& reads = reads_[static_cast<size_t>(id)];
    const bool depends = std::any_of(reads.begin(), reads.end(), [&](ValueId v) { return marked_[v]; });
    if (!depends) continue;
    for (const ValueId v : node.outputs) {
      if (v != kNone && carries_gradient(facts_.type(v), node)) marked_[v] = true;
    }
  }
}

void Backward::mark_path() {
  on_path_[loss_] = marked_[loss_];
  for (auto id = forward_nodes_.rbegin(); id != forward_nodes_.rend(); ++id) {
    const Node& node = graph_.node(*id);
    const bool used = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) { return v != kNone && on_path_[v]; });
    if (!used) continue;
    for (const ValueId v : reads_[static_cast<size_t>(*id)]) {
      if (marked_[v]) on_path_[v] = true;
    }
  }
}

void Backward::check_path() const {
  std::string missing;
  for (const NodeId id : forward_nodes_) {
    const Node& node = graph_.node(id);
    const auto on_path = [&](ValueId v) { return v != kNone && on_path_[v]; };
    const auto& reads = reads_[static_cast<size_t>(id)];
    if (!std::any_of(node.outputs.begin(), node.outputs.end(), on_path)) continue;
    if (!std::any_of(reads.begin(), reads.end(), on_path)) continue;
    const Op* op = find_op(node);
    if (op && op->gradient) continue;
    missing += (missing.empty() ? "" : ", ") + node.where();
  }
  if (missing.empty()) return;
  throw Error(ErrorKind::bad_data, "cannot differentiate through " + missing)
      .hint("freeze the parameters before these nodes, so that no gradient has to pass them; a Loop or Scan of known length can be unrolled first (pass unroll)");
}

void Backward::check_loss() const {
  const Type& type = facts_.type(loss_);
  const bool one = !type.has_rank() || !type.known_dims() || element_count(*type.known_dims()) == 1;
  if (!type.is_tensor() || !is_float(type.elem_type) || !one) {
    throw Error(ErrorKind::bad_data, "loss '" + graph_.value(loss_).name + "' is " + type.str() + ", expected one float element");
  }
}

ValueId Backward::scalar(double value, DataType type) {
  const auto [found, fresh] = scalars_.try_emplace({value, type}, kNone);
  if (!fresh) return found->second;
  found->second = graph_.add_value("grad/constant", Type::tensor(type, Dims{}));
  graph_.set_initializer(found->second, Tensor::scalar(value).cast(type));
  return found->second;
}

NodeId Backward::add(Node node) {
  const NodeId id = graph_.add_node(std::move(node));
  if (first_backward_ == kNone) first_backward_ = id;
  return id;
}

ValueId Backward::seed() {
  const Type& type = facts_.type(loss_);
  const ValueId one = scalar(1, type.elem_type);
  if (type.has_rank() && type.rank() == 0) return one;
  Node node{.op_type = "ExpandLike", .inputs = {one, loss_}, .outputs = {graph_.add_value("grad/loss")}, .attributes = {},
            .name = "grad/loss", .domain = std::string(kInternalDomain), .version = 1, .forward_of = kNone, .rest = {}};
  const ValueId made = node.outputs[0];
  add(std::move(node));
  return made;
}

/// The gradient of a value, once all contributions have arrived.
ValueId Backward::summed(ValueId value) {
  auto& parts = contributions_[value];
  if (parts.empty()) return kNone;
  if (parts.size() > 1) {
    Node node;
    node.op_type = parts.size() == 2 ? "Add" : "Sum";
    node.version = kTrainingOpset;
    node.name = "grad/" + graph_.value(value).name;
    node.inputs = parts;
    node.outputs = {graph_.add_value(node.name)};
    node.forward_of = graph_.producer(value);
    parts = {node.outputs[0]};
    add(std::move(node));
  }
  return parts[0];
}

void Backward::visit(NodeId id) {
  const Node& node = graph_.node(id);
  const auto on_path = [&](ValueId v) { return v != kNone && on_path_[v]; };
  const auto& reads = reads_[static_cast<size_t>(id)];
  if (!std::any_of(node.outputs.begin(), node.outputs.end(), on_path)) return;
  if (!std::any_of(reads.begin(), reads.end(), on_path)) return;
  const Op* op = find_op(node);
  std::vector<ValueId> grads;
  const std::vector<ValueId> outputs = node.outputs;  // summed() adds nodes, which moves them
  for (const ValueId v : outputs) grads.push_back(v == kNone ? kNone : summed(v));
  if (std::all_of(grads.begin(), grads.end(), [](ValueId v) { return v == kNone; })) return;
  if (has_branches(graph_.node(id))) return visit_branches(id, grads);
  NodeGradient context(*this, id, std::move(grads));
  op->gradient(context);
}

/// An If on the same condition, whose branches make the gradients of what they read from outside.
void Backward::visit_branches(NodeId id, const std::vector<ValueId>& grads) {
  const Node forward = graph_.node(id);
  BranchRequest request;
  std::vector<ValueId> wanted;
  for (const ValueId v : captured_values(graph_, forward)) {
    request.facts[graph_.value(v).name] = facts_[v];
    if (!marked_[v]) continue;
    wanted.push_back(v);
    request.wanted.push_back(graph_.value(v).name);
  }
  for (size_t i = 0; i < grads.size(); ++i) {
    request.grads.push_back(grads[i] == kNone ? "" : graph_.value(grads[i]).name);
    if (grads[i] != kNone) request.facts[request.grads.back()] = Fact{facts_.type(forward.outputs[i]), {}, {}};
  }
  Node node;
  node.op_type = forward.op_type;
  node.version = forward.version;
  node.name = "grad/" + (forward.name.empty() ? forward.op_type : forward.name);
  node.inputs = forward.inputs;
  node.forward_of = id;
  for (const char* attribute : {"then_branch", "else_branch"}) {
    node.attributes.push_back({attribute, branch_gradient(*forward.require<Body>(attribute), request), ""});
  }
  for (const ValueId v : wanted) {
    node.outputs.push_back(graph_.add_value("grad/" + graph_.value(v).name));
    contributions_[v].push_back(node.outputs.back());
  }
  add(std::move(node));
}

/// Erases backward nodes whose results nobody reads and omits single outputs that nobody reads.
void Backward::drop_unused() {
  if (first_backward_ == kNone) return;
  const std::vector<NodeId> order(graph_.nodes().begin(), graph_.nodes().end());
  std::set<ValueId> captured;  // by nodes that stay
  for (auto id = order.rbegin(); id != order.rend() && *id >= first_backward_; ++id) {
    std::vector<ValueId> outputs = graph_.node(*id).outputs;
    const auto unused = [&](ValueId v) {
      return v == kNone || (graph_.users(v).empty() && !graph_.is_output(v) && !captured.contains(v));
    };
    if (std::all_of(outputs.begin(), outputs.end(), unused)) {
      graph_.erase_node(*id);
      continue;
    }
    for (const ValueId v : captured_values(graph_, graph_.node(*id))) captured.insert(v);
    std::replace_if(outputs.begin(), outputs.end(), unused, kNone);
    while (outputs.back() == kNone && !has_branches(graph_.node(*id))) outputs.pop_back();  // branches make all of theirs
    if (outputs != graph_.node(*id).outputs) graph_.set_outputs(*id, std::move(outputs));
  }
}

TrainingGraph Backward::build() {
  mark_forward();
  check_loss();
  mark_path();
  check_path();
  graph_.opsets[std::string(kInternalDomain)] = 1;
  if (on_path_[loss_]) contributions_[loss_].push_back(seed());
  for (auto id = forward_nodes_.rbegin(); id != forward_nodes_.rend(); ++id) visit(*id);
  TrainingGraph result;
  result.loss = loss_;
  if (!graph_.is_output(loss_)) graph_.outputs.push_back(loss_);
  for (const ValueId id : wanted_) {
    const ValueId grad = summed(id);
    if (grad == kNone) continue;
    result.gradients.push_back({id, grad});
    graph_.outputs.push_back(grad);
  }
  drop_unused();
  result.graph = std::move(graph_);
  return result;
}

}  // namespace

TrainingGraph differentiate(const Graph& forward, ValueId loss, std::span<const ValueId> wanted) {
  return Backward(forward, loss, wanted, {}).build();
}

TrainingGraph differentiate(const Graph& forward, ValueId loss, std::span<const ValueId> wanted,
                            const std::map<std::string, Fact>& captured) {
  return Backward(forward, loss, wanted, captured).build();
}

}  // namespace espalier
