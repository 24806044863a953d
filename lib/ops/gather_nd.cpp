// GatherND, and its gradient, which adds where ScatterND would write.

#include "lib/ops/cost.h"
#include "lib/ops/gradient.h"
#include "lib/ops/indices.h"
#include "lib/ops/movement.h"
#include "lib/ops/op.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier::ops {
namespace {

int64_t batch_dims(const Node& node) { return node.version < 12 ? 0 : node.get<int64_t>("batch_dims", 0); }

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  require_index_type(c, 1, false);
  c.require_rank(0, 1, static_cast<int64_t>(kMaxRank));
  c.require_rank(1, 1, static_cast<int64_t>(kMaxRank));
  c.set(0, Type::tensor(c.elem_type(0)));
  if (!c.has_rank(0) || !c.has_rank(1)) return;
  const SymbolicDims &data = c.dims(0), &indices = c.dims(1);
  const int64_t batch = batch_dims(c.node()), rank = c.rank(0);
  if (batch < 0 || batch >= rank || batch >= c.rank(1)) {
    c.fail("batch_dims is " + std::to_string(batch) + ", expected 0 to " + std::to_string(std::min(rank, c.rank(1)) - 1));
  }
  for (int64_t i = 0; i < batch; ++i) {
    if (data[i].known() && indices[i].known() && !(data[i] == indices[i])) {
      c.fail("batch axis " + std::to_string(i) + " is " + data[i].str() + " in the data and " + indices[i].str() + " in the indices");
    }
  }
  const Dim& width = indices.back();
  if (!width.known()) return;
  if (width.value() < 1 || width.value() > rank - batch) {
    c.fail("indices have tuples of " + width.str() + ", expected 1 to " + std::to_string(rank - batch));
  }
  SymbolicDims dims(indices.begin(), indices.end() - 1);
  dims.insert(dims.end(), data.begin() + batch + width.value(), data.end());
  c.set(0, c.elem_type(0), std::move(dims));
}

void evaluate(EvaluateContext& c) {
  const Tensor &data = c.input(0), &indices = c.input(1);
  const int64_t batch = batch_dims(c.node());
  Dims dims(indices.dims().begin(), indices.dims().end() - 1);
  dims.insert(dims.end(), data.dims().begin() + batch + indices.dims().back(), data.dims().end());
  const auto positions = positions_of(tuple_runs(c, data.dims(), indices, batch));
  c.set(0, gathered(data, positions, std::move(dims)));
}

bool lower(LowerContext& c) { return lower_gather(c, Indexing::Kind::tuples, 0, batch_dims(c.node())); }

void gradient(GradientContext& c) {
  c.set_grad(0, c.add("GatherNDGrad", {c.input(0), c.input(1), c.grad_output()}, {{"batch_dims", batch_dims(c.node()), {}}}));
}

void infer_grad(InferContext& c) {
  c.require_inputs(3, 3);
  c.set(0, c.type(0));
}

void evaluate_grad(EvaluateContext& c) {
  const Tensor zeros(DataType::float64, c.input(0).dims());
  const auto positions = positions_of(tuple_runs(c, zeros.dims(), c.input(1), c.node().get<int64_t>("batch_dims", 0)));
  c.set(0, scattered(zeros, positions, c.input(2).cast(DataType::float64), Reduction::add).cast(c.input(2).type()));
}

bool lower_grad(LowerContext& c) {
  return lower_gather_grad(c, Indexing::Kind::tuples, 0, c.node().get<int64_t>("batch_dims", 0));
}

/// What is read of the data is what is written.
Cost cost(const InferContext& c) {
  const int64_t moved = checked_mul(2, known_bytes(c.output(0).type));
  return {.bytes = checked_add(moved, known_bytes(c.type(1)))};
}

}  // namespace

extern const Op gather_nd, gather_nd_grad_op;
const Op gather_nd = {
    .name = "GatherND",
    .since = 11,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::gather_nd,
    .cut = cuts::gather_nd,
    .cost = cost,
};

/// GatherNDGrad(x_like, indices, dy) {batch_dims} -> dx; what is gathered several times is summed.
const Op gather_nd_grad_op = {
    .name = "GatherNDGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
    .lower = lower_grad,
    .shape_only_inputs = 0b1,
};

}  // namespace espalier::ops
