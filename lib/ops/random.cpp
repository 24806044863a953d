// RandomNormal, RandomUniform, their Like forms, Bernoulli and Multinomial: numbers of Philox. The same seed gives the same
// numbers; a node without a seed draws from a stream of its own, told by its name.

#include <bit>
#include <cmath>

#include "lib/base/random.h"
#include "lib/ops/elementwise.h"

namespace espalier::ops {
namespace {

constexpr auto kDraws = static_cast<RandomUse>(7);  // of operators

bool any_type(DataType) { return true; }
bool is_number_or_bool(DataType type) { return is_numeric(type) || is_boolean(type); }

/// FNV-1a of a name.
uint32_t stream_of(const std::string& name) {
  uint32_t hash = 2166136261u;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 16777619u;
  return hash;
}

Random generator(const Node& node) {
  if (!node.has("seed")) return {0, kDraws, stream_of(node.name)};
  return {std::bit_cast<uint32_t>(node.require<float>("seed")), kDraws, 0};
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
  c.require_inputs(0, 0);
  check_attributes(c);
  const auto dims = c.node().require<std::vector<int64_t>>("shape");
  for (const int64_t d : dims) {
    if (d < 0) c.fail("shape is " + to_string(dims));
  }
  c.set(0, Type::tensor(checked_type(c, DataType::float32, is_float, "a float type"), dims));
}

void infer_like(InferContext& c) {
  c.require_inputs(1, 1);
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
  if (!c.has_input(0)) return {type_of(c.node(), DataType::float32), c.node().require<std::vector<int64_t>>("shape")};
  return {type_of(c.node(), c.input(0).type()), c.input(0).dims()};
}

void evaluate_normal(EvaluateContext& c) {
  const double mean = static_cast<double>(c.node().get<float>("mean", 0.0f)), scale = static_cast<double>(c.node().get<float>("scale", 1.0f));
  const auto [type, dims] = form_of(c);
  const Random random = generator(c.node());
  c.set(0, drawn(type, dims, [&](uint64_t i) { return mean + scale * static_cast<double>(random.normal(i)); }));
}

void evaluate_uniform(EvaluateContext& c) {
  const double low = static_cast<double>(c.node().get<float>("low", 0.0f)), high = static_cast<double>(c.node().get<float>("high", 1.0f));
  const auto [type, dims] = form_of(c);
  const Random random = generator(c.node());
  c.set(0, drawn(type, dims, [&](uint64_t i) { return low + (high - low) * static_cast<double>(random.uniform(i)); }));
}

void infer_bernoulli(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_float, "a float type");
  Type type = c.type(0);
  type.kind = Type::Kind::tensor;
  type.elem_type = checked_type(c, type.elem_type, is_number_or_bool, "a number or bool");
  c.set(0, std::move(type));
}

void evaluate_bernoulli(EvaluateContext& c) {
  const Tensor p = c.input(0).cast(DataType::float64);
  const auto at = p.data<double>();
  const Random random = generator(c.node());
  c.set(0, drawn(type_of(c.node(), c.input(0).type()), p.dims(), [&](uint64_t i) { return static_cast<double>(random.uniform(i)) < at[i] ? 1.0 : 0.0; }));
}

/// x: [N, classes] logarithms of weights -> [N, sample_size] of classes.
void infer_multinomial(InferContext& c) {
  c.require_inputs(1, 1);
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
  const Random random = generator(c.node());
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

}  // namespace

extern const Op random_normal;
const Op random_normal = {.name = "RandomNormal", .infer = infer_shaped, .evaluate = evaluate_normal, .deterministic = false};
extern const Op random_normal_like;
const Op random_normal_like = {.name = "RandomNormalLike", .infer = infer_like, .evaluate = evaluate_normal, .shape_only_inputs = 1, .deterministic = false};
extern const Op random_uniform;
const Op random_uniform = {.name = "RandomUniform", .infer = infer_shaped, .evaluate = evaluate_uniform, .deterministic = false};
extern const Op random_uniform_like;
const Op random_uniform_like = {.name = "RandomUniformLike", .infer = infer_like, .evaluate = evaluate_uniform, .shape_only_inputs = 1, .deterministic = false};
extern const Op bernoulli;
const Op bernoulli = {.name = "Bernoulli", .since = 15, .infer = infer_bernoulli, .evaluate = evaluate_bernoulli, .deterministic = false};
extern const Op multinomial;
const Op multinomial = {.name = "Multinomial", .since = 7, .infer = infer_multinomial, .evaluate = evaluate_multinomial, .deterministic = false};

}  // namespace espalier::ops
