#include <algorithm>

#include "lib/ops/boxes.h"
#include "lib/ops/conv_problem.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/cost.h"
#include "lib/ops/infer.h"
#include "lib/ops/movement.h"
#include "lib/ops/op.h"
#include "lib/ops/take.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

constexpr int kInputsSince = 11;

/// Attribute of the forms before version 11; version 1 spelt it otherwise.
std::string_view pads_name(const Node& node) { return node.version < 2 ? "paddings" : "pads"; }

std::string mode_of(const Node& node) { return node.get<std::string>("mode", "constant"); }

/// Pads of every axis, (begin, end) in axis order, for the pads of the axes that are named (all where they are not).
std::vector<std::pair<int64_t, int64_t>> by_axis(const std::vector<int64_t>& pads,
                                                 const std::optional<std::vector<int64_t>>& axes, int64_t rank) {
  std::vector<std::pair<int64_t, int64_t>> result(rank, {0, 0});
  const size_t count = axes ? axes->size() : static_cast<size_t>(rank);
  if (pads.size() != 2 * count) {
    throw Error(ErrorKind::bad_data,
                "has " + std::to_string(pads.size()) + " pads, expected " + std::to_string(2 * count));
  }
  for (size_t i = 0; i < count; ++i) {
    result[axes ? normalize_axis((*axes)[i], rank) : static_cast<int64_t>(i)] = {pads[i], pads[count + i]};
  }
  return result;
}

/// Where position i of the padded axis comes from; below 0 for the fill.
int64_t source(int64_t i, int64_t size, const std::string& mode) {
  if (i >= 0 && i < size) return i;
  if (mode == "edge") return std::clamp<int64_t>(i, 0, size - 1);
  if (mode == "wrap") return ((i % size) + size) % size;
  if (mode == "reflect") {
    if (size == 1) return 0;
    const int64_t period = 2 * (size - 1);
    const int64_t at = ((i % period) + period) % period;
    return at < size ? at : period - at;
  }
  return -1;
}

void infer(InferContext& c) {
  if (c.version() < kInputsSince) c.require_inputs(1, 1);
  else c.require_inputs(2, 4);
  const std::string mode = mode_of(c.node());
  if (mode != "constant" && mode != "reflect" && mode != "edge" && !(mode == "wrap" && c.version() >= 19)) {
    c.fail("mode is '" + mode + "', expected constant, reflect, edge or (from version 19) wrap");
  }
  c.set(0, Type::tensor(c.elem_type(0)));
  if (!c.has_rank(0)) return;
  SymbolicDims dims(c.rank(0));
  bool unknown_pads = false;
  const auto pads = c.integers_from(pads_name(c.node()), 1, kInputsSince, &unknown_pads);
  const auto axes = c.integers(3);
  if (!pads && !unknown_pads) c.fail("has no pads");
  if (pads && (axes || !c.has_input(3))) {
    const auto all = by_axis(*pads, axes, c.rank(0));
    for (size_t i = 0; i < dims.size(); ++i) {
      dims[i] = c.dims(0)[i] + all[i].first + all[i].second;
      if (dims[i].known() && dims[i].value() < 0) c.fail("pads leave axis " + std::to_string(i) + " a size of " + dims[i].str());
      if (mode != "constant" && c.dims(0)[i].is(0) && !dims[i].is(0)) c.fail("cannot pad an empty axis in mode " + mode);
    }
  }
  c.set(0, c.elem_type(0), std::move(dims));
}

/// The fill: an input since version 11, a float attribute before.
Tensor fill_of(const EvaluateContext& c) {
  if (c.has_input(2) && c.input(2).size() == 1) return c.input(2);
  if (c.version() >= kInputsSince) return Tensor(c.input(0).type(), {1});
  return Tensor::scalar(c.node().get<float>("value", 0.0f)).cast(c.input(0).type());
}

void evaluate(EvaluateContext& c) {
  const Tensor& in = c.input(0);
  const auto pads = *c.integers_from(pads_name(c.node()), 1, kInputsSince);
  const auto axes = c.has_input(3) ? std::optional(c.input(3).to_int64s()) : std::nullopt;
  const auto all = by_axis(pads, axes, in.rank());
  const std::string mode = mode_of(c.node());
  AxisIndices at(in.rank());
  for (size_t a = 0; a < at.size(); ++a) {
    const int64_t size = in.dims()[a], padded = size + all[a].first + all[a].second;
    for (int64_t i = 0; i < padded; ++i) at[a].push_back(source(i - all[a].first, size, mode));
  }
  const Tensor fill = fill_of(c);
  c.set(0, take(in, at, &fill));
}

/// Any mode and type: an axis that is padded gets a table of where each position comes from.
bool lower_table(LowerContext& c, const std::vector<std::pair<int64_t, int64_t>>& pads, const Tensor& fill) {
  const Dims dims = c.dims(0), out = c.output_dims(0), strides = row_major_strides(dims);
  const std::string mode = mode_of(c.node());
  if (!is_movable(c, 0)) return false;
  std::vector<MoveAxis> axes;
  for (size_t a = 0; a < dims.size(); ++a) {
    MoveAxis axis{out[a], strides[a], {}};
    const bool padded = pads[a].first != 0 || pads[a].second != 0;
    for (int64_t i = 0; padded && i < out[a]; ++i) {
      const int64_t from = source(i - pads[a].first, dims[a], mode);
      axis.table.push_back(from < 0 ? -1 : from * strides[a]);
    }
    axes.push_back(std::move(axis));
  }
  return lower_move(c, 0, std::move(axes), 0, &fill);
}

/// Constant padding of blocked floats: the input is a box of the result, which is blocked too.
bool lower(LowerContext& c) {
  bool unknown = false;
  const auto pads = c.facts().integers_from(pads_name(c.node()), 1, kInputsSince, &unknown);
  const auto axes = c.facts().integers(3);
  if (!pads || (c.has_input(3) && !axes) || (c.has_input(2) && !c.constant(2))) return false;
  Tensor fill = Tensor::scalar(c.node().get<float>("value", 0.0f));
  if (c.node().version >= kInputsSince) fill = Tensor(c.type(0), {});
  if (c.has_input(2) && c.constant(2)->size() == 1) fill = *c.constant(2);
  else if (c.node().version < kInputsSince) fill = fill.cast(c.type(0));
  const auto all = by_axis(*pads, axes, static_cast<int64_t>(c.dims(0).size()));
  Dims offsets;
  bool box = c.type(0) == DataType::float32 && mode_of(c.node()) == "constant" && !own_layout(c, 0).is_plain();
  for (const auto& [begin, end] : all) {
    box = box && begin >= 0 && end >= 0;
    offsets.push_back(begin);
  }
  if (box && lower_join(c, {{0, offsets}}, fill.data<float>()[0])) return true;
  return lower_table(c, all, fill);
}

Cost cost(const InferContext& c) { return {.bytes = checked_add(known_bytes(c.type(0)), known_bytes(c.output(0).type))}; }

void gradient(GradientContext& c) {
  const Node& node = c.node();
  const Type& type = c.type(c.input(0));
  const auto list = [&](size_t i) -> std::optional<std::vector<int64_t>> {
    if (c.input(i) == kNone) return std::nullopt;
    const Tensor* constant = c.constant(c.input(i));
    if (!constant) c.fail("cannot be differentiated: its pads are not constant");
    return constant->to_int64s();
  };
  if (!type.has_rank()) c.fail("cannot be differentiated: the rank of its input is not known");
  if (c.wants(2)) c.fail("cannot be differentiated with respect to its fill value");
  const bool attribute = node.version < kInputsSince;
  const auto pads = attribute ? node.require<std::vector<int64_t>>(pads_name(node)) : *list(1);
  std::vector<int64_t> begins, ends;
  for (const auto& [begin, end] : by_axis(pads, attribute ? std::nullopt : list(3), type.rank())) {
    begins.push_back(begin);
    ends.push_back(end);
  }
  begins.insert(begins.end(), ends.begin(), ends.end());
  c.set_grad(0, c.add("PadGrad", {c.input(0), c.grad_output()}, {{"pads", begins, {}}, {"mode", mode_of(node), {}}}));
}

}  // namespace

extern const Op pad;
const Op pad = {
    .name = "Pad",
    .until = 25,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::pad,
    .cut = cuts::pad,
    .cost = cost,
};

}  // namespace espalier::ops
