#include "lib/base/error.h"
#include "lib/ops/bodies.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

Type sequence_of(Type element) {
  Type type;
  type.kind = Type::Kind::sequence;
  type.element = std::make_shared<const Type>(std::move(element));
  return type;
}

Type element_of(const InferContext& c, size_t i) {
  return c.type(i).element ? *c.type(i).element : Type();
}

void require_position(const InferContext& c, size_t i) {
  if (!c.has_input(i)) return;
  require_kind(c, i, Type::Kind::tensor);
  const auto dims = c.type(i).known_dims();
  const DataType type = c.elem_type(i);
  const bool other = type != DataType::undefined && type != DataType::int32 && type != DataType::int64;
  if (other || (dims && element_count(*dims) != 1)) c.fail("the position is " + c.type(i).str() + ", expected one int32 or int64");
}

/// Index in [0, n) for a position that may be negative; `n` itself too where `behind`.
size_t position(const EvaluateContext& c, size_t i, int64_t n, bool behind) {
  if (!c.has_input(i)) {
    if (n == 0 && !behind) c.fail("the sequence is empty");
    return static_cast<size_t>(behind ? n : n - 1);
  }
  const int64_t at = whole_number(c, c.value(i), "the position");
  const int64_t most = behind ? n : n - 1;
  if (at < -n || at > most) {
    c.fail("the position is " + std::to_string(at) + ", expected one in [" + std::to_string(-n) + ", " + std::to_string(most) + "]");
  }
  return static_cast<size_t>(at < 0 ? at + n : at);
}

const std::vector<HostValue>& elements(const EvaluateContext& c, const HostValue& value) {
  if (!value.is_sequence()) c.fail("its input is " + value.type().str() + ", expected a sequence");
  return value.elements();
}

void infer_construct(InferContext& c) {
  c.require_inputs(1, SIZE_MAX);
  Type element = c.type(0);
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (!c.has_input(i)) c.fail("input " + std::to_string(i) + " is missing");
    require_kind(c, i, Type::Kind::tensor);
    element = joined(c, element, c.type(i), "an element");
  }
  c.set(0, sequence_of(std::move(element)));
}

void evaluate_construct(EvaluateContext& c) {
  std::vector<HostValue> values;
  Type element = Type::tensor(c.input(0).type());
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (c.input(i).type() != element.elem_type) c.fail("its inputs have different element types");
    values.push_back(c.value(i));
  }
  c.set_value(0, HostValue::sequence(std::move(element), std::move(values)));
}

template <class Context>
Type empty_element(const Context& c) {
  const int64_t type = c.node().get("dtype", int64_t{1});
  if (type < 1 || type > 23) c.fail("dtype is " + std::to_string(type) + ", no element type");
  return Type::tensor(static_cast<DataType>(type));
}

void infer_empty(InferContext& c) {
  c.require_inputs(0, 0);
  c.set(0, sequence_of(empty_element(c)));
}

void evaluate_empty(EvaluateContext& c) { c.set_value(0, HostValue::sequence(empty_element(c), {})); }

void infer_insert(InferContext& c) {
  c.require_inputs(2, 3);
  require_kind(c, 0, Type::Kind::sequence);
  require_kind(c, 1, Type::Kind::tensor);
  require_position(c, 2);
  Type element = element_of(c, 0);
  // What is written of an empty sequence knows no rank: all is as its elements are.
  element = joined(c, element, c.type(1), "an element");
  c.set(0, sequence_of(std::move(element)));
}

void evaluate_insert(EvaluateContext& c) {
  const HostValue sequence = c.value(0);
  auto values = elements(c, sequence);
  const Type& element = sequence.element_type();
  if (element.is_tensor() && element.elem_type != DataType::undefined && element.elem_type != c.input(1).type()) {
    c.fail("the tensor is " + c.value(1).type().str() + ", the sequence holds " + element.str());
  }
  const size_t at = position(c, 2, static_cast<int64_t>(values.size()), true);
  values.insert(values.begin() + static_cast<ptrdiff_t>(at), c.value(1));
  c.set_value(0, HostValue::sequence(Type::tensor(c.input(1).type()), std::move(values)));
}

void infer_erase(InferContext& c) {
  c.require_inputs(1, 2);
  require_kind(c, 0, Type::Kind::sequence);
  require_position(c, 1);
  c.set(0, c.type(0));
}

void evaluate_erase(EvaluateContext& c) {
  const HostValue sequence = c.value(0);
  auto values = elements(c, sequence);
  values.erase(values.begin() + static_cast<ptrdiff_t>(position(c, 1, static_cast<int64_t>(values.size()), false)));
  c.set_value(0, HostValue::sequence(sequence.element_type(), std::move(values)));
}

void infer_at(InferContext& c) {
  c.require_inputs(2, 2);
  require_kind(c, 0, Type::Kind::sequence);
  require_position(c, 1);
  c.set(0, element_of(c, 0));
}

void evaluate_at(EvaluateContext& c) {
  const HostValue sequence = c.value(0);
  const auto& values = elements(c, sequence);
  c.set_value(0, values[position(c, 1, static_cast<int64_t>(values.size()), false)]);
}

void infer_length(InferContext& c) {
  c.require_inputs(1, 1);
  require_kind(c, 0, Type::Kind::sequence);
  c.set(0, DataType::int64, SymbolicDims{});
}

void evaluate_length(EvaluateContext& c) {
  const HostValue sequence = c.value(0);
  c.set(0, Tensor::scalar(static_cast<int64_t>(elements(c, sequence).size())));
}

}  // namespace

extern const Op sequence_at, sequence_construct, sequence_empty, sequence_erase, sequence_insert, sequence_length;
const Op sequence_at = {.name = "SequenceAt", .since = 11, .infer = infer_at, .evaluate = evaluate_at};
const Op sequence_construct = {.name = "SequenceConstruct", .since = 11, .infer = infer_construct, .evaluate = evaluate_construct};
const Op sequence_empty = {.name = "SequenceEmpty", .since = 11, .infer = infer_empty, .evaluate = evaluate_empty};
const Op sequence_erase = {.name = "SequenceErase", .since = 11, .infer = infer_erase, .evaluate = evaluate_erase};
const Op sequence_insert = {.name = "SequenceInsert", .since = 11, .infer = infer_insert, .evaluate = evaluate_insert};
const Op sequence_length = {.name = "SequenceLength", .since = 11, .infer = infer_length, .evaluate = evaluate_length};

}  // namespace espalier::ops
