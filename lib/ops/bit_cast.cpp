#include <algorithm>

#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

DataType target(const Node& node) { return static_cast<DataType>(node.require<int64_t>("to")); }

/// The same bits as another type of the same width.
void infer(InferContext& c) {
  c.require_inputs(1, 1);
  const DataType from = c.elem_type(0), to = target(c.node());
  if (bit_width(to) == 0) c.fail("attribute 'to' is " + std::to_string(static_cast<int64_t>(to)) + ", expected a type of numbers known here");
  if (from != DataType::undefined && bit_width(from) != bit_width(to)) {
    c.fail("cannot read the bits of " + std::string(name(from)) + " as " + std::string(name(to)) + ": their widths differ");
  }
  Type type = c.type(0);
  type.kind = Type::Kind::tensor;
  type.elem_type = to;
  c.set(0, std::move(type));
}

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  Tensor y(target(c.node()), x.dims());
  if (y.type() == DataType::boolean) {
    std::transform(x.bytes().begin(), x.bytes().end(), y.mutable_bytes().begin(), [](std::byte b) { return b == std::byte{0} ? b : std::byte{1}; });
  } else {
    std::copy(x.bytes().begin(), x.bytes().end(), y.mutable_bytes().begin());
  }
  c.set(0, std::move(y));
}

}  // namespace

extern const Op bit_cast;
const Op bit_cast = {.name = "BitCast", .since = 26, .until = 26, .infer = infer, .evaluate = evaluate};

}  // namespace espalier::ops
