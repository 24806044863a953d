#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

/// The tensor that the node's one value attribute stands for; undefined for sparse_value, which is only carried.
Tensor value_of(const Node& node) {
  if (node.has("value")) return node.require<Tensor>("value");
  if (node.has("value_float")) return Tensor::scalar(node.require<float>("value_float"));
  if (node.has("value_int")) return Tensor::scalar(node.require<int64_t>("value_int"));
  if (node.has("value_string")) return Tensor::of_strings({}, {node.require<std::string>("value_string")});
  if (node.has("value_floats")) {
    const auto values = node.require<std::vector<float>>("value_floats");
    return Tensor::of({static_cast<int64_t>(values.size())}, values);
  }
  if (node.has("value_ints")) {
    const auto values = node.require<std::vector<int64_t>>("value_ints");
    return Tensor::of({static_cast<int64_t>(values.size())}, values);
  }
  if (node.has("value_strings")) {
    auto values = node.require<std::vector<std::string>>("value_strings");
    const auto count = static_cast<int64_t>(values.size());
    return Tensor::of_strings({count}, std::move(values));
  }
  return {};
}

void infer(InferContext& c) {
  c.require_inputs(0, 0);
  Tensor value = value_of(c.node());
  if (value.defined()) {
    c.set(0, Type::tensor(value.type(), value.dims()));
    c.set_constant(0, std::move(value));
  } else if (!c.node().has("sparse_value")) {
    c.fail("has no attribute with its value");
  }
}

void evaluate(EvaluateContext& c) {
  Tensor value = value_of(c.node());
  if (!value.defined()) c.fail("a sparse constant is not supported");
  c.set(0, std::move(value));
}

Cost cost(const InferContext&) { return {}; }

}  // namespace

extern const Op constant;
const Op constant = {.name = "Constant", .until = 25, .infer = infer, .evaluate = evaluate, .cost = cost};

}  // namespace espalier::ops
