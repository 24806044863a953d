#include "lib/ops/bodies.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

Type optional_of(Type element) {
  Type type;
  type.kind = Type::Kind::optional;
  type.element = element.kind == Type::Kind::unknown ? nullptr : std::make_shared<const Type>(std::move(element));
  return type;
}

void infer_optional(InferContext& c) {
  c.require_inputs(0, 1);
  if (!c.has_input(0) && !c.node().has("type")) c.fail("it has neither an input nor a type");
  c.set(0, optional_of(c.has_input(0) ? c.type(0) : Type()));
}

void evaluate_optional(EvaluateContext& c) {
  c.set_value(0, c.has_input(0) ? HostValue::optional(c.value(0)) : HostValue::none(Type()));
}

// Version 15 names optionals only, but ONNX's own Loop hands it the sequence that an optional held: as version 18 reads it.
void infer_has(InferContext& c) {
  c.require_inputs(c.version() < 18 ? 1 : 0, 1);
  c.set(0, DataType::boolean, SymbolicDims{});
}

void evaluate_has(EvaluateContext& c) {
  const HostValue value = c.has_input(0) ? c.value(0) : HostValue();
  c.set(0, Tensor::scalar(value.defined() && (!value.is_optional() || value.has_element())));
}

void infer_get(InferContext& c) {
  c.require_inputs(1, 1);
  const Type& type = c.type(0);
  if (type.kind == Type::Kind::optional) c.set(0, type.element ? *type.element : Type());
  else c.outputs()[0] = c.input(0);
}

void evaluate_get(EvaluateContext& c) {
  const HostValue value = c.value(0);
  if (value.is_optional() && !value.has_element()) c.fail("the optional holds nothing");
  c.set_value(0, value.is_optional() ? value.element() : value);
}

}  // namespace

extern const Op optional, optional_get_element, optional_has_element;
const Op optional = {.name = "Optional", .since = 15, .infer = infer_optional, .evaluate = evaluate_optional};
const Op optional_get_element = {.name = "OptionalGetElement", .since = 15, .infer = infer_get, .evaluate = evaluate_get};
const Op optional_has_element = {.name = "OptionalHasElement", .since = 15, .infer = infer_has, .evaluate = evaluate_has};

}  // namespace espalier::ops
