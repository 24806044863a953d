#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// Before version 7 a slope of rank 1 belongs to axis 1, whatever the rank of x.
bool slope_is_by_channel(const Node& node, int64_t slope_rank, int64_t rank) {
  return node.version < 7 && slope_rank == 1 && rank > 2;
}

/// The slope broadcasts one way, to the shape of x.
void infer(InferContext& c) {
  c.require_inputs(2, 2);
  for (const size_t i : {0, 1}) require_type(c, i, is_numeric, "a numeric type");
  require_same_type(c, 0, 1);
  c.set(0, c.type(0));
  if (!c.has_rank(0) || !c.has_rank(1)) return;
  SymbolicDims slope = c.dims(1);
  if (slope_is_by_channel(c.node(), c.rank(1), c.rank(0))) slope.resize(c.dims(0).size() - 1, Dim(1));
  const auto both = to_known(broadcast(c, c.dims(0), slope));
  const auto own = to_known(c.dims(0));
  if (slope.size() > c.dims(0).size() || (both && own && *both != *own)) {
    c.fail("slope has shape " + to_string(c.dims(1)) + ", which does not broadcast to " + to_string(c.dims(0)));
  }
}

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  Tensor slope = c.input(1);
  if (slope_is_by_channel(c.node(), slope.rank(), x.rank())) {
    Dims dims(static_cast<size_t>(x.rank() - 1), 1);
    dims[0] = slope.size();
    slope = slope.reshaped(std::move(dims));
  }
  dispatch_number(x.type(), [&]<class T>() {
    c.set(0, zip<T, T>(x, slope, [](auto v, auto s) { return v < decltype(v)(0) ? static_cast<decltype(v)>(s * v) : v; }));
  });
}

std::vector<int> parameters(const Node&) { return {1}; }

void gradient(GradientContext& c) {
  const ValueId x = c.input(0), slope = c.input(1), dy = c.grad_output();
  if (c.node().version < 7) c.fail("cannot be differentiated before version 7");
  const ValueId above = c.add("ReluGrad", {x, dy}), below = c.add("Sub", {dy, above});
  if (c.wants(0)) c.set_grad(0, c.add("Add", {above, c.add("Mul", {below, slope})}));
  if (c.wants(1)) c.set_grad(1, sum_to_input(c, c.add("Mul", {below, x}), 1));
}

std::optional<ElementOp> element(const InferContext& c) {
  if (c.version() < 7) return std::nullopt;
  return ElementOp{ElementKind::prelu};
}

}  // namespace

extern const Op prelu;
const Op prelu = {
    .name = "PRelu",
    .infer = infer,
    .evaluate = evaluate,
    .element = element,
    .gradient = gradient,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .parameters = parameters,
    .elementwise = true,
};

}  // namespace espalier::ops
