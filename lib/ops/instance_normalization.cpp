// InstanceNormalization and GroupNormalization: statistics over each channel, or group of channels, of each sample.

#include <cmath>

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/norm_problem.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// Channels that share statistics.
int64_t group_size(const Node& node, int64_t channels) {
  return node.op_type == "GroupNormalization" ? channels / node.require<int64_t>("num_groups") : 1;
}

/// Scale and bias of GroupNormalization belonged to groups before version 21.
bool by_group(const Node& node) { return node.op_type == "GroupNormalization" && node.version < 21; }

/// x: [N, C, D1 ...]; scale, bias: [C] (or [num_groups]).
void infer(InferContext& c) {
  c.require_inputs(3, 3);
  c.require_rank(0, 3, kMaxRank);
  const bool groups = c.node().op_type == "GroupNormalization";
  const int64_t count = groups ? c.node().require<int64_t>("num_groups") : 1;
  if (count < 1) c.fail("num_groups is " + std::to_string(count) + ", expected at least 1");
  const Dim channels = c.has_rank(0) ? c.dims(0)[1] : Dim();
  if (channels.known() && channels.value() % count != 0) {
    c.fail("input has " + channels.str() + " channels, expected a multiple of num_groups " + std::to_string(count));
  }
  const Dim expected = by_group(c.node()) ? Dim(count) : channels;
  for (size_t i = 0; i < 3; ++i) {
    require_type(c, i, is_float, "a float type");
    require_same_type(c, 0, i);
    if (i == 0) continue;
    c.require_rank(i, 1, 1);
    const Dim size = c.has_rank(i) ? c.dims(i)[0] : Dim();
    if (size.known() && expected.known() && !(size == expected)) {
      c.fail(std::string(i == 1 ? "scale" : "bias") + " has " + size.str() + " elements, expected " + expected.str());
    }
  }
  c.set(0, c.type(0));
}

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const int64_t channels = x.dims()[1], planes = x.dims()[0] * channels;
  if (x.size() == 0) return c.set(0, x);
  const int64_t plane = x.size() / planes, together = group_size(c.node(), channels), set = together * plane;
  const auto scale = c.input(1).to_doubles(), bias = c.input(2).to_doubles();
  const double epsilon = static_cast<double>(c.node().get<float>("epsilon", 1e-5f));
  const int64_t divisor = by_group(c.node()) ? together : 1;
  dispatch_float(x.type(), [&]<class T>() {
    Tensor y(x.type(), x.dims());
    const auto in = x.data<T>();
    const auto out = y.mutable_data<T>();
    parallel_for(x.size() / set, 1, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) {
        double sum = 0, squares = 0;
        for (int64_t i = s * set; i < (s + 1) * set; ++i) sum += static_cast<double>(in[i]);
        const double mean = sum / static_cast<double>(set);
        for (int64_t i = s * set; i < (s + 1) * set; ++i) squares += (static_cast<double>(in[i]) - mean) * (static_cast<double>(in[i]) - mean);
        const double inverse = 1 / std::sqrt(squares / static_cast<double>(set) + epsilon);
        for (int64_t i = s * set; i < (s + 1) * set; ++i) {
          const int64_t k = i / plane % channels / divisor;
          out[i] = store<T>((static_cast<double>(in[i]) - mean) * inverse * scale[k] + bias[k]);
        }
      }
    });
    c.set(0, std::move(y));
  });
}

/// Two passes for the moments, then subtract, scale and shift.
Cost cost(const InferContext& c) { return {.flops = checked_mul(7, known_elements(c.type(0))), .bytes = known_traffic(c)}; }

std::vector<int> parameters(const Node&) { return {1, 2}; }

bool lower(LowerContext& c) {
  const Dims dims = c.dims(0);
  if (by_group(c.node()) || dims.size() < 3) return false;
  const int64_t groups = c.node().op_type == "GroupNormalization" ? c.node().require<int64_t>("num_groups") : dims[1];
  return lower_norm(c, group_problem(dims, groups, c.node().get<float>("epsilon", 1e-5f)));
}

/// Version 18 scales groups: as if each channel had its group's values, whose gradients are then summed by group.
void gradient(GradientContext& c) {
  std::vector<Attribute> attributes = {{"epsilon", c.node().get<float>("epsilon", 1e-5f), {}}};
  const bool groups = by_group(c.node());
  int64_t count = 0;
  if (c.node().op_type == "GroupNormalization") {
    count = c.node().require<int64_t>("num_groups");
    attributes.push_back({"num_groups", count, {}});
  }
  ValueId scale = c.input(1);
  if (groups) {
    const Type& type = c.type(c.input(0));
    if (!type.has_rank() || !(*type.dims)[1].known()) c.fail("cannot be differentiated: the number of its channels is not known");
    const int64_t together = (*type.dims)[1].value() / count;
    const ValueId column = c.add("Reshape", {scale, integers(c, {count, 1})});
    scale = c.add("Reshape", {c.add("Expand", {column, integers(c, {count, together})}), integers(c, {-1})});
  }
  const size_t outputs = c.wants(2) ? 3 : c.wants(1) ? 2 : 1;
  auto grads = c.add_many("GroupNormalizationGrad", {c.input(0), scale, c.grad_output()}, outputs, std::move(attributes));
  for (size_t i = 0; i < outputs; ++i) {
    if (!c.wants(i)) continue;
    if (i > 0 && groups) {
      const ValueId rows = c.add("Reshape", {grads[i], integers(c, {count, -1})});
      grads[i] = c.add("ReduceSum", {rows, integers(c, {1})}, {{"keepdims", int64_t{0}, {}}});
    }
    c.set_grad(i, grads[i]);
  }
}

}  // namespace

extern const Op instance_normalization;
const Op instance_normalization = {
    .name = "InstanceNormalization",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::norm,
    .cut = cuts::norm,
    .cost = cost,
    .parameters = parameters,
};

extern const Op group_normalization;
const Op group_normalization = {
    .name = "GroupNormalization",
    .since = 18,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::group_norm,
    .cut = cuts::group_norm,
    .cost = cost,
    .parameters = parameters,
};

}  // namespace espalier::ops
