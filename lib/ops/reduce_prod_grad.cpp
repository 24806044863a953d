// The derivative of ReduceProd: of each element, the product of the others that are multiplied with it.

#include "lib/kernels/contract.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/lower.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(1, 1);
  require_type(c, 0, is_float, "a float type");
  c.set(0, c.type(0));
}

/// Products of what stands before and of what stands behind, so that zeros need no case.
void evaluate(EvaluateContext& c) {
  const Dims &dims = c.input(0).dims(), strides = row_major_strides(dims);
  const auto axes = c.node().get<std::vector<int64_t>>("axes", {});
  const bool all = axes.empty() && c.node().get<int64_t>("noop_with_empty_axes", 0) == 0;
  std::vector<bool> reduced(dims.size(), all);
  for (const int64_t axis : axes) reduced[static_cast<size_t>(normalize_axis(axis, c.input(0).rank()))] = true;
  std::vector<int64_t> starts = {0}, offsets = {0};
  for (size_t a = 0; a < dims.size(); ++a) {
    std::vector<int64_t> grown;
    for (const int64_t base : reduced[a] ? offsets : starts) {
      for (int64_t i = 0; i < dims[a]; ++i) grown.push_back(base + i * strides[a]);
    }
    (reduced[a] ? offsets : starts) = std::move(grown);
  }
  const auto x = c.input(0).to_doubles();
  std::vector<double> y(x.size());
  for (const int64_t start : starts) {
    double before = 1, behind = 1;
    for (size_t i = 0; i < offsets.size(); ++i) {
      y[start + offsets[i]] = before;
      before *= x[start + offsets[i]];
    }
    for (size_t i = offsets.size(); i-- > 0;) {
      y[start + offsets[i]] *= behind;
      behind *= x[start + offsets[i]];
    }
  }
  c.set(0, Tensor::of<double>(dims, y).cast(c.input(0).type()));
}

bool lower(LowerContext& c) {
  const Dims dims = c.dims(0);
  if (c.type(0) != DataType::float32 || element_count(dims) == 0) return false;
  const auto axes = c.node().get<std::vector<int64_t>>("axes", {});
  const bool all = axes.empty() && c.node().get<int64_t>("noop_with_empty_axes", 0) == 0;
  std::vector<bool> reduced(dims.size(), all);
  for (const int64_t axis : axes) reduced[static_cast<size_t>(normalize_axis(axis, static_cast<int64_t>(dims.size())))] = true;
  const Layout layout = Layout::plain(DataType::float32, dims);
  c.step(products_of_others(dims, reduced), {c.read(0, layout), c.write(0, layout)}, "loop");
  return true;
}

}  // namespace

extern const Op reduce_prod_grad_op;

/// ReduceProdGrad(x) {axes, keepdims, noop_with_empty_axes: those of the reduction} -> dy/dx, of the shape of x.
const Op reduce_prod_grad_op = {.name = "ReduceProdGrad", .domain = kInternalDomain, .infer = infer, .evaluate = evaluate, .lower = lower};

}  // namespace espalier::ops
