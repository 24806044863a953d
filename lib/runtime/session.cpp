#include "lib/runtime/session.h"

#include <algorithm>
#include <chrono>

#include "lib/analysis/trainable.h"
#include "lib/analysis/unit_groups.h"
#include "lib/base/error.h"
#include "lib/runtime/session_stage.h"

namespace espalier {
namespace {

constexpr size_t kMostShapes = 64;  // stages kept for one place; where sizes change with every run, old ones go

[[noreturn]] void fail(const std::string& message) { throw Error(ErrorKind::bad_data, message); }

void append_type(std::vector<int64_t>& key, const HostValue& value) {
  if (!value.is_tensor()) {
    key.push_back(-static_cast<int64_t>(value.type().kind));
    return;
  }
  key.push_back(static_cast<int64_t>(value.tensor().type()));
  key.push_back(value.tensor().rank());
  key.insert(key.end(), value.tensor().dims().begin(), value.tensor().dims().end());
}

}  // namespace

Session::Session(const Graph& graph, ParameterStore& store, const CompileOptions& options)
    : graph_(graph), store_(store), options_(options), reads_(graph.node_limit()) {
  for (const auto& [name, dims] : options_.input_shapes) {
    if (graph_.find_value(name) != kNone && graph_.initializer(graph_.find_value(name))) graph_.erase_initializer(graph_.find_value(name));
  }
  for (const ValueId v : graph_.inputs) {
    if (!graph_.initializer(v)) inputs_.push_back(v);
  }
  options_.input_shapes.clear();
  for (const auto& [value, parameter] : options_.gradients) {
    const ValueId v = graph_.find_value(value);
    check(v != kNone, "a gradient that the graph makes: " + value);
    gradients_[v] = parameter;
  }
  options_.gradients.clear();
  choose_live();
  if (!options_.frozen) choose_parameters();
  // Masters are plain, so that an optimizer may ask for them before the first run has compiled anything.
  for (const auto& [v, name] : gradients_) {
    const Tensor& start = *graph_.initializer(graph_.find_value(name));
    store_.gradient(name, Layout::plain(start.type(), start.dims()));
  }
}

Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

void Session::choose_live() {
  wanted_.insert(graph_.outputs.begin(), graph_.outputs.end());
  for (const auto& [v, name] : gradients_) wanted_.insert(v);
  for (const StatePair& pair : graph_.state_pairs) wanted_.insert(pair.output);
  std::set<ValueId> needed = wanted_;
  const auto order = graph_.nodes();
  for (size_t i = order.size(); i-- > 0;) {
    const Node& node = graph_.node(order[i]);
    if (std::none_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) { return v != kNone && needed.contains(v); })) continue;
    if (!find_op(node)) {
      fail(node.where() + ": operator " + (node.domain.empty() ? "" : node.domain + ".") + node.op_type + " (version " +
           std::to_string(node.version) + ") is not known, so the model cannot be run");
    }
    auto& reads = reads_[static_cast<size_t>(order[i])];
    reads = captured_values(graph_, node);
    for (const ValueId v : node.inputs) {
      if (v != kNone) reads.push_back(v);
    }
    needed.insert(reads.begin(), reads.end());
    live_.insert(order[i]);
  }
}

/// What the store holds and may change between runs, so that it is no constant here. In bodies it keeps its name.
void Session::choose_parameters() {
  store_.add(graph_);
  const auto add = [&](ValueId v) {
    if (v != kNone && graph_.initializer(v)) parameters_.insert(v);
  };
  if (options_.parameters) {
    for (const std::string& name : *options_.parameters) add(graph_.find_value(name));
    return;
  }
  for (const ValueId v : trainable_parameters(graph_, infer(graph_))) add(v);
  for (const auto& [v, name] : gradients_) add(graph_.find_value(name));
  for (const StatePair& pair : graph_.state_pairs) add(pair.input);
  for (const NodeId id : graph_.nodes()) {
    const Node& node = graph_.node(id);
    if (node.op_type != "BatchNormalization") continue;
    for (size_t i = 1; i < node.inputs.size(); ++i) add(node.inputs[i]);
  }
}

std::map<std::string, HostValue> Session::run(const std::map<std::string, HostValue>& feeds) {
  for (const auto& [name, value] : feeds) {
    const ValueId v = graph_.find_value(name);
    if (std::find(inputs_.begin(), inputs_.end(), v) == inputs_.end()) fail("the graph has no input '" + name + "' to be fed");
  }
  std::vector<HostValue> given;
  for (const ValueId v : inputs_) {
    const auto found = feeds.find(graph_.value(v).name);
    if (found == feeds.end()) fail("input '" + graph_.value(v).name + "' is not fed");
    given.push_back(found->second);
  }
  const auto made = run(given);
  std::map<std::string, HostValue> result;
  for (size_t i = 0; i < made.size(); ++i) result[graph_.value(graph_.outputs[i]).name] = made[i];
  return result;
}

std::vector<HostValue> Session::run(const std::vector<HostValue>& inputs) {
  check(inputs.size() == inputs_.size(), "one value an input");
  Values values(graph_.value_count());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& declared = graph_.value(inputs_[i]);
    if (!agrees(declared.type, inputs[i])) {
      fail("input '" + declared.name + "' is " + inputs[i].type().str() + ", but the model declares " + declared.type.str());
    }
    values[static_cast<size_t>(inputs_[i])] = inputs[i];
  }
  Stage* stage = &find_stage(first_, inputs_, values, nullptr);
  for (;;) {
    execute(*stage, values);
    if (stage->left.empty()) break;
    stage = &find_stage(stage->next, stage->decides, values, stage);
  }
  profiled_runs_ += profiling_ ? 1 : 0;
  std::vector<HostValue> result;
  for (const ValueId v : graph_.outputs) {
    if (parameters_.contains(v)) values[static_cast<size_t>(v)] = store_.get(graph_.value(v).name);
    else if (const Tensor* constant = graph_.initializer(v)) values[static_cast<size_t>(v)] = *constant;
    result.push_back(values[static_cast<size_t>(v)]);
    if (!result.back().defined() && !gradients_.contains(v)) fail("output '" + graph_.value(v).name + "' was not made");
  }
  return result;
}

Session::Stage& Session::find_stage(Stages& stages, const std::vector<ValueId>& decides, const Values& values,
                                    const Stage* before) {
  std::vector<int64_t> key;
  for (const ValueId v : decides) append_type(key, values[static_cast<size_t>(v)]);
  const auto found = stages.find(key);
  if (found != stages.end()) return *found->second;
  if (stages.size() >= kMostShapes) stages.clear();
  auto stage = make_stage(values, before);
  return *(stages[std::move(key)] = std::move(stage));
}

void Session::execute(Stage& stage, Values& values) {
  for (const auto& [v, tensor] : stage.constants) values[static_cast<size_t>(v)] = tensor;
  if (stage.plan) {
    for (const ValueId v : stage.reads) stage.plan->feed(graph_.value(v).name, values[static_cast<size_t>(v)].tensor());
    stage.plan->run();
    for (const ValueId v : stage.makes) values[static_cast<size_t>(v)] = stage.plan->output_tensor(graph_.value(v).name);
  }
  for (const NodeId id : stage.by_reference) run_node(stage, id, values);
  deliver(stage, values);
  for (const ValueId v : stage.last_read) values[static_cast<size_t>(v)] = HostValue();
}

void Session::run_node(Stage& stage, NodeId id, Values& values) {
  using Clock = std::chrono::steady_clock;
  const auto start = profiling_ ? Clock::now() : Clock::time_point();
  const Node& node = graph_.node(id);
  std::vector<const HostValue*> inputs(node.inputs.size(), nullptr);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!node.has_input(i)) continue;
    HostValue& value = values[static_cast<size_t>(node.inputs[i])];
    if (parameters_.contains(node.inputs[i])) value = store_.get(graph_.value(node.inputs[i]).name);
    check(value.defined(), "a value that was made: " + graph_.value(node.inputs[i]).name);
    inputs[i] = &value;
  }
  auto made = evaluate_values(graph_, id, inputs, [&](std::string_view attribute, const std::vector<HostValue>& given) {
    return run_body(stage, id, attribute, given, values);
  });
  for (size_t i = 0; i < made.size(); ++i) {
    if (node.has_output(i)) values[static_cast<size_t>(node.outputs[i])] = std::move(made[i]);
  }
  if (profiling_) stage.spent[id] += std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

template <class Visit>
void Session::for_each_stage(Visit&& visit) const {
  std::vector<const Stages*> open = {&first_};
  while (!open.empty()) {
    const Stages& stages = *open.back();
    open.pop_back();
    for (const auto& [key, stage] : stages) {
      visit(*stage);
      open.push_back(&stage->next);
    }
  }
}

PlanCounters Session::counters() const {
  PlanCounters sum;
  const auto add = [&](const PlanCounters& c) {
    sum.steps += c.steps;
    sum.activation_reorders += c.activation_reorders;
    sum.inner_reorders += c.inner_reorders;
    sum.weight_reorders += c.weight_reorders;
    sum.fallback_steps += c.fallback_steps;
    sum.arena_bytes += c.arena_bytes;
  };
  for_each_stage([&](const Stage& stage) {
    if (stage.plan) add(stage.plan->counters());
    sum.steps += static_cast<int64_t>(stage.by_reference.size());
    sum.fallback_steps += static_cast<int64_t>(stage.by_reference.size());
    for (const auto& [key, body] : stage.bodies) add(body.session->counters());
  });
  return sum;
}

size_t Session::compiled_plans() const {
  size_t count = 0;
  for_each_stage([&](const Stage& stage) {
    count += stage.plan ? 1 : 0;
    for (const auto& [key, body] : stage.bodies) count += body.session->compiled_plans();
  });
  return count;
}

void Session::set_profiling(bool on) {
  profiling_ = on;
  profiled_runs_ = 0;
  for_each_stage([&](const Stage& stage) {
    if (stage.plan) stage.plan->set_profiling(on);
    const_cast<Stage&>(stage).spent.clear();
    for (const auto& [key, body] : stage.bodies) body.session->set_profiling(on);
  });
}

std::vector<StepProfile> Session::profile() const {
  std::vector<StepProfile> result;
  for_each_stage([&](const Stage& stage) {
    if (stage.plan) {
      for (StepProfile& step : stage.plan->profile()) result.push_back(std::move(step));
    }
    for (const auto& [id, nanoseconds] : stage.spent) {
      const Node& node = graph_.node(id);
      const double runs = static_cast<double>(std::max<int64_t>(profiled_runs_, 1));
      result.push_back({node.name, node.op_type, "reference", static_cast<double>(nanoseconds) * 1e-6 / runs, 0});
    }
  });
  return result;
}

}  // namespace espalier
