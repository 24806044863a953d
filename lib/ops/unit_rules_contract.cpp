#include <algorithm>

#include "lib/ops/cut_weight.h"
#include "lib/ops/unit_rules.h"
#include "lib/tensor/take.h"

namespace espalier {
namespace {

/// Sizes of a convolution's channels: C in, O out, per group.
struct Channels {
  bool transposed;
  int64_t group, in, out, in_each, out_each;
  int64_t offset_group;  ///< of DeformConv: blocks of input channels that share offsets; 1 elsewhere
  bool depthwise() const { return group > 1 && in_each == 1; }
};

bool is_deformable(const UnitNode& c) { return c.op() == "DeformConv"; }

/// Where the operands stand, and what has one number for each output channel beside the weight: a bias, scales, zero points.
struct Places {
  size_t weight = 1;
  std::vector<size_t> of_outputs = {2};
  std::optional<size_t> zero_point = {};
};

Places places(const UnitNode& c) {
  if (is_deformable(c)) return {1, {3}, {}};
  if (c.op() == "QLinearConv") return {3, {4, 5, 8}, 5};
  if (c.op() == "ConvInteger") return {1, {3}, 3};
  return {};
}

std::optional<Channels> channels_of(const UnitNode& c) {
  const Places at = places(c);
  const ValueId x = c.input(0), w = c.input(at.weight);
  if (!c.active(x) || !c.constant(w)) return std::nullopt;
  for (const size_t i : at.of_outputs) {
    if (c.active(c.input(i))) return std::nullopt;
  }
  Channels result{c.op() == "ConvTranspose", c.node().get<int64_t>("group", 1), c.dim(x, 1), 0, 0, 0, 1};
  if (is_deformable(c)) result.offset_group = c.node().get<int64_t>("offset_group", 1);
  result.out = result.transposed ? c.dim(w, 1) * result.group : c.dim(w, 0);
  result.in_each = result.in / result.group;
  result.out_each = result.out / result.group;
  return result;
}

/// Weight [C, M/group, ...] of a grouped ConvTranspose: each input writes what is left of its own group.
Tensor cut_transposed(const Tensor& w, const Channels& n, const std::vector<int64_t>& in, const std::vector<int64_t>& out) {
  const auto in_each = static_cast<int64_t>(in.size()) / n.group, out_each = static_cast<int64_t>(out.size()) / n.group;
  Dims dims = w.dims();
  dims[0] = static_cast<int64_t>(in.size());
  dims[1] = out_each;
  int64_t kernel = 1;
  for (size_t i = 2; i < dims.size(); ++i) kernel *= dims[i];
  std::vector<int64_t> blocks;
  for (size_t i = 0; i < in.size(); ++i) {
    const int64_t group = static_cast<int64_t>(i) / in_each;
    for (int64_t o = 0; o < out_each; ++o) {
      blocks.push_back(in[i] * n.out_each + out[static_cast<size_t>(group * out_each + o)] % n.out_each);
    }
  }
  return take_blocks(w, dims, kernel, blocks);
}

/// Weight of a grouped Conv: each output reads what is left of its own group.
Tensor cut_grouped(const Tensor& w, const Channels& n, const std::vector<int64_t>& in, const std::vector<int64_t>& out) {
  const auto in_each = static_cast<int64_t>(in.size()) / n.group, out_each = static_cast<int64_t>(out.size()) / n.group;
  Dims dims = w.dims();
  dims[0] = static_cast<int64_t>(out.size());
  dims[1] = in_each;
  int64_t kernel = 1;
  for (size_t i = 2; i < dims.size(); ++i) kernel *= dims[i];
  std::vector<int64_t> blocks;
  for (size_t o = 0; o < out.size(); ++o) {
    const int64_t group = static_cast<int64_t>(o) / out_each;
    for (int64_t i = 0; i < in_each; ++i) {
      blocks.push_back(out[o] * n.in_each + in[static_cast<size_t>(group * in_each + i)] % n.in_each);
    }
  }
  return take_blocks(w, dims, kernel, blocks);
}

/// Order of the outputs of a depthwise convolution: a channel and its multiples go together.
std::vector<int64_t> multiples(const std::vector<int64_t>& in, int64_t each) {
  std::vector<int64_t> out;
  for (const int64_t i : in) {
    for (int64_t k = 0; k < each; ++k) out.push_back(i * each + k);
  }
  return out;
}

Bundle channel_bundle(const std::vector<int64_t>& order) {
  return Bundle::along(1, IndexArray({static_cast<int64_t>(order.size())}, {order.begin(), order.end()}));
}

/// Inputs in blocks of `each`, as weights or offsets are: within a block the order is free.
std::vector<int64_t> grouped_order(CutContext& c, int64_t each, const std::vector<int64_t>& order) {
  std::vector<int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < order.size(); ++i) {
    if (order[i] / each == sorted[i] / each) continue;
    c.set_input(0, c.reorder(c.input(0), c.current(0), channel_bundle(order), channel_bundle(sorted), "Conv groups"));
    return sorted;
  }
  return order;
}

}  // namespace

void units::conv(UnitContext& c) {
  const auto n = channels_of(c);
  if (!n) return c.opaque();
  const Places at = places(c);
  for (const size_t i : {2, 4}) {
    if (is_deformable(c) && c.active(c.input(i))) c.freeze_value(c.input(i), c.op() + " reads it as places");
  }
  const auto in = c.channel_ids(c.input(0));
  if (in && n->offset_group > 1) c.constrain(in->reshaped({n->offset_group, n->in / n->offset_group}), "offset groups of " + c.node().where());
  IndexArray out;
  if (n->group == 1) {
    if (in) c.weight_sink(at.weight, n->transposed ? 0 : 1, *in, 1, at.zero_point);
    out = c.born({n->out});
  } else if (n->depthwise()) {
    if (!in) return;
    std::vector<int32_t> repeated;
    for (const int64_t i : multiples(to_order(*in), 1)) repeated.insert(repeated.end(), static_cast<size_t>(n->out_each), static_cast<int32_t>(i));
    out = IndexArray({n->out}, std::move(repeated));
  } else {
    if (in) {
      c.constrain(in->reshaped({n->group, n->in_each}), "groups in of " + c.node().where());
      if (n->transposed) c.weight_sink(1, 0, *in);
      else c.weight_sink(at.weight, 1, *in, n->group, at.zero_point);
    }
    out = c.born({n->out});
    if (n->out_each == 1) c.freeze(out, "one output channel per group");
    else c.constrain(out.reshaped({n->group, n->out_each}), "groups out of " + c.node().where());
  }
  if (!n->transposed) c.weight_rows(at.weight, 0, out);
  else if (n->group == 1) c.weight_rows(1, 1, out);
  c.set(c.output(), {Bundle::along(1, out)});
}

void cuts::conv(CutContext& c) {
  const auto n = channels_of(c);
  if (!n) return c.opaque();
  const Places at = places(c);
  const ValueId x = c.input(0), w = c.input(at.weight);
  for (const size_t i : {2, 4}) {
    if (is_deformable(c)) c.require_whole(c.input(i));
  }
  std::vector<int64_t> in = c.order(x, 1);
  if (n->offset_group > 1) in = grouped_order(c, n->in / n->offset_group, in);
  const std::vector<Bundle> wanted = c.at_birth(c.output(), n->group > 1 ? n->out_each : 0);
  std::vector<int64_t> out = wanted.empty() ? whole_order(n->out) : to_order(wanted[0].ids);
  if (n->depthwise()) {
    out = multiples(in, n->out_each);
    if (static_cast<int64_t>(in.size()) != n->group) c.set_attribute("group", static_cast<int64_t>(in.size()));
  } else if (n->group > 1 && n->offset_group == 1) {
    in = grouped_order(c, n->in_each, in);
  }
  c.set_input(at.weight, cut_weight(c, w, [&](const Tensor& weight) {
    if (n->depthwise()) return take(weight, 0, n->transposed ? in : out);
    if (n->group > 1) return n->transposed ? cut_transposed(weight, *n, in, out) : cut_grouped(weight, *n, in, out);
    return take(take(weight, n->transposed ? 1 : 0, out), n->transposed ? 0 : 1, in);
  }));
  for (const size_t i : at.of_outputs) {
    if (c.input(i) == kNone || c.dims(c.input(i)) != Dims{n->out}) continue;  // a scalar serves all of them
    c.set_input(i, cut_weight(c, c.input(i), [&](const Tensor& each) { return take(each, 0, out); }));
  }
  c.record(c.output(), {channel_bundle(out)});
}

namespace {

bool plain_gemm(const UnitNode& c) {
  return c.active(c.input(0)) && c.constant(c.input(1)) && c.node().get<int64_t>("transA", 0) == 0;
}

}  // namespace

void units::gemm(UnitContext& c) {
  if (!plain_gemm(c)) return c.opaque();
  const ValueId x = c.input(0), w = c.input(1);
  const bool transposed = c.node().get<int64_t>("transB", 0) != 0;
  const auto in = c.axis_ids(x, 1, {0});
  if (in) c.weight_sink(1, transposed ? 1 : 0, *in);
  std::vector<Bundle> result;
  for (const Bundle& b : c.bundles(x)) {
    if (b.ragged != 1) result.push_back(b);
  }
  result.push_back(Bundle::along(1, c.born({c.dim(w, transposed ? 0 : 1)})));
  c.weight_rows(1, transposed ? 0 : 1, result.back().ids);
  c.set(c.output(), std::move(result));
  if (c.active(c.input(2))) c.join(c.output(), {c.output(), c.input(2)});
}

namespace {

/// An addend that is calculated, in the order of what is left of the product.
void order_addend(CutContext& c, const std::vector<Bundle>& left) {
  const ValueId addend = c.input(2);
  const int lead = 2 - c.rank(addend);
  ValueId now = c.current(2);
  for (const Bundle& k : left) {
    const int axis = k.ragged - lead;
    if (axis >= 0 && c.dim(addend, axis) > 1) now = c.reorder(addend, now, c.along(addend, axis), k.shifted_axes(-lead), "Gemm adds another order");
  }
  c.set_input(2, now);
}

}  // namespace

void cuts::gemm(CutContext& c) {
  if (!plain_gemm(c)) return c.opaque();
  const ValueId x = c.input(0), w = c.input(1), bias = c.input(2), y = c.output();
  const bool transposed = c.node().get<int64_t>("transB", 0) != 0;
  const bool adds = c.active(bias);  // then the order is no longer free
  std::vector<Bundle> out = adds ? c.canonical(y) : c.at_birth(y);
  std::erase_if(out, [](const Bundle& k) { return k.ragged != 1; });
  const std::vector<int64_t> in = c.order(x, 1), order = out.empty() ? whole_order(c.dim(y, 1)) : to_order(out[0].ids);
  c.set_input(1, cut_weight(c, w, [&](const Tensor& weight) {
    return take(take(weight, transposed ? 0 : 1, order), transposed ? 1 : 0, in);
  }));
  if (c.constant(bias)) c.set_input(2, cut_weight(c, bias, [&](const Tensor& b) { return c.follow(b, out, 2 - c.rank(bias)); }));
  std::vector<Bundle> left;
  for (const Bundle& k : c.kept(x)) {
    if (k.ragged != 1) left.push_back(k);
  }
  left.insert(left.end(), out.begin(), out.end());
  if (adds) order_addend(c, left);
  c.record(y, std::move(left));
}

}  // namespace espalier
