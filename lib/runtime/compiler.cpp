#include "lib/runtime/compiler.h"

#include <algorithm>
#include <cstring>

#include "lib/analysis/trainable.h"
#include "lib/base/error.h"
#include "lib/kernels/reorder.h"
#include "lib/ops/op.h"
#include "lib/runtime/expand.h"

namespace espalier {
namespace {

class CopyBytes : public Kernel {
 public:
  explicit CopyBytes(size_t bytes) : bytes_(bytes) {}
  void bind(std::span<void* const> args) override { from_ = args[0], to_ = args[1]; }
  void run() override { std::memcpy(to_, from_, bytes_); }

 private:
  size_t bytes_;
  void *from_ = nullptr, *to_ = nullptr;
};

InferOptions infer_options(const CompileOptions& options) {
  InferOptions result;
  result.input_dims = options.input_shapes;
  return result;
}

Layout plain_layout(const Graph& graph, const FactTable& facts, ValueId v) {
  const auto dims = facts.type(v).known_dims();
  if (!dims) {
    throw Error(ErrorKind::bad_data, "value '" + graph.value(v).name + "' has type " + facts.type(v).str() +
                                         ", but a plan needs known sizes")
        .hint("give the sizes of all inputs");
  }
  return Layout::plain(facts.type(v).elem_type, *dims);
}

}  // namespace

Compiler::Compiler(const Graph& graph, ParameterStore& store, const CompileOptions& options)
    : graph_(graph), store_(store), options_(options) {
  choose_parameters(graph);
  for (const auto& [value, parameter] : options.gradients) {
    const ValueId v = graph_.find_value(value);
    check(v != kNone, "a gradient that the graph makes: " + value);
    gradients_[v] = parameter;
  }
}

/// What may change while the plan lives: weights, statistics and states. Everything else is constant and folded.
void Compiler::choose_parameters(const Graph& original) {
  facts_ = infer(graph_, infer_options(options_));
  if (expand_operators(graph_, facts_)) facts_ = infer(graph_, infer_options(options_));
  if (!options_.frozen) {
    store_.add(original);
    const auto add = [&](ValueId v) {
      if (v != kNone && graph_.initializer(v) && store_.contains(graph_.value(v).name)) parameters_.insert(v);
    };
    if (options_.parameters) {
      for (const std::string& name : *options_.parameters) add(graph_.find_value(name));
    } else {
      for (const ValueId v : trainable_parameters(graph_, facts_)) add(v);
      for (const StatePair& pair : graph_.state_pairs) add(pair.input);
      for (const NodeId id : graph_.nodes()) {
        const Node& node = graph_.node(id);
        if (node.op_type != "BatchNormalization") continue;
        for (size_t i = 1; i < node.inputs.size(); ++i) add(node.inputs[i]);
      }
    }
  }
  replace_names();
  InferOptions options = infer_options(options_);
  for (const ValueId v : parameters_) {
    const Tensor& tensor = *graph_.initializer(v);
    options.captured[graph_.value(v).name] = Fact{Type::tensor(tensor.type(), tensor.dims()), {}, {}};
    graph_.erase_initializer(v);
    std::erase(graph_.inputs, v);
    graph_.value(v).captured = true;
  }
  facts_ = infer(graph_, options);
}

/// Another name of a parameter (exporters share weights by Identity) is the parameter: in any layout for nothing.
void Compiler::replace_names() {
  for (const NodeId id : graph_.nodes()) {
    const Node& node = graph_.node(id);
    if (node.op_type != "Identity" || !node.domain.empty() || node.outputs.size() != 1 || !node.has_input(0)) continue;
    const ValueId name = node.outputs[0];
    const bool is_output = std::find(graph_.outputs.begin(), graph_.outputs.end(), name) != graph_.outputs.end();
    if (is_parameter(node.inputs[0]) && !is_output) graph_.replace_uses(name, node.inputs[0]);
  }
}

std::set<ValueId> Compiler::wanted() const {
  std::set<ValueId> result(graph_.outputs.begin(), graph_.outputs.end());
  for (const auto& [v, name] : gradients_) result.insert(v);
  for (const StatePair& pair : graph_.state_pairs) result.insert(pair.output);
  return result;
}

std::vector<NodeId> Compiler::live_nodes() const {
  std::set<ValueId> needed = wanted();
  std::vector<NodeId> live;
  const auto order = graph_.nodes();
  for (size_t i = order.size(); i-- > 0;) {
    const Node& node = graph_.node(order[i]);
    bool makes = false;
    for (const ValueId v : node.outputs) makes |= v != kNone && needed.contains(v) && !facts_.constant(v);
    if (!makes) continue;
    live.push_back(order[i]);
    const Op* op = find_op(node);
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      if (!node.has_input(k) || (op && k < 32 && op->shape_only_inputs >> k & 1u)) continue;
      needed.insert(node.inputs[k]);
    }
  }
  std::reverse(live.begin(), live.end());
  return live;
}

bool Compiler::is_static() const {
  const auto sized = [&](ValueId v) {
    if (v == kNone) return true;
    const Type& type = facts_.type(v);
    return type.is_tensor() && type.elem_type != DataType::string && type.known_dims();
  };
  const auto live = live_nodes();
  return std::all_of(live.begin(), live.end(), [&](NodeId id) {
    const Node& node = graph_.node(id);
    const bool bodies = std::any_of(node.attributes.begin(), node.attributes.end(),
                                    [](const Attribute& a) { return std::holds_alternative<Body>(a.value); });
    if (!find_op(node)) return true;
    return !bodies && std::all_of(node.inputs.begin(), node.inputs.end(), sized) &&
           std::all_of(node.outputs.begin(), node.outputs.end(), sized);
  });
}

void Compiler::place_inputs() {
  for (const ValueId v : graph_.inputs) {
    if (graph_.initializer(v)) continue;  // IR < 4: a constant, unless fed, which plans do not
    const Layout layout = plain_layout(graph_, facts_, v);
    const Place place{program.add_owned(layout.bytes()), layout};
    places_[v] = {place};
    inputs[graph_.value(v).name] = place;
  }
}

std::set<ValueId> Compiler::reads_of(const Group& group) const {
  std::set<ValueId> reads;
  if (group.anchor == kNone) {
    std::set<ValueId> made;
    for (const NodeId id : group.nodes) {
      for (const ValueId v : element_operands(graph_, id, *element_of(graph_, facts_, id))) reads.insert(v);
      made.insert(graph_.node(id).outputs[0]);
    }
    std::erase_if(reads, [&](ValueId v) { return made.contains(v); });
    return reads;
  }
  const Op* op = find_op(graph_.node(group.anchor));
  for (size_t i = 0; i < group.inputs.size(); ++i) {
    if (group.inputs[i] == kNone || (op && i < 32 && op->shape_only_inputs >> i & 1u)) continue;
    reads.insert(group.inputs[i]);
  }
  if (group.residual != kNone) reads.insert(group.residual);
  if (group.mask != kNone) reads.insert(group.mask);
  if (group.bias != kNone) reads.insert(group.bias);
  return reads;
}

void Compiler::count_reads(const Group& group, int by) {
  for (const ValueId v : reads_of(group)) reads_left_[v] += by;
}

void Compiler::run() {
  const std::vector<NodeId> live = live_nodes();
  lasting_ = wanted();
  for (const NodeId id : live) {
    const NodeId forward = graph_.node(id).forward_of;
    if (forward != kNone) forward_nodes_.insert(forward);
    const Node& node = graph_.node(id);
    if (!find_op(node)) {
      throw Error(ErrorKind::bad_data, node.where() + ": operator " +
                                           (node.domain.empty() ? "" : node.domain + ".") + node.op_type +
                                           " (version " + std::to_string(node.version) + ") is not known, so the model cannot be run");
    }
  }
  place_inputs();
  FusionOptions options;
  options.wanted = lasting_;
  options.weights = parameters_;
  const std::vector<Group> groups = fuse(graph_, facts_, live, options);
  for (const Group& group : groups) count_reads(group, 1);
  for (const Group& group : groups) emit(group);
  reading_.clear();
  finish_outputs();
  finish_states();
  program.finish();
  counters.arena_bytes = program.arena_bytes();
  counters.steps = static_cast<int64_t>(program.step_count());
}

void Compiler::label(NodeId id) {
  const Node& node = graph_.node(id);
  const Op* op = find_op(node);
  label_ = {node.name, node.op_type, "", 0};
  if (op && op->cost) label_.macs = op->cost(facts_.context(graph_, id)).macs;
  if (label_.node.empty() && node.has_output(0)) label_.node = graph_.value(node.outputs[0]).name;
}

/// Whether a second thread would cost more than it saves: some microseconds of work. What costs nothing that is counted
/// (gradients among it) is judged by its elements alone, and more strictly.
bool Compiler::is_small(const Group& group) const {
  constexpr int64_t kMacs = 1 << 19, kElements = 1 << 15, kUncounted = 1 << 11;
  const Op* op = group.anchor == kNone ? nullptr : find_op(graph_.node(group.anchor));
  const bool counted = group.anchor == kNone || op->cost;
  if (op && op->cost && op->cost(facts_.context(graph_, group.anchor)).macs > kMacs) return false;
  std::set<ValueId> values = reads_of(group);
  values.insert(group.result);
  if (group.anchor != kNone) {
    for (const ValueId v : graph_.node(group.anchor).outputs) values.insert(v);
  }
  return std::all_of(values.begin(), values.end(), [&](ValueId v) {
    if (v == kNone || (counted && is_weight(v))) return true;
    const auto dims = facts_.type(v).known_dims();
    return dims && element_count(*dims) <= (counted ? kElements : kUncounted);
  });
}

void Compiler::emit(const Group& group) {
  const bool before = serial_;  // of the group that this is a part of
  serial_ = before || is_small(group);
  const SerialScope scope(serial_);
  reading_ = reads_of(group);
  label(group.anchor == kNone ? group.nodes.back() : group.anchor);
  if (group.anchor == kNone) {
    lower_chain(*this, group);
  } else if (!lower_anchor(*this, group)) {
    if (group.fusion.empty()) emit_fallback(group.anchor);
    else emit_apart(group);
  }
  count_reads(group, -1);
  serial_ = before;
}

/// What was fused with a node that has no fast step stands alone after all.
void Compiler::emit_apart(const Group& group) {
  std::vector<Group> parts;
  for (const NodeId id : group.nodes) parts.push_back(single_group(graph_, facts_, id));
  for (const Group& part : parts) count_reads(part, 1);
  for (const Group& part : parts) emit(part);
}

void Compiler::emit_fallback(NodeId id) {
  const Node& node = graph_.node(id);
  const Op* op = find_op(node);
  std::vector<int> args;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (!node.has_input(i) || (i < 32 && op->shape_only_inputs >> i & 1u)) continue;
    args.push_back(read(node.inputs[i], plain_layout(graph_, facts_, node.inputs[i])));
  }
  for (const ValueId v : node.outputs) {
    if (v != kNone) args.push_back(write(v, plain_layout(graph_, facts_, v)));
  }
  ++counters.fallback_steps;
  step(fallback_kernel(graph_, facts_, id), std::move(args), "reference");
}

Layout Compiler::layout_of(ValueId v) const {
  const auto found = places_.find(v);
  if (found != places_.end()) return found->second.front().layout;
  // A weight, or a value that only lends its shape and so is never made.
  return plain_layout(graph_, facts_, v);
}

int Compiler::constant_buffer(ValueId v, const Layout& as) {
  const Tensor& tensor = *facts_.constant(v);
  const Layout plain = Layout::plain(tensor.type(), as.dims());
  const int buffer = program.add_owned(as.bytes());
  if (tensor.bytes().empty()) return buffer;
  if (plain == as) {
    std::memcpy(program.address(buffer), tensor.bytes().data(), tensor.bytes().size());
  } else {
    Primitive primitive = reorder(plain, as);
    AlignedBuffer scratch(primitive.scratch_bytes);
    std::vector<void*> args = {const_cast<std::byte*>(tensor.bytes().data()), program.address(buffer)};
    if (primitive.scratch_bytes > 0) args.push_back(scratch.data());
    primitive.kernel->bind(args);
    primitive.kernel->run();
  }
  return buffer;
}

int Compiler::read(ValueId v, const Layout& as) {
  auto& places = places_[v];
  for (const Place& place : places) {
    if (place.layout == as) return place.buffer;
    const auto same = place.layout.reshaped(as.dims());
    if (same && *same == as) return place.buffer;
  }
  int buffer;
  if (is_parameter(v)) {
    buffer = program.add_fixed(store_.copy(graph_.value(v).name, as), as.bytes());
  } else if (facts_.constant(v)) {
    buffer = constant_buffer(v, as);
  } else {
    check(!places.empty(), "a value that was made: " + graph_.value(v).name);
    const Place from = places.front();
    buffer = program.add_buffer(as.bytes());
    const StepLabel before = label_;
    label_.op = "reorder";
    label_.macs = 0;
    step(reorder(from.layout, as), {from.buffer, buffer});
    label_ = before;
    ++counters.activation_reorders;
    if (!graph_.is_input(v)) ++counters.inner_reorders;
  }
  places.push_back({buffer, as});
  held_by_[buffer].insert(v);
  return buffer;
}

int Compiler::write(ValueId v, const Layout& as) {
  int buffer = -1;
  const auto gradient = gradients_.find(v);
  if (gradient != gradients_.end()) {
    const auto [address, layout] = store_.gradient(gradient->second, as);
    if (layout == as) buffer = program.add_fixed(address, as.bytes());
  }
  if (buffer < 0) buffer = program.add_buffer(as.bytes(), lasting_.contains(v));
  places_[v] = {{buffer, as}};
  held_by_[buffer].insert(v);
  return buffer;
}

bool Compiler::needed_later(int buffer) const {
  if (!program.in_arena(buffer)) return true;
  const auto found = held_by_.find(buffer);
  if (found == held_by_.end()) return false;
  for (const ValueId v : found->second) {
    const auto left = reads_left_.find(v);
    if (lasting_.contains(v) || (left != reads_left_.end() && left->second > (reading_.contains(v) ? 1 : 0))) return true;
  }
  return false;
}

int Compiler::write_over(ValueId v, int buffer, const Layout& as) {
  if (gradients_.contains(v) || needed_later(buffer) || program.bytes(buffer) != as.bytes()) return write(v, as);
  if (lasting_.contains(v)) program.make_last(buffer);
  places_[v] = {{buffer, as}};
  held_by_[buffer].insert(v);
  return buffer;
}

void Compiler::alias(ValueId v, ValueId of, const Layout& as) {
  const int buffer = read(of, layout_of(of));
  if (lasting_.contains(v)) program.make_last(buffer);
  places_[v] = {{buffer, as}};
  held_by_[buffer].insert(v);
}

void Compiler::step(std::unique_ptr<Kernel> kernel, std::vector<int> args, const std::string& implementation) {
  StepLabel label = label_;
  label.implementation = implementation;
  program.add_step(std::move(kernel), std::move(args), std::move(label), serial_);
}

void Compiler::step(Primitive primitive, std::vector<int> args) {
  if (primitive.scratch_bytes > 0) args.push_back(program.add_buffer(primitive.scratch_bytes));
  step(std::move(primitive.kernel), std::move(args), primitive.implementation);
}

void Compiler::finish_outputs() {
  label_ = {"", "output", "", 0};
  for (const auto& [v, parameter] : gradients_) finish_gradient(v, parameter);
  for (const ValueId v : graph_.outputs) {
    if (gradients_.contains(v)) continue;
    const Layout plain = plain_layout(graph_, facts_, v);
    const int buffer = read(v, plain);
    if (program.in_arena(buffer)) program.make_last(buffer);
    outputs[graph_.value(v).name] = {buffer, plain};
  }
}

/// Brings a gradient into the master's layout where its maker could not write it there.
void Compiler::finish_gradient(ValueId v, const std::string& parameter) {
  const Place place = places_.at(v).front();
  const auto [address, layout] = store_.gradient(parameter, place.layout);
  if (program.address(place.buffer) == address) return;
  const int target = program.add_fixed(address, layout.bytes());
  step(reorder(place.layout, layout), {place.buffer, target});
  ++counters.weight_reorders;
}

void Compiler::finish_states() {
  label_ = {"", "state", "", 0};
  for (const StatePair& pair : graph_.state_pairs) {
    const std::string& name = graph_.value(pair.input).name;
    if (!is_parameter(pair.input)) continue;
    const Layout plain = plain_layout(graph_, facts_, pair.output);
    const int from = read(pair.output, plain);
    const int to = program.add_fixed(store_.state(name), plain.bytes());
    step(std::make_unique<CopyBytes>(plain.bytes()), {from, to}, "copy");
  }
}

}  // namespace espalier
