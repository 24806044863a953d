// RandomNormal, RandomUniform, their Like forms, Bernoulli and Multinomial: numbers of Philox (random_stream.h). Training
// graphs have forms of their own, in our domain, with the number of the step (int64 scalar) as one input more at the end: each
// step draws others.

#include <algorithm>
#include <cmath>

#include "lib/ops/elementwise.h"
#include "lib/ops/random_stream.h"

namespace espalier::ops {
namespace {

constexpr auto kDraws = static_cast<RandomUse>(7);  // of operators

bool any_type(DataType) { return true; }
bool is_number_or_bool(DataType type) { return is_numeric(type) || is_boolean(type); }

bool has_step(const Node& node) { return node.domain == kInternalDomain; }

/// Inputs `count`, and in a training graph the step.
void require_inputs(const InferContext& c, size_t count) {
  const size_t all = count + (has_step(c.node()) ? 1 : 0);
  c.require_inputs(all, all);
  if (all > count && c.elem_type(count) != DataType::int64) c.fail("step is " + c.type(count).str() + ", expected int64");
}

/// The numbers of a node in this step.
struct Numbers {
  Random random;
  uint64_t first;
  float uniform(uint64_t i) const { return random.uniform(first | i); }
  float normal(uint64_t i) const { return random.normal(first | i); }
};

Numbers numbers_of(const EvaluateContext& c) {
  const uint64_t step = has_step(c.node()) ? static_cast<uint64_t>(c.input(c.input_count() - 1).to_int64s().at(0)) : 0;
  return {random_of(c.node(), kDraws), step << 32};
}

/// Type that the attribute `dtype` names; `otherwise` where it is absent.
DataType type_of(const Node& node, DataType otherwise) { return static_cast<DataType>(node.get<int64_t>("dtype", static_cast<int64_t>(otherwise))); }

DataType checked_type(const InferContext& c, DataType otherwise, bool (*allowed)(DataType), const char* expected) {
  const DataType type = type_of(c.node(), otherwise);
  if (c.node().has("dtype") && !allowed(type)) c.fail("dtype is " + std::string(name(type)) + ", expected " + expected);
  return type;
}

void check_attributes(const InferContext& c) {
  const float scale = c.node().get<float>("scale", 1.0f);
  if (!(scale >= 0) || !std::isfinite(scale)) c.fail("scale is " + std::to_string(scale) + ", expected a standard deviation");
  const float low = c.node().get<float>("low", 0.0f), high = c.node().get<float>("high", 1.0f);
  if (!(low <= high)) c.fail("low is " + std::to_string(low) + ", above high, " + std::to_string(high));
}

void infer_shaped(InferContext& c) {
  require_inputs(c, 0);
  check_attributes(c);
  const auto dims = c.node().require<std::vector<int64_t>>("shape");
  for (const int64_t d : dims) {
    if (d < 0) c.fail("shape is " + to_string(dims));
  }
  c.set(0, Type::tensor(checked_type(c, DataType::float32, is_float, "a float type"), dims));
}

void infer_like(InferContext& c) {
  require_inputs(c, 1);
  check_attributes(c);
  require_type(c, 0, c.node().has("dtype") ? any_type : is_float, "a float type, or the attribute dtype");
  Type type = c.type(0);
  type.kind = Type::Kind::tensor;
  type.elem_type = checked_type(c, type.elem_type, is_float, "a float type");
  c.set(0, std::move(type));
}

/// f(index) for each element.
template <class F>
Tensor drawn(DataType type, const Dims& dims, F f) {
  Tensor numbers(DataType::float64, dims);
  const auto out = numbers.mutable_data<double>();
  parallel_for(numbers.size(), kElementGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out[i] = f(static_cast<uint64_t>(i));
  });
  return numbers.cast(type);
}

/// Shape and element type of what a node draws.
std::pair<DataType, Dims> form_of(const EvaluateContext& c) {
  if (c.node().has("shape")) return {type_of(c.node(), DataType::float32), c.node().require<std::vector<int64_t>>("shape")};
  return {type_of(c.node(), c.input(0).type()), c.input(0).dims()};
}

void evaluate_normal(EvaluateContext& c) {
  const double mean = static_cast<double>(c.node().get<float>("mean", 0.0f)), scale = static_cast<double>(c.node().get<float>("scale", 1.0f));
  const auto [type, dims] = form_of(c);
  const Numbers random = numbers_of(c);
  c.set(0, drawn(type, dims, [&](uint64_t i) { return mean + scale * static_cast<double>(random.normal(i)); }));
}

void evaluate_uniform(EvaluateContext& c) {
  const double low = static_cast<double>(c.node().get<float>("low", 0.0f)), high = static_cast<double>(c.node().get<float>("high", 1.0f));
  const auto [type, dims] = form_of(c);
  const Numbers random = numbers_of(c);
  c.set(0, drawn(type, dims, [&](uint64_t i) { return low + (high - low) * static_cast<double>(random.uniform(i)); }));
}

void infer_bernoulli(InferContext& c) {
  require_inputs(c, 1);
  require_type(c, 0, is_float, "a float type");
  Type type = c.type(0);
  type.kind = Type::Kind::tensor;
  type.elem_type = checked_type(c, type.elem_type, is_number_or_bool, "a number or bool");
  c.set(0, std::move(type));
}

void evaluate_bernoulli(EvaluateContext& c) {
  const Tensor p = c.input(0).cast(DataType::float64);
  const auto at = p.data<double>();
  const Numbers random = numbers_of(c);
  c.set(0, drawn(type_of(c.node(), c.input(0).type()), p.dims(), [&](uint64_t i) { return static_cast<double>(random.uniform(i)) < at[i] ? 1.0 : 0.0; }));
}

/// x: [N, classes] logarithms of weights -> [N, sample_size] of classes.
void infer_multinomial(InferContext& c) {
  require_inputs(c, 1);
  require_type(c, 0, is_float, "a float type");
  c.require_rank(0, 2, 2);
  const auto size = c.node().get<int64_t>("sample_size", 1);
  if (size < 0) c.fail("sample_size is " + std::to_string(size));
  const auto is_index = [](DataType t) { return t == DataType::int32 || t == DataType::int64; };
  const DataType type = checked_type(c, DataType::int32, is_index, "int32 or int64");
  if (c.has_rank(0) && c.dims(0)[1].is(0)) c.fail("there is no class to draw");
  c.set(0, type, {c.has_rank(0) ? c.dims(0)[0] : Dim(), size});
}

/// The class at which the sum of weights passes a uniform share of the whole.
void evaluate_multinomial(EvaluateContext& c) {
  const int64_t rows = c.input(0).dims()[0], classes = c.input(0).dims()[1], samples = c.node().get<int64_t>("sample_size", 1);
  if (classes == 0) c.fail("there is no class to draw");
  const Tensor x = c.input(0).cast(DataType::float64);
  const auto logs = x.data<double>();
  const Numbers random = numbers_of(c);
  c.set(0, drawn(type_of(c.node(), DataType::int32), {rows, samples}, [&](uint64_t i) {
    const double* row = logs.data() + static_cast<int64_t>(i) / samples * classes;
    const double top = *std::max_element(row, row + classes);
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += std::exp(row[k] - top);
    double left = sum * static_cast<double>(random.uniform(i));
    int64_t k = 0;
    while (k + 1 < classes && (left -= std::exp(row[k] - top)) >= 0) ++k;
    return static_cast<double>(k);
  }));
}

constexpr Op make_op(const char* name, std::string_view domain, int since, void (*infer)(InferContext&), void (*evaluate)(EvaluateContext&), bool like) {
  Op op;
  op.name = name;
  op.domain = domain;
  op.since = since;
  op.infer = infer;
  op.evaluate = evaluate;
  op.shape_only_inputs = like ? 1 : 0;
  op.deterministic = false;
  return op;
}

}  // namespace

extern const Op random_normal, random_normal_like, random_uniform, random_uniform_like, bernoulli, multinomial;
const Op random_normal = make_op("RandomNormal", "", 1, infer_shaped, evaluate_normal, false);
const Op random_normal_like = make_op("RandomNormalLike", "", 1, infer_like, evaluate_normal, true);
const Op random_uniform = make_op("RandomUniform", "", 1, infer_shaped, evaluate_uniform, false);
const Op random_uniform_like = make_op("RandomUniformLike", "", 1, infer_like, evaluate_uniform, true);
const Op bernoulli = make_op("Bernoulli", "", 15, infer_bernoulli, evaluate_bernoulli, false);
const Op multinomial = make_op("Multinomial", "", 7, infer_multinomial, evaluate_multinomial, false);

extern const Op random_normal_step, random_normal_like_step, random_uniform_step, random_uniform_like_step, bernoulli_step, multinomial_step;
const Op random_normal_step = make_op("RandomNormal", kInternalDomain, 1, infer_shaped, evaluate_normal, false);
const Op random_normal_like_step = make_op("RandomNormalLike", kInternalDomain, 1, infer_like, evaluate_normal, true);
const Op random_uniform_step = make_op("RandomUniform", kInternalDomain, 1, infer_shaped, evaluate_uniform, false);
const Op random_uniform_like_step = make_op("RandomUniformLike", kInternalDomain, 1, infer_like, evaluate_uniform, true);
const Op bernoulli_step = make_op("Bernoulli", kInternalDomain, 1, infer_bernoulli, evaluate_bernoulli, false);
const Op multinomial_step = make_op("Multinomial", kInternalDomain, 1, infer_multinomial, evaluate_multinomial, false);

}  // namespace espalier::ops
