// Gradients of normalisations over rows (LayerNormalization, RMSNormalization) and groups of channels (GroupNormalization,
// InstanceNormalization).

#include <cmath>

#include "lib/base/parallel.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/norm_problem.h"
#include "lib/ops/op.h"

namespace espalier {

NormProblem layer_problem(const Dims& dims, int64_t axis, float epsilon, bool subtract_mean) {
  const auto from = dims.begin() + normalize_axis(axis, static_cast<int64_t>(dims.size()));
  NormProblem p = NormProblem::rows(element_count({dims.begin(), from}), element_count({from, dims.end()}));
  p.by_element = true;
  p.subtract_mean = subtract_mean;
  p.epsilon = epsilon;
  return p;
}

NormProblem group_problem(const Dims& dims, int64_t num_groups, float epsilon) {
  NormProblem p = NormProblem::channels(dims[0], num_groups, dims[1] / num_groups, element_count({dims.begin() + 2, dims.end()}));
  p.epsilon = epsilon;
  return p;
}

bool lower_norm(LowerContext& c, NormProblem p) {
  const Dims dims = c.dims(0);
  if (c.type(0) != DataType::float32 || element_count(dims) == 0) return false;
  for (const size_t i : {1, 2}) {
    const bool fits = !c.has_input(i) || (c.type(i) == DataType::float32 && element_count(c.dims(i)) == p.parameters());
    if (!fits || (c.has_output(i) && c.facts().output(i).type.elem_type != DataType::float32)) return false;
  }
  p.scale = c.has_input(1);
  p.bias = c.has_input(2);
  const auto plain = [](const Dims& d) { return Layout::plain(DataType::float32, d); };
  const Operand x = c.read(0, plain(dims));
  std::vector<Operand> args = {x};
  for (const size_t i : {1, 2}) {
    if (c.has_input(i)) args.push_back(c.read(i, plain(c.dims(i))));
  }
  args.push_back(c.write_over(0, x, plain(dims)));
  for (const size_t i : {1, 2}) {
    if (c.has_output(i)) args.push_back(c.write(i, plain(c.output_dims(i))));
  }
  c.step(normalize(p, c.has_output(1), c.has_output(2)), std::move(args), "loop");
  return true;
}

namespace ops {
namespace {

NormProblem problem_of(const Node& node, const Dims& dims) {
  const float epsilon = node.get<float>("epsilon", 1e-5f);
  if (node.op_type == "GroupNormalizationGrad") return group_problem(dims, node.get<int64_t>("num_groups", dims[1]), epsilon);
  return layer_problem(dims, node.get<int64_t>("axis", -1), epsilon, node.get<int64_t>("subtract_mean", 1) != 0);
}

/// x, scale, dy -> dx [, dscale [, dbias]], both like scale.
void infer(InferContext& c) {
  c.require_inputs(3, 3);
  c.set(0, c.type(0));
  for (const size_t i : {1, 2}) {
    if (c.has_output(i)) c.set(i, c.type(1));
  }
}

/// The sets of a problem in plain loops, in double.
class Backward {
 public:
  Backward(const NormProblem& p, const Tensor& x, const Tensor& scale, const Tensor& dy)
      : p_(p), x_(x.data<double>()), scale_(scale.data<double>()), dy_(dy.data<double>()), dx(DataType::float64, x.dims()),
        dscale(DataType::float64, scale.dims()), dbias(DataType::float64, scale.dims()) {
    for (int64_t set = 0; set < p.sets; ++set) run(set);
  }

 private:
  NormProblem p_;
  std::span<const double> x_, scale_, dy_;

 public:
  Tensor dx, dscale, dbias;

 private:
  /// Calls f(element, parameter).
  template <class F>
  void each(int64_t set, F f) const {
    const int64_t start = set / p_.per_sample * p_.sample_stride + set % p_.per_sample * p_.set_stride;
    for (int64_t s = 0; s < p_.segments; ++s) {
      for (int64_t i = 0; i < p_.length; ++i) {
        f(start + s * p_.segment_stride + i, p_.by_element ? i : set % p_.per_sample * p_.segments + s);
      }
    }
  }

  /// dx = (g - mean(g) - x^ mean(g x^)) / deviation, g = dy scale, x^ the normalised x.
  void run(int64_t set) {
    const auto n = static_cast<double>(p_.segments * p_.length);
    double mean = 0, variance = 0, sum = 0, dot = 0;
    if (p_.subtract_mean) each(set, [&](int64_t i, int64_t) { mean += x_[i] / n; });
    each(set, [&](int64_t i, int64_t) { variance += (x_[i] - mean) * (x_[i] - mean) / n; });
    const double inverse = 1 / std::sqrt(variance + static_cast<double>(p_.epsilon));
    const auto scales = dscale.mutable_data<double>(), biases = dbias.mutable_data<double>();
    each(set, [&](int64_t i, int64_t k) {
      const double value = (x_[i] - mean) * inverse;
      sum += dy_[i] * scale_[k] / n;
      dot += dy_[i] * scale_[k] * value / n;
      scales[k] += dy_[i] * value;
      biases[k] += dy_[i];
    });
    if (!p_.subtract_mean) sum = 0;
    const auto to = dx.mutable_data<double>();
    each(set, [&](int64_t i, int64_t k) { to[i] = inverse * (dy_[i] * scale_[k] - sum - (x_[i] - mean) * inverse * dot); });
  }
};

void evaluate(EvaluateContext& c) {
  const Tensor x = c.input(0).cast(DataType::float64), scale = c.input(1).cast(DataType::float64), dy = c.input(2).cast(DataType::float64);
  const NormProblem p = problem_of(c.node(), x.dims());
  if (scale.size() != p.parameters()) c.fail("scale has " + std::to_string(scale.size()) + " elements, expected " + std::to_string(p.parameters()));
  Backward result(p, x, scale, dy);
  c.set(0, result.dx.cast(c.input(0).type()));
  if (c.has_output(1)) c.set(1, result.dscale.cast(c.input(1).type()));
  if (c.has_output(2)) c.set(2, result.dbias.cast(c.input(1).type()));
}

bool lower(LowerContext& c) {
  const Dims dims = c.dims(0);
  if (c.type(0) != DataType::float32 || element_count(dims) == 0) return false;
  NormProblem p = problem_of(c.node(), dims);
  p.scale = true;
  if (element_count(c.dims(1)) != p.parameters()) return false;
  const auto plain = [&](size_t i) { return Layout::plain(DataType::float32, c.dims(i)); };
  std::vector<Operand> args = {c.read(0, plain(0)), c.read(1, plain(1)), c.read(2, plain(2))};
  args.push_back(c.write(0, plain(0)));
  for (const size_t i : {1, 2}) {
    if (c.has_output(i)) args.push_back(c.write(i, plain(1)));
  }
  c.step(normalize_backward(p, true, c.has_output(1), c.has_output(2)), std::move(args), "loop");
  return true;
}

}  // namespace

extern const Op layer_normalization_grad, group_normalization_grad;

/// LayerNormalizationGrad(x, scale, dy) {axis, epsilon, subtract_mean} -> dx [, dscale [, dbias]]; scale has the elements of
/// the axes from `axis` on.
const Op layer_normalization_grad = {
    .name = "LayerNormalizationGrad",
    .domain = kInternalDomain,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
};

/// GroupNormalizationGrad(x, scale [C], dy) {num_groups, epsilon} -> dx [, dscale [, dbias]]; without num_groups each channel
/// is one.
const Op group_normalization_grad = {
    .name = "GroupNormalizationGrad",
    .domain = kInternalDomain,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
};

}  // namespace ops
}  // namespace espalier
