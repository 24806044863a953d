#include "lib/ops/elementwise.h"

#include "lib/ops/cost.h"

namespace espalier {

bool is_numeric(DataType type) { return is_float(type) || is_integer(type); }
bool is_boolean(DataType type) { return type == DataType::boolean; }

void require_type(const InferContext& c, size_t i, bool (*allowed)(DataType), const char* expected) {
  const DataType type = c.elem_type(i);
  if (!c.has_input(i) || type == DataType::undefined || allowed(type)) return;
  c.fail("input '" + c.graph().value(c.node().inputs[i]).name + "' is " + std::string(name(type)) + ", expected " + expected);
}

void require_same_type(const InferContext& c, size_t i, size_t j) {
  const DataType a = c.elem_type(i), b = c.elem_type(j);
  if (a == b || a == DataType::undefined || b == DataType::undefined) return;
  c.fail("inputs are " + std::string(name(a)) + " and " + std::string(name(b)) + ", expected one type");
}

void infer_unary_float(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_float, "a float type");
  c.set(0, c.type(0));
}

void infer_unary_numeric(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_numeric, "a numeric type");
  c.set(0, c.type(0));
}

namespace {

/// Before opset 7: the first operand's shape is the result's, the second one matches a part of it.
void require_old_broadcast(const InferContext& c) {
  const SymbolicDims &a = c.dims(0), &b = c.dims(1);
  const auto mismatch = [&] { c.fail("shapes " + to_string(a) + " and " + to_string(b) + " do not broadcast"); };
  if (c.node().get<int64_t>("broadcast", 0) == 0 && a.size() != b.size()) mismatch();
  if (b.size() > a.size()) mismatch();
  const auto suffix = static_cast<int64_t>(a.size() - b.size());
  int64_t axis = c.node().get<int64_t>("axis", suffix);
  if (axis < 0) axis += static_cast<int64_t>(a.size());
  if (axis < 0 || axis > suffix) mismatch();
  for (size_t i = 0; i < b.size(); ++i) {
    const Dim &x = a[axis + i], &y = b[i];
    if (x.known() && y.known() && !(x == y) && !y.is(1)) mismatch();
  }
}

}  // namespace

Type broadcast_type(const InferContext& c, DataType elem_type, int both_ways_since) {
  if (!c.has_rank(0) || !c.has_rank(1)) return Type::tensor(elem_type);
  if (c.version() >= both_ways_since) return Type::tensor(elem_type, broadcast(c, c.dims(0), c.dims(1)));
  require_old_broadcast(c);
  return Type::tensor(elem_type, c.dims(0));
}

Cost cost_elementwise(const InferContext& c) {
  return {.flops = known_elements(c.output(0).type), .bytes = known_traffic(c)};
}

Tensor aligned_operand(const EvaluateContext& c, int both_ways_since) {
  const Tensor& b = c.input(1);
  if (c.version() >= both_ways_since || c.node().get<int64_t>("broadcast", 0) == 0 || !c.node().has("axis")) return b;
  int64_t axis = c.node().require<int64_t>("axis");
  if (axis < 0) axis += c.input(0).rank();
  Dims dims = b.dims();
  dims.resize(static_cast<size_t>(std::max(c.input(0).rank() - axis, b.rank())), 1);
  return b.reshaped(std::move(dims));
}

Dims broadcast_strides(const Dims& from, const Dims& to) {
  const Dims own = row_major_strides(from);
  Dims strides(to.size(), 0);
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] != 1) strides[to.size() - from.size() + i] = own[i];
  }
  return strides;
}

}  // namespace espalier
