#include "passes/simplify/unroll.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "lib/analysis/infer.h"
#include "passes/rewrite.h"

namespace espalier::passes {
namespace {

constexpr int kAxesAreInputsSince = 13;

bool is_true(const Tensor* t) { return t && t->type() == DataType::boolean && t->size() == 1 && t->data<bool>()[0]; }

/// What is known of the values that the body reads from outside.
std::map<std::string, Fact> captured_facts(const Graph& graph, const FactTable& facts, const Graph& body) {
  std::map<std::string, Fact> result;
  for (size_t i = 0; i < body.value_count(); ++i) {
    const Value& value = body.value(static_cast<ValueId>(i));
    const ValueId outer = value.captured ? graph.find_value(value.name) : kNone;
    if (outer != kNone) result[value.name] = facts[outer];
  }
  return result;
}

/// A constant of the form in which the body declares its input i.
Tensor control_tensor(const Graph& body, size_t i, const Tensor& value) {
  const Type& declared = body.value(body.inputs.at(i)).type;
  return declared.has_rank() && declared.rank() == 1 ? value.reshaped({1}) : value;
}

Fact known(const Tensor& tensor) { return {Type::tensor(tensor.type(), tensor.dims()), tensor, {}}; }

/// Iteration by iteration, as far as the condition follows from constants; nothing beyond `most`.
std::optional<int64_t> trips_of_loop(const Graph& graph, const FactTable& facts, NodeId id, int64_t most) {
  const Node& node = graph.node(id);
  const Graph& body = *node.require<Body>("body");
  int64_t limit = most + 1;
  if (node.has_input(0)) {
    const Tensor* count = facts.constant(node.inputs[0]);
    if (!count || count->size() != 1) return std::nullopt;
    limit = std::min(limit, std::max<int64_t>(0, count->to_int64s()[0]));
  }
  if (node.inputs.size() > 1 && node.has_input(1) && !is_true(facts.constant(node.inputs[1]))) return std::nullopt;
  InferOptions options;
  options.captured = captured_facts(graph, facts, body);
  options.fold_macs = 1 << 16;
  std::vector<Fact> states;
  for (size_t i = 2; i < node.inputs.size(); ++i) states.push_back(facts[node.inputs[i]]);
  for (int64_t t = 0; t < limit; ++t) {
    options.body_inputs = {known(control_tensor(body, 0, Tensor::scalar(t))), known(control_tensor(body, 1, Tensor::scalar(true)))};
    options.body_inputs.insert(options.body_inputs.end(), states.begin(), states.end());
    const FactTable made = infer(body, options);
    const Tensor* on = made.constant(body.outputs.at(0));
    if (!on || on->type() != DataType::boolean || on->size() != 1) return std::nullopt;
    if (!is_true(on)) return t + 1;
    for (size_t i = 0; i < states.size(); ++i) states[i] = made[body.outputs.at(i + 1)];
  }
  return limit;
}

std::optional<int64_t> trips_of_scan(const Graph& graph, const FactTable& facts, NodeId id) {
  const Node& node = graph.node(id);
  if (node.version < 9) return std::nullopt;
  const auto scans = static_cast<size_t>(node.require<int64_t>("num_scan_inputs"));
  const Type& first = facts.type(node.inputs.at(node.inputs.size() - scans));
  const auto axes = node.get<std::vector<int64_t>>("scan_input_axes", std::vector<int64_t>(scans, 0));
  if (!first.has_rank()) return std::nullopt;
  const Dim size = (*first.dims)[static_cast<size_t>(normalize_axis(axes.at(0), first.rank()))];
  return size.known() ? std::optional(size.value()) : std::nullopt;
}

/// One node on its way out of its graph.
class Unrolling {
 public:
  Unrolling(Graph& graph, NodeId id) : graph_(graph), id_(id), node_(graph.node(id)), body_(node_.require<Body>("body")) {
    collect_names(graph_, taken_);
    for (const auto& [v, initializer] : body_->initializers()) {
      shared_[v] = graph_.add_value(fresh(body_->value(v).name), body_->value(v).type);
      graph_.set_initializer(shared_[v], initializer);
    }
  }

  void run(int64_t trips) {
    const std::vector<ValueId> results = node_.outputs;
    graph_.set_outputs(id_, std::vector<ValueId>(results.size(), kNone));
    const bool loop = node_.op_type == "Loop";
    const size_t scans = loop ? 0 : static_cast<size_t>(node_.require<int64_t>("num_scan_inputs"));
    const size_t first = loop ? 2 : 0, states = node_.inputs.size() - first - scans, lead = loop ? 1 : 0;
    std::vector<ValueId> state(node_.inputs.begin() + static_cast<ptrdiff_t>(first), node_.inputs.begin() + static_cast<ptrdiff_t>(first + states));
    std::vector<std::vector<ValueId>> rows(results.size() - states);
    for (int64_t t = 0; t < trips; ++t) {
      std::vector<ValueId> inputs;
      if (loop) inputs = {control(0, Tensor::scalar(t)), control(1, Tensor::scalar(true))};
      inputs.insert(inputs.end(), state.begin(), state.end());
      for (size_t k = 0; k < scans; ++k) inputs.push_back(entry(k, states, t, trips));
      const std::vector<ValueId> made = iterate(inputs, t);
      for (size_t i = 0; i < states; ++i) state[i] = made[lead + i];
      for (size_t i = 0; i < rows.size(); ++i) rows[i].push_back(made[lead + states + i]);
    }
    for (size_t i = 0; i < results.size(); ++i) {
      if (results[i] == kNone) continue;
      if (i < states) add("Identity", {state[i]}, {}, results[i]);
      else stack(rows[i - states], i - states, results[i]);
    }
    graph_.erase_node(id_);
  }

 private:
  int64_t listed(const char* attribute, size_t i) const {
    const auto values = node_.get<std::vector<int64_t>>(attribute, {});
    return i < values.size() ? values[i] : 0;
  }

  std::string fresh(const std::string& name) {
    std::string free = name;
    for (int n = 1; taken_.contains(free); ++n) free = name + "_" + std::to_string(n);
    taken_.insert(free);
    return free;
  }

  ValueId constant(const std::string& name, Tensor tensor) {
    const ValueId v = graph_.add_value(fresh(name));
    graph_.set_initializer(v, std::move(tensor));
    return v;
  }

  /// The iteration or the condition.
  ValueId control(size_t i, const Tensor& value) { return constant(body_->value(body_->inputs[i]).name, control_tensor(*body_, i, value)); }

  ValueId add(std::string op_type, std::vector<ValueId> inputs, std::vector<Attribute> attributes, ValueId to = kNone) {
    Node node;
    node.op_type = std::move(op_type);
    node.version = graph_.opset();
    node.inputs = std::move(inputs);
    node.attributes = std::move(attributes);
    if (to == kNone) to = graph_.add_value(fresh(node_.name.empty() ? node_.op_type : node_.name));
    node.outputs = {to};
    graph_.add_node(std::move(node), id_);
    return to;
  }

  /// What scanned input k gives to iteration t.
  ValueId entry(size_t k, size_t states, int64_t t, int64_t trips) {
    const int64_t at = listed("scan_input_directions", k) != 0 ? trips - 1 - t : t;
    return add("Gather", {node_.inputs[states + k], constant("position", Tensor::scalar(at))}, {{"axis", listed("scan_input_axes", k), {}}});
  }

  void stack(std::vector<ValueId> rows, size_t k, ValueId to) {
    const bool scan = node_.op_type == "Scan";
    const int64_t axis = scan ? listed("scan_output_axes", k) : 0;
    if (scan && listed("scan_output_directions", k) != 0) std::reverse(rows.begin(), rows.end());
    for (ValueId& row : rows) {
      if (graph_.opset() < kAxesAreInputsSince) row = add("Unsqueeze", {row}, {{"axes", std::vector<int64_t>{axis}, {}}});
      else row = add("Unsqueeze", {row, constant("axis", Tensor::of<int64_t>({1}, {axis}))}, {});
    }
    add("Concat", std::move(rows), {{"axis", axis, {}}}, to);
  }

  /// The body once more; returns its outputs.
  std::vector<ValueId> iterate(const std::vector<ValueId>& inputs, int64_t t) {
    std::vector<ValueId> values(body_->value_count(), kNone);
    std::map<std::string, std::string> names;
    for (size_t i = 0; i < inputs.size(); ++i) values[static_cast<size_t>(body_->inputs[i])] = inputs[i];
    for (const auto& [inside, outside] : shared_) values[static_cast<size_t>(inside)] = outside;
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] == kNone) values[i] = place(static_cast<ValueId>(i));
      const std::string &inside = body_->value(static_cast<ValueId>(i)).name, &outside = graph_.value(values[i]).name;
      if (inside != outside) names[inside] = outside;
    }
    for (const NodeId n : body_->nodes()) {
      Node node = body_->node(n);
      if (!node.name.empty()) node.name += "_" + std::to_string(t);
      for (ValueId& v : node.inputs) v = v == kNone ? kNone : values[static_cast<size_t>(v)];
      for (ValueId& v : node.outputs) v = v == kNone ? kNone : values[static_cast<size_t>(v)];
      for (Attribute& a : node.attributes) {
        if (auto* inner = std::get_if<Body>(&a.value)) *inner = rename_captured(*inner, names);
      }
      graph_.add_node(std::move(node), id_);
    }
    std::vector<ValueId> made;
    for (const ValueId v : body_->outputs) made.push_back(values[static_cast<size_t>(v)]);
    return made;
  }

  ValueId place(ValueId v) {
    const Value& value = body_->value(v);
    if (!value.captured) return graph_.add_value(fresh(value.name));
    const ValueId outer = graph_.find_value(value.name);
    if (outer != kNone) return outer;
    const ValueId further_out = graph_.add_value(value.name);
    graph_.value(further_out).captured = true;
    return further_out;
  }

  Graph& graph_;
  NodeId id_;
  const Node node_;
  Body body_;
  std::set<std::string> taken_;
  std::map<ValueId, ValueId> shared_;
};

constexpr PassOption kOptions[] = {
    {.name = "most", .kind = PassOption::Kind::integer, .fallback = "64", .help = "iterations up to which a Loop or Scan is unrolled", .least = 1, .most = 4096},
};
constexpr PassCounter kCounters[] = {{"unrolled", "Loop and Scan nodes replaced by the copies of their bodies"}};

int64_t unroll_all(Graph& graph, int64_t most) {
  const std::vector<NodeId> nodes(graph.nodes().begin(), graph.nodes().end());
  const auto runs_a_body = [&](NodeId id) {
    const Node& node = graph.node(id);
    return node.domain.empty() && (node.op_type == "Loop" || node.op_type == "Scan") && find_op(node);
  };
  if (std::none_of(nodes.begin(), nodes.end(), runs_a_body)) return 0;
  const FactTable facts = infer(graph);
  int64_t unrolled = 0;
  for (const NodeId id : nodes) {
    if (!runs_a_body(id)) continue;
    const auto trips = graph.node(id).op_type == "Loop" ? trips_of_loop(graph, facts, id, most) : trips_of_scan(graph, facts, id);
    if (!trips || *trips < 1 || *trips > most) continue;
    const auto tensors = [&](ValueId v) { return v == kNone || facts.type(v).is_tensor(); };
    const Node& node = graph.node(id);
    if (!std::all_of(node.inputs.begin(), node.inputs.end(), tensors) || !std::all_of(node.outputs.begin(), node.outputs.end(), tensors)) continue;
    Unrolling(graph, id).run(*trips);
    ++unrolled;
  }
  return unrolled;
}

void run(PassContext& context) {
  const int64_t most = context.options().integer("most");
  context.count("unrolled", edit_graphs(context.graph(), [most](Graph& graph) { return unroll_all(graph, most); }));
}

}  // namespace

extern const Pass unroll;
const Pass unroll = {.name = "unroll",
                     .summary = "replace a Loop or Scan of known length by copies of its body",
                     .contract = Contract::equal,
                     .options = kOptions,
                     .counters = kCounters,
                     .run = run};

}  // namespace espalier::passes
