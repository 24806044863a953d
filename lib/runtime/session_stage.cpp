#include "lib/runtime/session_stage.h"

#include <algorithm>

#include "lib/base/error.h"

namespace espalier {
namespace {

constexpr int64_t kFewElements = 4096;  // below, a stage of no multiply-accumulates is not worth a plan

bool has_body(const Node& node) {
  return std::any_of(node.attributes.begin(), node.attributes.end(),
                     [](const Attribute& a) { return std::holds_alternative<Body>(a.value); });
}

/// A tensor as plans hold it: sizes known and not zero, no strings.
bool plan_holds(const Fact& fact) {
  if (fact.constant) return fact.type.elem_type != DataType::string;
  if (!fact.type.is_tensor() || fact.type.elem_type == DataType::undefined || fact.type.elem_type == DataType::string) return false;
  const auto dims = fact.type.known_dims();
  return dims && std::all_of(dims->begin(), dims->end(), [](int64_t size) { return size > 0; });
}

bool is_tensor_like(const Fact& fact) { return fact.type.kind == Type::Kind::tensor || fact.type.kind == Type::Kind::unknown; }

}  // namespace

/// Sorts the nodes that are left into those of the stage's plan, those it runs by reference and those behind it.
class StageMaker {
 public:
  enum class State : char { none, ready, planned, referred };

  StageMaker(const Graph& graph, const FactTable& facts, const std::vector<std::vector<ValueId>>& reads)
      : graph_(graph), facts_(facts), reads_(reads), state_(graph.value_count(), State::none) {}

  void ready(ValueId v) { state_[static_cast<size_t>(v)] = State::ready; }

  void sort(const std::set<NodeId>& nodes) {
    for (const NodeId id : graph_.nodes()) {
      if (nodes.contains(id)) place(id);
    }
  }

  std::vector<NodeId> planned, referred;
  std::set<NodeId> left;
  std::vector<ValueId> constants;
  int64_t macs = 0, elements = 0;

 private:
  State state(ValueId v) const { return state_[static_cast<size_t>(v)]; }

  void place(NodeId id) {
    const Node& node = graph_.node(id);
    if (all_constant(node)) {
      for (const ValueId v : node.outputs) {
        if (v != kNone) constants.push_back(v), ready(v);
      }
      return;
    }
    const auto& reads = reads_[static_cast<size_t>(id)];
    State last = State::ready;
    for (const ValueId v : reads) {
      if (state(v) == State::none) return leave(id);
      last = std::max(last, state(v));
    }
    if (last != State::referred && plannable(node)) return plan(id);
    if (last != State::referred || !only_tensors(node)) return refer(id);
    leave(id);
  }

  bool all_constant(const Node& node) const {
    return std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) { return v == kNone || facts_.constant(v); });
  }
  bool plannable(const Node& node) const {
    const auto holds = [&](ValueId v) { return v == kNone || plan_holds(facts_[v]); };
    return !has_body(node) && std::all_of(node.inputs.begin(), node.inputs.end(), holds) &&
           std::all_of(node.outputs.begin(), node.outputs.end(), holds);
  }
  /// Whether the node may still be one for a plan when sizes are known.
  bool only_tensors(const Node& node) const {
    const auto tensor = [&](ValueId v) { return v == kNone || is_tensor_like(facts_[v]); };
    return !has_body(node) && std::all_of(node.inputs.begin(), node.inputs.end(), tensor) &&
           std::all_of(node.outputs.begin(), node.outputs.end(), tensor);
  }

  void plan(NodeId id) {
    const Node& node = graph_.node(id);
    const Op* op = find_op(node);
    if (op->cost) macs += op->cost(facts_.context(graph_, id)).macs;
    for (const ValueId v : node.outputs) {
      if (v == kNone) continue;
      elements += element_count(*facts_.type(v).known_dims());
      state_[static_cast<size_t>(v)] = State::planned;
    }
    planned.push_back(id);
  }
  void refer(NodeId id) {
    for (const ValueId v : graph_.node(id).outputs) {
      if (v != kNone) state_[static_cast<size_t>(v)] = State::referred;
    }
    referred.push_back(id);
  }
  void leave(NodeId id) { left.insert(id); }

  const Graph& graph_;
  const FactTable& facts_;
  const std::vector<std::vector<ValueId>>& reads_;
  std::vector<State> state_;
};

namespace {

/// The graph of the nodes that are left, with what has been made as inputs of exact types.
Graph rest_of(const Graph& graph, const std::vector<HostValue>& values, const std::set<NodeId>& left,
              const std::vector<std::pair<ValueId, Tensor>>& known, InferOptions& options) {
  Graph rest = graph;
  const std::vector<NodeId> nodes(graph.nodes().begin(), graph.nodes().end());
  for (const NodeId id : nodes) {
    if (!left.contains(id)) rest.erase_node(id);
  }
  rest.inputs.clear();
  rest.outputs.clear();
  rest.state_pairs.clear();
  for (const auto& [v, tensor] : known) rest.set_initializer(v, tensor);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto v = static_cast<ValueId>(i);
    if (!values[i].defined() || rest.initializer(v)) continue;
    rest.inputs.push_back(v);
    rest.value(v).type = values[i].type();
    if (values[i].is_tensor()) options.input_dims[rest.value(v).name] = values[i].tensor().dims();
  }
  return rest;
}

/// The nodes of a plan alone, with `reads` and `makes` as its inputs and outputs.
Graph part_of(const Graph& rest, const FactTable& facts, const std::vector<NodeId>& nodes, const std::vector<ValueId>& reads,
              const std::vector<ValueId>& makes) {
  Graph part = rest;
  const std::set<NodeId> kept(nodes.begin(), nodes.end());
  const std::vector<NodeId> all(rest.nodes().begin(), rest.nodes().end());
  for (const NodeId id : all) {
    if (!kept.contains(id)) part.erase_node(id);
  }
  for (const NodeId id : nodes) {
    for (const ValueId v : rest.node(id).inputs) {
      if (v != kNone && facts.constant(v) && !part.initializer(v)) part.set_initializer(v, *facts.constant(v));
    }
  }
  part.inputs = reads;
  part.outputs = makes;
  return part;
}

}  // namespace

std::unique_ptr<Session::Stage> Session::make_stage(const Values& values, const Stage* before) {
  auto stage = std::make_unique<Stage>();
  InferOptions options;
  const std::set<NodeId>& left = before ? before->left : live_;
  if (before) stage->known = before->known;
  Graph& rest = stage->graph = rest_of(graph_, values, left, stage->known, options);
  for (const ValueId v : parameters_) {
    const Tensor& tensor = *rest.initializer(v);
    options.captured[rest.value(v).name] = Fact{Type::tensor(tensor.type(), tensor.dims()), {}, {}};
    options.fed.insert(rest.value(v).name);
    rest.value(v).captured = true;
  }
  stage->facts = infer(rest, options);
  StageMaker maker(rest, stage->facts, reads_);
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].defined()) maker.ready(static_cast<ValueId>(i));
  }
  for (const auto& [v, initializer] : rest.initializers()) maker.ready(v);
  maker.sort(left);
  for (const ValueId v : parameters_) rest.value(v).captured = false;
  finish_stage(*stage, maker, values);
  return stage;
}

/// Chooses what the plan reads and makes, compiles it, and says what ends with this stage.
void Session::finish_stage(Stage& stage, StageMaker& maker, const Values& values) {
  stage.left = std::move(maker.left);
  const bool few = maker.macs == 0 && maker.elements <= kFewElements && !delivers(maker.planned);
  if (few) {
    // In the graph's order: planned nodes never read what a referred one makes, so they come first.
    stage.by_reference = std::move(maker.planned);
    maker.planned.clear();
  }
  stage.by_reference.insert(stage.by_reference.end(), maker.referred.begin(), maker.referred.end());
  std::set<ValueId> made, needed = wanted_, read;
  for (const NodeId id : maker.planned) {
    for (const ValueId v : graph_.node(id).outputs) {
      if (v != kNone && !stage.facts.constant(v)) made.insert(v);
    }
    for (const ValueId v : reads_[static_cast<size_t>(id)]) read.insert(v);
  }
  const auto need = [&](NodeId id) { needed.insert(reads_[static_cast<size_t>(id)].begin(), reads_[static_cast<size_t>(id)].end()); };
  std::for_each(stage.by_reference.begin(), stage.by_reference.end(), need);
  std::set<ValueId> later = wanted_;
  for (const NodeId id : stage.left) {
    need(id);
    later.insert(reads_[static_cast<size_t>(id)].begin(), reads_[static_cast<size_t>(id)].end());
  }
  for (const ValueId v : made) {
    if (needed.contains(v)) stage.makes.push_back(v);
  }
  for (const ValueId v : read) {
    if (!made.contains(v) && !graph_.initializer(v) && !stage.facts.constant(v)) stage.reads.push_back(v);
  }
  for (const ValueId v : maker.constants) {
    if (later.contains(v)) stage.known.emplace_back(v, *stage.facts.constant(v));
  }
  std::set<ValueId> referred = wanted_;
  for (const NodeId id : stage.by_reference) {
    referred.insert(reads_[static_cast<size_t>(id)].begin(), reads_[static_cast<size_t>(id)].end());
  }
  for (const ValueId v : referred) {
    if (const Tensor* constant = stage.facts.constant(v)) stage.constants.emplace_back(v, *constant);
  }
  for (const NodeId id : maker.referred) {
    for (const ValueId v : graph_.node(id).outputs) {
      if (v != kNone && later.contains(v)) stage.decides.push_back(v);
    }
  }
  const auto end = [&](ValueId v) {
    if (!later.contains(v) && !graph_.initializer(v)) stage.last_read.push_back(v);
  };
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].defined()) end(static_cast<ValueId>(i));
  }
  for (const NodeId id : stage.by_reference) {
    for (const ValueId v : graph_.node(id).outputs) {
      if (v != kNone) end(v);
    }
  }
  std::for_each(stage.makes.begin(), stage.makes.end(), end);
  compile(stage, maker.planned);
}

/// Whether the nodes make what a plan hands to the store: gradients and states.
bool Session::delivers(const std::vector<NodeId>& nodes) const {
  const auto goes_to_store = [&](ValueId v) {
    return gradients_.contains(v) || std::any_of(graph_.state_pairs.begin(), graph_.state_pairs.end(),
                                                 [&](const StatePair& pair) { return pair.output == v; });
  };
  return std::any_of(nodes.begin(), nodes.end(), [&](NodeId id) {
    const auto& outputs = graph_.node(id).outputs;
    return std::any_of(outputs.begin(), outputs.end(), goes_to_store);
  });
}

CompileOptions Session::part_options() const {
  CompileOptions options = options_;
  options.parameters.emplace();
  for (const ValueId v : parameters_) options.parameters->insert(graph_.value(v).name);
  return options;
}

void Session::compile(Stage& stage, const std::vector<NodeId>& nodes) {
  if (nodes.empty()) return;
  Graph part = part_of(stage.graph, stage.facts, nodes, stage.reads, stage.makes);
  CompileOptions options = part_options();
  options.single = true;
  for (const ValueId v : stage.reads) options.input_shapes[part.value(v).name] = *stage.facts.type(v).known_dims();
  for (const ValueId v : stage.makes) {
    const auto gradient = gradients_.find(v);
    if (gradient != gradients_.end()) options.gradients[part.value(v).name] = gradient->second;
  }
  for (const StatePair& pair : graph_.state_pairs) {
    if (std::find(stage.makes.begin(), stage.makes.end(), pair.output) != stage.makes.end()) part.state_pairs.push_back(pair);
  }
  stage.plan = std::make_unique<Plan>(part, store_, options);
  stage.plan->set_profiling(profiling_);
  std::erase_if(stage.makes, [&](ValueId v) { return gradients_.contains(v); });
}

SessionBody Session::make_body(const Stage& stage, NodeId id, std::string_view attribute) const {
  Graph body = *graph_.node(id).require<Body>(attribute);
  SessionBody result;
  const FactTable* inside = stage.facts.body(id, attribute);
  for (const ValueId v : body.inputs) {
    body.erase_initializer(v);
    body.value(v).type = Type();  // sizes were written for one trip; what is fed says them
    const Tensor* constant = inside ? inside->constant(v) : nullptr;
    result.fed.push_back(!constant);
    if (constant) body.set_initializer(v, *constant);
  }
  for (const std::string& name : body.captured_by_bodies()) {
    if (body.find_value(name) == kNone) body.value(body.add_value(name)).captured = true;
  }
  for (size_t i = 0; i < body.value_count(); ++i) {
    const auto v = static_cast<ValueId>(i);
    if (!body.value(v).captured) continue;
    const ValueId outer = graph_.find_value(body.value(v).name);
    if (outer == kNone) continue;  // nobody reads it
    body.value(v).captured = false;
    body.value(v).type = Type();
    const Tensor* constant = graph_.initializer(outer) ? graph_.initializer(outer) : stage.facts.constant(outer);
    if (constant) {
      body.set_initializer(v, *constant);
    } else {
      body.inputs.push_back(v);
      result.captured.push_back(outer);
    }
  }
  const CompileOptions options = part_options();
  result.session = std::make_unique<Session>(body, store_, options);
  result.session->set_profiling(profiling_);
  return result;
}

std::vector<HostValue> Session::run_body(Stage& stage, NodeId id, std::string_view attribute, const std::vector<HostValue>& inputs,
                                         const Values& values) {
  SessionBody& body = stage.bodies[{id, std::string(attribute)}];
  if (!body.session) body = make_body(stage, id, attribute);
  std::vector<HostValue> given;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (body.fed[i]) given.push_back(inputs[i]);
  }
  for (const ValueId v : body.captured) given.push_back(values[static_cast<size_t>(v)]);
  return body.session->run(given);
}

/// A gradient that no plan made, brought to the master's layout.
void Session::deliver(Stage& stage, const Values& values) {
  for (const auto& [v, parameter] : gradients_) {
    const bool made = std::any_of(stage.by_reference.begin(), stage.by_reference.end(), [&](NodeId id) {
      const auto& outputs = graph_.node(id).outputs;
      return std::find(outputs.begin(), outputs.end(), v) != outputs.end();
    });
    const Tensor* constant = stage.facts.constant(v);
    if (!made && !constant) continue;
    const Tensor& grad = constant ? *constant : values[static_cast<size_t>(v)].tensor();
    auto& plan = stage.deliveries[v];
    if (!plan) {
      Graph part;
      const ValueId alone = part.add_value(graph_.value(v).name, Type::tensor(grad.type(), grad.dims()));
      part.inputs = part.outputs = {alone};
      CompileOptions options;
      options.single = true;
      options.gradients[part.value(alone).name] = parameter;
      plan = std::make_unique<Plan>(part, store_, options);
    }
    plan->feed(graph_.value(v).name, grad);
    plan->run();
  }
}

}  // namespace espalier
