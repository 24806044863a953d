#include "lib/kernels/reduce.h"
#include "lib/ops/cost.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/infer.h"
#include "lib/ops/movement.h"
#include "lib/ops/op.h"
#include "lib/ops/rank.h"
#include "lib/ops/take.h"
#include "lib/ops/unit_rules.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier::ops {
namespace {

void infer_expand(InferContext& c) {
  c.require_inputs(2, 2);
  c.set(0, Type::tensor(c.elem_type(0)));
  const auto shape = c.numbers(1);
  if (!c.has_rank(0)) return;
  if (shape) {
    for (const Dim& d : *shape) {
      if (d.known() && d.value() < 0) c.fail("asks for shape " + to_string(*shape));
    }
    SymbolicDims dims = broadcast(c, c.dims(0), *shape);
    if (dims.size() == 1 && dims[0].known() && c.rank(0) <= 1) {  // one number, repeated
      const auto numbers = c.numbers(0);
      if (numbers && numbers->size() == 1 && dims[0].value() <= 64) {
        c.set_numbers(0, std::vector<Dim>(dims[0].value(), numbers->front()));
      }
    }
    c.set(0, c.elem_type(0), std::move(dims));
  } else if (c.has_rank(1) && c.rank(1) == 1 && c.dims(1)[0].known()) {
    c.set(0, c.elem_type(0), unknown_dims(c, std::max(c.rank(0), c.dims(1)[0].value())));
  }
}

void evaluate_expand(EvaluateContext& c) {
  const Dims out = broadcast(c.input(0).dims(), c.input(1).to_int64s());
  Dims in(out.size() - c.input(0).dims().size(), 1);
  in.insert(in.end(), c.input(0).dims().begin(), c.input(0).dims().end());
  AxisIndices at = all_indices(out);
  for (size_t a = 0; a < out.size(); ++a) {
    if (in[a] == 1) at[a].assign(out[a], 0);
  }
  c.set(0, take(c.input(0).reshaped(in), at));
}

/// Repeats of every axis: one input since version 6, (tiles, axis) before.
std::optional<std::vector<int64_t>> repeats_of(const InferContext& c) {
  if (c.version() >= 6) return c.integers(1);
  const auto tiles = c.integers(1), axis = c.integers(2);
  if (!tiles || !axis || tiles->size() != 1 || axis->size() != 1) return std::nullopt;
  std::vector<int64_t> repeats(c.rank(0), 1);
  repeats[c.axis((*axis)[0], c.rank(0))] = (*tiles)[0];
  return repeats;
}

void infer_tile(InferContext& c) {
  if (c.version() >= 6) c.require_inputs(2, 2);
  else c.require_inputs(3, 3);
  c.set(0, Type::tensor(c.elem_type(0)));
  if (!c.has_rank(0)) return;
  SymbolicDims dims(c.rank(0));
  if (const auto repeats = repeats_of(c)) {
    if (repeats->size() != dims.size()) {
      c.fail("has " + std::to_string(repeats->size()) + " repeats, expected " + std::to_string(dims.size()));
    }
    for (size_t a = 0; a < dims.size(); ++a) {
      if ((*repeats)[a] < 0) c.fail("repeats are " + to_string(*repeats));
      dims[a] = c.dims(0)[a] * (*repeats)[a];
    }
  } else if (const auto symbolic = c.numbers(1); symbolic && symbolic->size() == dims.size()) {
    for (size_t a = 0; a < dims.size(); ++a) dims[a] = c.dims(0)[a] * (*symbolic)[a];
  }
  c.set(0, c.elem_type(0), std::move(dims));
}

void evaluate_tile(EvaluateContext& c) {
  const Tensor& in = c.input(0);
  std::vector<int64_t> repeats = c.input(1).cast(DataType::int64).to_int64s();
  if (c.version() < 6) {
    const int64_t axis = normalize_axis(c.input(2).cast(DataType::int64).to_int64s().at(0), in.rank());
    const int64_t tiles = repeats.at(0);
    repeats.assign(in.rank(), 1);
    repeats[axis] = tiles;
  }
  AxisIndices at(in.rank());
  for (size_t a = 0; a < at.size(); ++a) {
    const int64_t size = in.dims()[a], tiled = checked_mul(size, repeats[a]);
    for (int64_t i = 0; i < tiled; ++i) at[a].push_back(i % size);
  }
  c.set(0, take(in, at));
}

bool lower_expand(LowerContext& c) { return lower_broadcast(c, 0); }

/// Each axis is two: which repetition, and where in it.
bool lower_tile(LowerContext& c) {
  const Dims from = c.dims(0), to = c.output_dims(0), strides = row_major_strides(from);
  if (!is_movable(c, 0)) return false;
  std::vector<MoveAxis> axes;
  for (size_t a = 0; a < from.size(); ++a) {
    axes.push_back({to[a] / from[a], 0, {}});
    axes.push_back({from[a], strides[a], {}});
  }
  return lower_move(c, 0, std::move(axes));
}

/// The sum over the repetitions, each axis seen as two.
bool lower_tile_grad(LowerContext& c) {
  const Dims small = c.dims(0), large = c.dims(1);
  if (c.type(1) != DataType::float32 || element_count(small) == 0 || element_count(large) == 0) return false;
  Dims split;
  std::vector<bool> reduced;
  for (size_t a = 0; a < small.size(); ++a) {
    split.insert(split.end(), {large[a] / small[a], small[a]});
    reduced.insert(reduced.end(), {true, false});
  }
  const Operand dy = c.read(1, Layout::plain(DataType::float32, large));
  c.step(reduce_sum(split, reduced, 1), {dy, c.write(0, Layout::plain(DataType::float32, small))}, "loop");
  return true;
}

void gradient_tile(GradientContext& c) { c.set_grad(0, c.add("TileGrad", {c.input(0), c.grad_output()})); }

void infer_tile_grad(InferContext& c) {
  c.require_inputs(2, 2);
  c.set(0, c.type(0));
}

/// All repetitions summed.
void evaluate_tile_grad(EvaluateContext& c) {
  const Dims &to = c.input(0).dims(), &from = c.input(1).dims(), strides = row_major_strides(to);
  const auto dy = c.input(1).to_doubles();
  std::vector<double> dx(static_cast<size_t>(element_count(to)));
  Dims at(from.size(), 0);
  for (const double v : dy) {
    int64_t target = 0;
    for (size_t a = 0; a < at.size(); ++a) target += at[a] % to[a] * strides[a];
    dx[static_cast<size_t>(target)] += v;
    for (size_t a = at.size(); a-- > 0;) {
      if (++at[a] < from[a]) break;
      at[a] = 0;
    }
  }
  c.set(0, Tensor::of<double>(to, dx).cast(c.input(1).type()));
}

Cost cost(const InferContext& c) { return {.bytes = checked_add(known_bytes(c.type(0)), known_bytes(c.output(0).type))}; }

void gradient_expand(GradientContext& c) { c.set_grad(0, c.add("SumTo", {c.grad_output(), c.input(0)})); }

}  // namespace

extern const Op expand;
const Op expand = {
    .name = "Expand",
    .since = 8,
    .infer = infer_expand,
    .evaluate = evaluate_expand,
    .lower = lower_expand,
    .gradient = gradient_expand,
    .units = units::expand,
    .cut = cuts::expand,
    .cost = cost,
};

extern const Op tile, tile_grad_op;
const Op tile = {
    .name = "Tile",
    .infer = infer_tile,
    .evaluate = evaluate_tile,
    .lower = lower_tile,
    .gradient = gradient_tile,
    .units = units::tile,
    .cut = cuts::tile,
    .cost = cost,
};

/// TileGrad(x_like, dy) -> dx.
const Op tile_grad_op = {
    .name = "TileGrad",
    .domain = kInternalDomain,
    .infer = infer_tile_grad,
    .evaluate = evaluate_tile_grad,
    .lower = lower_tile_grad,
    .shape_only_inputs = 0b1,
};

}  // namespace espalier::ops
