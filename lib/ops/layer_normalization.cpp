// LayerNormalization and RMSNormalization: statistics over all axes from `axis` on.

#include <cmath>

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/norm_problem.h"
#include "lib/ops/normalized_rows.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

bool subtracts_mean(const Node& node) { return node.op_type == "LayerNormalization"; }

/// x: [..., D]; scale, bias broadcast one way to x; y like x; mean and inverse deviation: D axes of size 1.
void infer(InferContext& c) {
  c.require_inputs(2, subtracts_mean(c.node()) ? 3 : 2);
  c.require_rank(0, 1, kMaxRank);
  for (const size_t i : {0, 1, 2}) require_type(c, i, is_float, "a float type");
  c.set(0, c.type(0));
  const auto stash = static_cast<DataType>(c.node().get<int64_t>("stash_type", 1));
  std::optional<SymbolicDims> dims;
  if (c.has_rank(0)) {
    const int64_t axis = c.axis(c.node().get<int64_t>("axis", -1), c.rank(0));
    dims = c.dims(0);
    std::fill(dims->begin() + axis, dims->end(), Dim(1));
    for (const size_t i : {1, 2}) {
      if (!c.has_input(i) || !c.has_rank(i)) continue;
      const auto both = to_known(broadcast(c, c.dims(0), c.dims(i)));
      const auto own = to_known(c.dims(0));
      if (both && own && *both != *own) {
        c.fail(std::string(i == 1 ? "scale" : "bias") + " has shape " + to_string(c.dims(i)) + ", which does not broadcast to " + to_string(c.dims(0)));
      }
    }
  }
  for (const size_t i : {1, 2}) {
    if (c.has_output(i)) c.set(i, dims ? Type::tensor(stash, *dims) : Type::tensor(stash));
  }
}

struct Statistics {
  Tensor mean, inverse;
};

/// x becomes (x - mean) / sqrt(variance + epsilon), row by row.
Statistics normalize(Tensor& x, int64_t axis, double epsilon, bool subtract) {
  Dims dims = x.dims();
  std::fill(dims.begin() + axis, dims.end(), 1);
  Statistics s{Tensor(DataType::float64, dims), Tensor(DataType::float64, dims)};
  const int64_t rows = s.mean.size(), size = rows ? x.size() / rows : 0;
  const auto values = x.mutable_data<double>();
  const auto means = s.mean.mutable_data<double>(), inverses = s.inverse.mutable_data<double>();
  parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      double* v = values.data() + row * size;
      double sum = 0, squares = 0;
      for (int64_t i = 0; i < size; ++i) sum += v[i];
      means[row] = subtract ? sum / static_cast<double>(size) : 0;
      for (int64_t i = 0; i < size; ++i) squares += (v[i] - means[row]) * (v[i] - means[row]);
      inverses[row] = 1 / std::sqrt(squares / static_cast<double>(size) + epsilon);
      for (int64_t i = 0; i < size; ++i) v[i] = (v[i] - means[row]) * inverses[row];
    }
  });
  return s;
}

void evaluate(EvaluateContext& c) {
  Tensor x = c.input(0).cast(DataType::float64);
  const int64_t axis = normalize_axis(c.node().get<int64_t>("axis", -1), x.rank());
  const double epsilon = static_cast<double>(c.node().get<float>("epsilon", 1e-5f));
  const Statistics s = normalize(x, axis, epsilon, subtracts_mean(c.node()));
  Tensor y = zip<double, double>(x, c.input(1).cast(DataType::float64), [](double a, double b) { return a * b; });
  if (c.has_input(2)) y = zip<double, double>(y, c.input(2).cast(DataType::float64), [](double a, double b) { return a + b; });
  c.set(0, y.cast(c.input(0).type()));

  const auto stash = static_cast<DataType>(c.node().get<int64_t>("stash_type", 1));
  if (c.has_output(1)) c.set(1, s.mean.cast(stash));
  if (c.has_output(2)) c.set(2, s.inverse.cast(stash));
}

/// Two passes for the moments, then subtract, scale and shift.
Cost cost(const InferContext& c) { return {.flops = checked_mul(7, known_elements(c.type(0))), .bytes = known_traffic(c)}; }

std::vector<int> parameters(const Node&) { return {1, 2}; }

float epsilon_of(const Node& node) { return node.get<float>("epsilon", 1e-5f); }

bool lower(LowerContext& c) {
  const bool mean = subtracts_mean(c.node());
  return lower_norm(c, layer_problem(c.dims(0), c.node().get<int64_t>("axis", -1), epsilon_of(c.node()), mean));
}

/// Scale (and bias) have one element for each position of the axes from `axis` on.
bool is_by_element(const GradientContext& c, int64_t axis) {
  const Type& type = c.type(c.input(0));
  for (const size_t i : {1, 2}) {
    if (c.input(i) == kNone) continue;
    const auto own = c.type(c.input(i)).known_dims();
    if (!own || !type.has_rank()) return false;
    const int64_t first = normalize_axis(axis, type.rank());
    const SymbolicDims behind(type.dims->begin() + first, type.dims->end());
    const auto known = to_known(behind);
    if (!known || *known != *own) return false;
  }
  return true;
}

void gradient(GradientContext& c) {
  if (c.grad_output(1) != kNone || c.grad_output(2) != kNone) c.fail("cannot be differentiated through its statistics");
  const Type& type = c.type(c.input(0));
  if (is_by_element(c, c.node().get<int64_t>("axis", -1))) {
    const size_t outputs = c.wants(2) ? 3 : c.wants(1) ? 2 : 1;
    const auto grads = c.add_many("LayerNormalizationGrad", {c.input(0), c.input(1), c.grad_output()}, outputs,
                                  {{"axis", c.node().get<int64_t>("axis", -1), {}},
                                   {"epsilon", epsilon_of(c.node()), {}},
                                   {"subtract_mean", int64_t{subtracts_mean(c.node())}, {}}});
    for (size_t i = 0; i < outputs; ++i) {
      if (c.wants(i)) c.set_grad(i, grads[i]);
    }
    return;
  }
  int64_t axis = c.node().get<int64_t>("axis", -1), end = 0;
  if (axis >= 0 && !type.has_rank()) c.fail("cannot be differentiated: the rank of its input is not known");
  if (axis >= 0) end = type.rank();
  std::vector<int64_t> axes;
  for (; axis < end; ++axis) axes.push_back(axis);
  const double epsilon = static_cast<double>(c.node().get<float>("epsilon", 1e-5f));
  const NormalizedRows rows(c, axes, epsilon, subtracts_mean(c.node()));
  const ValueId dy = c.grad_output();
  if (c.wants(0)) c.set_grad(0, rows.gradient(c, c.add("Mul", {dy, c.input(1)})));
  if (c.wants(1)) c.set_grad(1, sum_to_input(c, c.add("Mul", {dy, rows.value}), 1));
  if (c.wants(2)) c.set_grad(2, sum_to_input(c, dy, 2));
}

}  // namespace

extern const Op layer_normalization;
const Op layer_normalization = {
    .name = "LayerNormalization",
    .since = 17,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::layer_norm,
    .cut = cuts::layer_norm,
    .cost = cost,
    .parameters = parameters,
};

extern const Op rms_normalization;
const Op rms_normalization = {
    .name = "RMSNormalization",
    .since = 23,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::rms_norm,
    .cut = cuts::rms_norm,
    .cost = cost,
    .parameters = parameters,
};

}  // namespace espalier::ops
