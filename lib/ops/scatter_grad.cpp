// Gradients of scattered products and extrema, which depend on all that met in an element.

#include "lib/ops/indices.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(5, 5);
  if (c.has_output(0)) c.set(0, c.type(0));
  if (c.has_output(1)) c.set(1, c.type(2));
}

/// Of each element of the result: the product of the factors that are not 0, and how many are 0.
struct Products {
  std::vector<double> product;
  std::vector<int64_t> zeros;

  explicit Products(std::span<const double> first) : product(first.size(), 1), zeros(first.size(), 0) {
    for (size_t i = 0; i < first.size(); ++i) take(static_cast<int64_t>(i), first[i]);
  }
  void take(int64_t at, double factor) {
    if (factor == 0) ++zeros[at];
    else product[at] *= factor;
  }
  /// The product of all factors but this one.
  double others(int64_t at, double factor) const {
    if (factor == 0) return zeros[at] == 1 ? product[at] : 0;
    return zeros[at] == 0 ? product[at] / factor : 0;
  }
};

void evaluate(EvaluateContext& c) {
  const auto data = c.input(0).to_doubles(), updates = c.input(2).to_doubles(), y = c.input(3).to_doubles(), dy = c.input(4).to_doubles();
  const Dims& dims = c.input(0).dims();
  const auto positions = c.node().get<int64_t>("tuples", 0) != 0
                             ? positions_of(tuple_runs(c, dims, c.input(1), 0))
                             : element_positions(c, dims, c.input(1), normalize_axis(c.node().get<int64_t>("axis", 0), c.input(0).rank()));
  std::vector<double> d_data(data.size()), d_updates(updates.size());
  if (c.node().require<std::string>("reduction") == "mul") {
    Products all(data);
    for (size_t i = 0; i < positions.size(); ++i) all.take(positions[i], updates[i]);
    for (size_t i = 0; i < data.size(); ++i) d_data[i] = dy[i] * all.others(static_cast<int64_t>(i), data[i]);
    for (size_t i = 0; i < positions.size(); ++i) d_updates[i] = dy[positions[i]] * all.others(positions[i], updates[i]);
  } else {  // equal extrema share the gradient
    std::vector<double> hits(data.size());
    for (size_t i = 0; i < data.size(); ++i) hits[i] = data[i] == y[i] ? 1 : 0;
    for (size_t i = 0; i < positions.size(); ++i) hits[positions[i]] += updates[i] == y[positions[i]] ? 1 : 0;
    for (size_t i = 0; i < data.size(); ++i) d_data[i] = data[i] == y[i] ? dy[i] / hits[i] : 0;
    for (size_t i = 0; i < positions.size(); ++i) {
      const int64_t at = positions[i];
      d_updates[i] = updates[i] == y[at] ? dy[at] / hits[at] : 0;
    }
  }
  const DataType type = c.input(4).type();
  if (c.has_output(0)) c.set(0, Tensor::of<double>(dims, d_data).cast(type));
  if (c.has_output(1)) c.set(1, Tensor::of<double>(c.input(2).dims(), d_updates).cast(type));
}

}  // namespace

extern const Op scatter_reduction_grad_op;

/// ScatterReductionGrad(data, indices, updates, y, dy) {reduction: mul, max or min; tuples: 1 for ScatterND; axis} -> d data,
/// d updates.
const Op scatter_reduction_grad_op = {
    .name = "ScatterReductionGrad",
    .domain = kInternalDomain,
    .infer = infer,
    .evaluate = evaluate,
};

}  // namespace espalier::ops
