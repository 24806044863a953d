#include "lib/ops/cut_weight.h"

#include <numeric>

#include "lib/ops/narrow_types.h"
#include "lib/ops/op.h"
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

/// Coordinates along `axis` of a tensor of shape `dims`, as `index` leaves them; nothing where they are not the same all over
/// the other axes: no scale by channel says that.
std::optional<std::vector<int64_t>> order_along(const Dims& dims, int axis, const std::function<Tensor(const Tensor&)>& index) {
  std::vector<int64_t> of_element;
  for_each_position(dims, [&](const Dims& at) { of_element.push_back(at[static_cast<size_t>(axis)]); });
  const Tensor left = index(Tensor::of<int64_t>(dims, of_element));
  if (left.rank() != static_cast<int64_t>(dims.size())) return std::nullopt;
  const auto found = left.data<int64_t>();
  std::vector<int64_t> order(static_cast<size_t>(left.dims()[static_cast<size_t>(axis)]), -1);
  size_t i = 0;
  bool same = true;
  for_each_position(left.dims(), [&](const Dims& at) {
    int64_t& here = order[static_cast<size_t>(at[static_cast<size_t>(axis)])];
    same = same && (here < 0 || here == found[i]);
    here = found[i++];
  });
  if (!same) return std::nullopt;
  return order;
}

/// Scales (or zero points) at these positions.
Tensor taken_at(const Tensor& scale, const std::vector<int64_t>& order) {
  if (!is_narrow(scale.type())) return take(scale, 0, order);
  return narrow(take(widen(scale), 0, order), scale.type(), true);
}

/// Positions `order` of an axis of a value, as it is calculated in the original graph.
ValueId taken_when_run(CutContext& c, ValueId v, int axis, const std::vector<int64_t>& order) {
  if (!c.fact(v).bound) return c.cut_constant(v, take(c.tensor(v), axis, order));
  const NodeId maker = c.graph().producer(v);
  const Op* op = maker == kNone ? nullptr : find_op(c.graph().node(maker));
  if (op && op->name == "ConstantOfShape") {
    const std::vector<int64_t> begin = {0}, end = {static_cast<int64_t>(order.size())}, along = {axis};
    const std::string& hint = c.graph().value(v).name;
    if (c.opset() < 10) return c.before("Slice", {v}, {{"starts", begin, ""}, {"ends", end, ""}, {"axes", along, ""}}, hint);
    return c.before("Slice", {v, c.numbers(begin, "begin"), c.numbers(end, "end"), c.numbers(along, "axis")}, {}, hint);
  }
  if (!op || !op->elementwise) return c.gather(v, axis, order, "a value of dynamic size");
  const Node node = c.graph().node(maker);
  std::vector<ValueId> inputs = node.inputs;
  for (ValueId& input : inputs) {
    const int own = input == kNone ? -1 : axis - (c.rank(v) - c.rank(input));
    if (own >= 0 && c.dim(input, own) != 1) input = taken_when_run(c, input, own, order);
  }
  return c.before(node.op_type, std::move(inputs), node.attributes, c.graph().value(v).name);
}

/// What `index` does to each axis, if it does it to every row alike.
std::vector<std::vector<int64_t>> orders_of(const CutContext& c, const Dims& dims, const std::function<Tensor(const Tensor&)>& index) {
  std::vector<int64_t> places(static_cast<size_t>(element_count(dims)));
  std::iota(places.begin(), places.end(), int64_t{0});
  const Tensor whole = Tensor::of<int64_t>(dims, places), left = index(whole);
  const auto by_rows = [&] {
    const auto& bundles = c.bundles(c.output());
    return Inexpressible(bundles.empty() ? IndexArray() : bundles[0].ids, "a value of dynamic size would be cut by rows");
  };
  if (left.rank() != whole.rank()) throw by_rows();
  const Dims strides = row_major_strides(dims), steps = row_major_strides(left.dims());
  std::vector<std::vector<int64_t>> orders(dims.size());
  Tensor expected = whole;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    for (int64_t k = 0; k < left.dims()[axis]; ++k) {
      const int64_t place = left.data<int64_t>()[static_cast<size_t>(k * steps[axis])];
      orders[axis].push_back(place / strides[axis] % dims[axis]);
    }
    expected = take(expected, static_cast<int64_t>(axis), orders[axis]);
  }
  if (expected == left) return orders;
  throw by_rows();
}

ValueId cut_when_run(CutContext& c, ValueId from, const std::function<Tensor(const Tensor&)>& index) {
  const auto orders = orders_of(c, c.dims(from), index);
  ValueId v = from;
  for (size_t axis = 0; axis < orders.size(); ++axis) {
    if (orders[axis] == whole_order(c.dim(from, static_cast<int>(axis)))) continue;
    const int a = static_cast<int>(axis);
    v = v == from ? taken_when_run(c, v, a, orders[axis]) : c.gather(v, a, orders[axis], "a value of dynamic size");
  }
  return v;
}

}  // namespace

ValueId cut_weight(CutContext& c, ValueId from, const std::function<Tensor(const Tensor&)>& index) {
  if (c.fact(from).bound) return cut_when_run(c, from, index);
  const Node* node = dequantizer(c, from);
  if (!node) return c.cut_constant(from, index(c.tensor(from)));
  const Tensor& quantized = c.tensor(node->inputs[0]);
  Tensor left = taken(quantized, index);
  if (left == quantized) return from;
  check(left.size() > 0, "a weight that is left");
  const auto axis = quantized_axis(*node, quantized.rank(), c.tensor(node->inputs[1]).size());
  std::optional<std::vector<int64_t>> order;
  if (axis) order = order_along(quantized.dims(), *axis, index);
  if (axis && !order) return c.cut_constant(from, index(c.tensor(from)));
  std::vector<ValueId> inputs = {c.cut_constant(node->inputs[0], std::move(left))};
  for (size_t i = 1; i < node->inputs.size(); ++i) {
    const ValueId v = node->inputs[i];
    if (v == kNone || !axis) inputs.push_back(v);
    else inputs.push_back(c.cut_constant(v, taken_at(c.tensor(v), *order)));
  }
  return c.before("DequantizeLinear", std::move(inputs), node->attributes, c.graph().value(from).name);
}

}  // namespace espalier
