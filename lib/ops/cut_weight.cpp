#include "lib/ops/cut_weight.h"

#include "lib/ops/narrow_types.h"
#include "lib/ops/quantization.h"
#include "lib/tensor/take.h"

namespace espalier {
namespace {

/// What makes a quantized constant; null where the value is none.
const Node* dequantizer(const CutContext& c, ValueId v) {
  const NodeId id = c.graph().producer(v);
  if (id == kNone) return nullptr;
  const Node& node = c.graph().node(id);
  if (!node.domain.empty() || node.op_type != "DequantizeLinear" || node.get<int64_t>("block_size", 0) != 0) return nullptr;
  return &node;
}

/// 4-bit numbers are taken one by one.
Tensor taken(const Tensor& x, const std::function<Tensor(const Tensor&)>& index) {
  return is_narrow(x.type()) ? narrow(index(widen(x)), x.type(), true) : index(x);
}

/// Scales (or zero points) along `axis` of a tensor of shape `dims`, as `index` leaves them.
Tensor taken_along(const Tensor& scale, const Dims& dims, int axis, const std::function<Tensor(const Tensor&)>& index) {
  std::vector<int64_t> of_element;
  for_each_position(dims, [&](const Dims& at) { of_element.push_back(at[static_cast<size_t>(axis)]); });
  const Tensor left = index(Tensor::of<int64_t>(dims, of_element));
  std::vector<int64_t> order;
  int64_t inner = 1;
  for (size_t i = static_cast<size_t>(axis) + 1; i < left.dims().size(); ++i) inner *= left.dims()[i];
  for (int64_t k = 0; k < left.dims()[static_cast<size_t>(axis)]; ++k) order.push_back(left.data<int64_t>()[static_cast<size_t>(k * inner)]);
  if (!is_narrow(scale.type())) return take(scale, 0, order);
  return narrow(take(widen(scale), 0, order), scale.type(), true);
}

}  // namespace

ValueId cut_weight(CutContext& c, ValueId from, const std::function<Tensor(const Tensor&)>& index) {
  const Node* node = dequantizer(c, from);
  if (!node) return c.cut_constant(from, index(c.tensor(from)));
  const Tensor& quantized = c.tensor(node->inputs[0]);
  Tensor left = taken(quantized, index);
  if (left == quantized) return from;
  check(left.size() > 0, "a weight that is left");
  const auto axis = quantized_axis(*node, quantized.rank(), c.tensor(node->inputs[1]).size());
  std::vector<ValueId> inputs = {c.cut_constant(node->inputs[0], std::move(left))};
  for (size_t i = 1; i < node->inputs.size(); ++i) {
    const ValueId v = node->inputs[i];
    if (v == kNone || !axis) inputs.push_back(v);
    else inputs.push_back(c.cut_constant(v, taken_along(c.tensor(v), quantized.dims(), *axis, index)));
  }
  return c.before("DequantizeLinear", std::move(inputs), node->attributes, c.graph().value(from).name);
}

}  // namespace espalier
