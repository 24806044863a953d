#include "passes/fuse/weights.h"

#include <algorithm>

#include "lib/tensor/dispatch.h"

namespace espalier::passes {
namespace {

double at(const std::vector<double>& values, int64_t channel) {
  return values.size() == 1 ? values[0] : values[static_cast<size_t>(channel)];
}

Tensor from_doubles(DataType type, const Dims& dims, const std::vector<double>& values) {
  return Tensor::of<double>(dims, values).cast(type);
}

/// Number of output channels and the axis of the weight along which they lie, within each of `group` parts.
struct WeightLayout {
  int64_t outer = 1;     ///< elements before the channel axis, groups apart
  int64_t channels = 1;  ///< on that axis
  int64_t inner = 1;     ///< elements after it
  int64_t group = 1;     ///< of ConvTranspose: channel = group * channels + position on the axis
};

WeightLayout layout_of(const Node& node, const Dims& dims) {
  WeightLayout layout;
  size_t axis = 0;
  if (node.op_type == "ConvTranspose") {
    layout.group = node.get<int64_t>("group", 1);
    axis = 1;
  } else if (node.op_type == "Gemm") {
    axis = node.get<int64_t>("transB", 0) != 0 ? 0 : 1;
  }
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i < axis) layout.outer *= dims[i];
    else if (i == axis) layout.channels = dims[i];
    else layout.inner *= dims[i];
  }
  layout.outer /= layout.group;
  return layout;
}

/// Replaces a constant that the node reads: in place where nobody else reads it, else as a new initialiser.
void set_operand(Graph& graph, NodeId id, size_t index, Tensor tensor, const std::string& suffix) {
  std::vector<ValueId> inputs = graph.node(id).inputs;
  const bool present = index < inputs.size() && inputs[index] != kNone;
  if (present) {
    const ValueId old = inputs[index];
    const bool alone = graph.users(old).size() == 1 && std::count(inputs.begin(), inputs.end(), old) == 1 &&
                       graph.initializer(old) && !graph.is_output(old) && !graph.value(old).captured &&
                       graph.captured_by_bodies().empty() && graph.initializer(old)->dims() == tensor.dims();
    if (alone) {
      graph.set_initializer(old, std::move(tensor));
      return;
    }
  }
  const std::string base = present ? graph.value(inputs[index]).name : graph.value(graph.node(id).outputs[0]).name;
  const ValueId fresh = graph.add_value(base + suffix, Type::tensor(tensor.type(), tensor.dims()));
  graph.set_initializer(fresh, std::move(tensor));
  inputs.resize(std::max(inputs.size(), index + 1), kNone);
  inputs[index] = fresh;
  graph.set_inputs(id, std::move(inputs));
}

bool all_ones(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return v == 1; });
}

void scale_weight(Graph& graph, const Linear& linear, const Affine& affine) {
  if (all_ones(affine.scale)) return;
  const Node& node = graph.node(linear.node);
  const Tensor weight = *graph.constant(node.inputs[1]);
  const WeightLayout w = layout_of(node, weight.dims());
  std::vector<double> values = weight.to_doubles();
  size_t i = 0;
  for (int64_t g = 0; g < w.group; ++g) {
    for (int64_t o = 0; o < w.outer; ++o) {
      for (int64_t c = 0; c < w.channels; ++c) {
        for (int64_t k = 0; k < w.inner; ++k) values[i++] *= at(affine.scale, g * w.channels + c);
      }
    }
  }
  set_operand(graph, linear.node, 1, from_doubles(weight.type(), weight.dims(), values), "_fused");
}

void change_bias(Graph& graph, const Linear& linear, const Affine& affine) {
  const Node& node = graph.node(linear.node);
  const bool gemm = node.op_type == "Gemm";
  const DataType type = graph.constant(node.inputs[1])->type();
  const double beta = gemm ? static_cast<double>(node.get<float>("beta", 1.0f)) : 1;
  std::vector<double> bias(static_cast<size_t>(linear.channels), 0.0);
  if (node.has_input(2)) {
    const auto old = graph.constant(node.inputs[2])->to_doubles();
    for (int64_t c = 0; c < linear.channels; ++c) bias[static_cast<size_t>(c)] = beta * at(old, c);
  }
  const bool had_bias = node.has_input(2);
  bool any = had_bias;
  for (int64_t c = 0; c < linear.channels; ++c) {
    double& b = bias[static_cast<size_t>(c)];
    b = b * at(affine.scale, c) + at(affine.shift, c);
    any = any || b != 0;
  }
  if (!any) return;
  set_operand(graph, linear.node, 2, from_doubles(type, {linear.channels}, bias), had_bias ? "_fused" : "_bias");
  if (gemm) graph.erase_attribute(linear.node, "beta");
}

// A Gemm's C may be anything that broadcasts to [M, N]; one that differs between rows cannot be kept per channel.
bool per_channel(const Tensor& bias, int64_t channels) {
  if (bias.size() != 1 && bias.size() != channels) return false;
  return bias.rank() == 0 || bias.dims().back() == bias.size();
}

}  // namespace

std::optional<Linear> linear_before(const Graph& graph, const FactTable& facts, ValueId v, NodeId reader,
                                    const std::vector<bool>& captured) {
  const NodeId id = graph.producer(v);
  if (id == kNone || graph.users(v).size() != 1 || graph.users(v)[0] != reader || graph.is_output(v) || captured[v]) return std::nullopt;
  const Node& node = graph.node(id);
  const bool gemm = node.op_type == "Gemm";
  if (!node.domain.empty() || !(gemm || node.op_type == "Conv" || node.op_type == "ConvTranspose")) return std::nullopt;
  const Tensor* weight = node.has_input(1) ? graph.constant(node.inputs[1]) : nullptr;
  if (!weight || !is_float(weight->type()) || weight->rank() < 2 || !facts.type(v).has_rank()) return std::nullopt;
  const WeightLayout layout = layout_of(node, weight->dims());
  Linear result{id, layout.channels * layout.group, 1, facts.type(v).rank()};
  if (gemm && node.version < 7) return std::nullopt;
  if (node.has_input(2)) {
    const Tensor* bias = graph.constant(node.inputs[2]);
    if (!bias || bias->type() != weight->type() || !per_channel(*bias, result.channels)) return std::nullopt;
  }
  return result;
}

void absorb(Graph& graph, const Linear& linear, const Affine& affine, NodeId absorbed) {
  scale_weight(graph, linear, affine);
  change_bias(graph, linear, affine);
  const ValueId old = graph.node(linear.node).outputs[0], out = graph.node(absorbed).outputs[0];
  graph.value(old).declared = false;
  graph.erase_node(absorbed);
  graph.set_outputs(linear.node, {out});
}

}  // namespace espalier::passes
