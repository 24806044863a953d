#include "lib/ops/cost.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/rank.h"
#include "lib/ops/take.h"

namespace espalier::ops {
namespace {

Tensor value_of(const Node& node) { return node.get<Tensor>("value", Tensor::scalar(0.0f)); }

void infer(InferContext& c) {
  c.require_inputs(1, 1);
  c.require_rank(0, 1, 1);
  const Tensor value = value_of(c.node());
  if (value.size() != 1) c.fail("attribute 'value' has " + std::to_string(value.size()) + " elements, expected 1");
  const auto sizes = c.numbers(0);
  if (!sizes) {
    const bool counted = c.has_rank(0) && c.dims(0)[0].known();
    c.set(0, counted ? Type::tensor(value.type(), unknown_dims(c, c.dims(0)[0].value())) : Type::tensor(value.type()));
    return;
  }
  for (const Dim& size : *sizes) {
    if (size.known() && size.value() < 0) c.fail("asks for shape " + to_string(*sizes));
  }
  c.set(0, value.type(), *sizes);
}

void evaluate(EvaluateContext& c) {
  const Dims dims = c.input(0).to_int64s();
  AxisIndices at(dims.size());
  element_count(dims);
  for (size_t a = 0; a < dims.size(); ++a) at[a].assign(dims[a], 0);
  const Tensor value = value_of(c.node());
  c.set(0, take(value.reshaped(Dims(dims.size(), 1)), at));
}

Cost cost(const InferContext& c) { return {.bytes = known_traffic(c)}; }

}  // namespace

extern const Op constant_of_shape;
const Op constant_of_shape = {.name = "ConstantOfShape", .since = 9, .until = 25, .infer = infer, .evaluate = evaluate, .cost = cost};

}  // namespace espalier::ops
