#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier::ops {
namespace {

/// `dtype`, or the input's type; float where that is not known.
DataType type_of(const Node& node, DataType input) {
  if (!node.has("dtype")) return input == DataType::undefined ? DataType::float32 : input;
  const auto number = node.require<int64_t>("dtype");
  return number < 1 || number > static_cast<int64_t>(DataType::bfloat16) ? DataType::undefined : static_cast<DataType>(number);
}

void infer(InferContext& c) {
  c.require_inputs(1, 1);
  c.require_rank(0, 2, 2);
  const DataType type = type_of(c.node(), c.elem_type(0));
  if (!is_numeric(type) && !is_boolean(type)) c.fail("dtype is no numeric type and not bool");
  c.set(0, c.has_rank(0) ? Type::tensor(type, c.dims(0)) : Type::tensor(type));
}

void evaluate(EvaluateContext& c) {
  const Dims& dims = c.input(0).dims();
  const auto k = c.node().get<int64_t>("k", 0);
  Tensor y(type_of(c.node(), c.input(0).type()), dims);
  dispatch_numeric(y.type(), [&]<class T>() {
    const auto out = y.mutable_data<T>();
    for (int64_t i = 0; i < dims[0]; ++i) {
      const int64_t room = dims[1] - i;  // i + k < dims[1] without overflow
      if (k < room && k >= -i) out[i * dims[1] + i + k] = store<T>(1.0f);
    }
  });
  c.set(0, std::move(y));
}

Cost cost(const InferContext& c) { return {.bytes = known_bytes(c.output(0).type)}; }

}  // namespace

extern const Op eye_like;
const Op eye_like = {
    .name = "EyeLike",
    .since = 9,
    .infer = infer,
    .evaluate = evaluate,
    .units = units::sized,
    .cut = cuts::sized,
    .cost = cost,
    .shape_only_inputs = 1,
};

}  // namespace espalier::ops
