#include "lib/ops/attention.h"

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/unit_rules_fused.h"

namespace espalier::ops {
namespace {

/// [batch, heads, length, size] of input i, whose form of rank 3 has `attribute` heads.
std::optional<SymbolicDims> by_heads(const InferContext& c, size_t i, const char* attribute) {
  if (!c.has_rank(i)) return std::nullopt;
  const SymbolicDims& d = c.dims(i);
  if (d.size() == 4) return d;
  const auto heads = c.node().require<int64_t>(attribute);
  if (heads < 1) c.fail(std::string(attribute) + " is " + std::to_string(heads) + ", expected at least 1");
  if (d[2].known() && d[2].value() % heads != 0) c.fail("input " + std::to_string(i) + " has width " + d[2].str() + ", expected a multiple of " + std::to_string(heads) + " heads");
  return SymbolicDims{d[0], Dim(heads), d[1], d[2].known() ? Dim(d[2].value() / heads) : Dim()};
}

void check_heads(const InferContext& c, const SymbolicDims& q, const SymbolicDims& k, const SymbolicDims& v) {
  const auto differ = [](const Dim& a, const Dim& b) { return a.known() && b.known() && !(a == b); };
  const bool heads = q[1].known() && k[1].known() && (k[1].value() == 0 || q[1].value() % k[1].value() != 0);
  if (heads || differ(k[1], v[1]) || differ(q[3], k[3]) || differ(k[2], v[2])) {
    c.fail("query, key and value have " + to_string(q) + ", " + to_string(k) + " and " + to_string(v) + " by heads");
  }
}

/// Q: [B, H, S, D] or [B, S, H D]; K, V: the same with key heads and lengths; Y like Q with V's size. Mask: broadcast to
/// [B, H, S, T], T the past and the new keys; past and present: [B, key heads, length, size].
void infer(InferContext& c) {
  c.require_inputs(3, 6);
  for (const size_t i : {0, 1, 2, 4, 5}) require_type(c, i, is_float, "a float type");
  for (const size_t i : {0, 1, 2}) {
    c.require_rank(i, 3, 4);
    if (c.has_rank(0) && c.has_rank(i) && c.rank(i) != c.rank(0)) c.fail("query, key and value have different ranks");
  }
  for (const size_t i : {4, 5}) c.require_rank(i, 4, 4);
  c.require_rank(3, 1, 4);
  if (c.has_input(4) != c.has_input(5)) c.fail("past_key and past_value come together or not at all");
  const auto mode = c.node().get<int64_t>("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3) c.fail("qk_matmul_output_mode is " + std::to_string(mode) + ", expected 0 to 3");
  for (size_t i = 0; i < 4; ++i) {
    if (c.has_output(i)) c.set(i, Type::tensor(c.elem_type(i == 2 ? 2 : 0)));
  }
  const auto q = by_heads(c, 0, "q_num_heads"), k = by_heads(c, 1, "kv_num_heads"), v = by_heads(c, 2, "kv_num_heads");
  if (!q || !k || !v) return;
  check_heads(c, *q, *k, *v);
  const Dim past = c.has_input(4) ? (c.has_rank(4) ? c.dims(4)[2] : Dim()) : Dim(0), total = past + (*k)[2];
  if (c.rank(0) == 4) c.set(0, c.elem_type(0), {(*q)[0], (*q)[1], (*q)[2], (*v)[3]});
  else c.set(0, c.elem_type(0), {(*q)[0], (*q)[2], (*q)[1] * (*v)[3]});
  if (c.has_output(1)) c.set(1, c.elem_type(1), {(*k)[0], (*k)[1], total, (*k)[3]});
  if (c.has_output(2)) c.set(2, c.elem_type(2), {(*v)[0], (*v)[1], total, (*v)[3]});
  if (c.has_output(3)) c.set(3, c.elem_type(0), {(*q)[0], (*q)[1], (*q)[2], total});
}

void evaluate(EvaluateContext& c) {
  const AttentionMaths a(c);
  c.set(0, a.as_given(a.output()).cast(c.input(0).type()));
  if (c.has_output(1)) c.set(1, a.k.cast(c.input(1).type()));
  if (c.has_output(2)) c.set(2, a.v.cast(c.input(2).type()));
  if (c.has_output(3)) c.set(3, a.scores.cast(c.input(0).type()));
}

/// Input 3 is summed where it was broadcast; past and present keys are the same ones.
void gradient(GradientContext& c) {
  std::vector<ValueId> inputs = {c.grad_output(0) == kNone ? c.output(0) : c.grad_output(0)};
  for (size_t i = 0; i < 6; ++i) inputs.push_back(c.input(i));
  for (const size_t i : {1, 2, 3}) inputs.push_back(c.grad_output(i));
  std::vector<Attribute> attributes = c.node().attributes;
  if (c.grad_output(0) == kNone) attributes.push_back({"only_present", int64_t{1}, {}});
  size_t outputs = 3;
  for (size_t i = 3; i < 6; ++i) {
    if (c.wants(i)) outputs = i + 1;
  }
  const auto grads = c.add_many("AttentionGrad", std::move(inputs), outputs, std::move(attributes));
  for (size_t i = 0; i < outputs; ++i) {
    if (c.wants(i)) c.set_grad(i, grads[i]);
  }
}

/// Q K^T and P V; five operations on each score.
Cost cost(const InferContext& c) {
  const auto q = by_heads(c, 0, "q_num_heads"), v = by_heads(c, 2, "kv_num_heads");
  if (!q || !v) return {.bytes = known_traffic(c)};
  const Dim past = c.has_input(4) && c.has_rank(4) ? c.dims(4)[2] : Dim(0);
  const auto known = to_known(SymbolicDims{(*q)[0], (*q)[1], (*q)[2], past + (*v)[2], (*q)[3] + (*v)[3]});
  if (!known) return {.bytes = known_traffic(c)};
  const int64_t macs = element_count(*known), scores = element_count({known->begin(), known->end() - 1});
  return {.macs = macs, .flops = checked_add(checked_mul(2, macs), checked_mul(5, scores)), .bytes = known_traffic(c)};
}

void infer_grad(InferContext& c) {
  c.require_inputs(4, 10);
  for (size_t i = 0; i < 6; ++i) {
    if (c.has_output(i) && c.has_input(i + 1)) c.set(i, c.type(i + 1));
    else if (c.has_output(i)) c.set(i, c.elem_type(0), {});
  }
}

/// x [B, H, T, D] without its first `past` positions, or (`first`) those alone.
Tensor positions(const Tensor& x, int64_t past, bool first) {
  Dims dims = x.dims();
  const int64_t all = dims[2], skip = first ? 0 : past;
  dims[2] = first ? past : all - past;
  Tensor y(DataType::float64, dims);
  const auto from = x.data<double>();
  const auto to = y.mutable_data<double>();
  const int64_t row = dims[2] * dims[3];
  for (int64_t i = 0; i < y.size(); ++i) to[i] = from[i / row * all * dims[3] + skip * dims[3] + i % row];
  return y;
}

void evaluate_grad(EvaluateContext& c) {
  std::vector<const Tensor*> inputs;
  for (size_t i = 1; i < 7; ++i) inputs.push_back(c.has_input(i) ? &c.input(i) : nullptr);
  const EvaluateContext forward(c.node(), std::move(inputs));
  const AttentionMaths a(forward);
  Tensor dy = a.split(c.input(0), a.heads);
  if (c.node().get<int64_t>("only_present", 0) != 0) dy = Tensor(DataType::float64, dy.dims());
  const Tensor dscores = c.has_input(9) ? c.input(9).cast(DataType::float64) : Tensor();
  auto g = a.gradients(dy, c.has_input(9) ? &dscores : nullptr);
  for (const size_t i : {7, 8}) {
    if (c.has_input(i)) (i == 7 ? g.k : g.v) = zip<double, double>(i == 7 ? g.k : g.v, c.input(i).cast(DataType::float64), [](double x, double y) { return x + y; });
  }
  c.set(0, a.as_given(g.q).cast(c.input(1).type()));
  c.set(1, a.as_given(positions(g.k, a.past(), false)).cast(c.input(2).type()));
  c.set(2, a.as_given(positions(g.v, a.past(), false)).cast(c.input(3).type()));
  const DataType type = c.input(0).type();
  if (c.has_output(3) && !c.has_input(4)) c.set(3, Tensor(type, {}));
  else if (c.has_output(3)) c.set(3, a.mask_gradient(g.bias).reshaped(c.input(4).dims()).cast(c.input(4).type()));
  for (const size_t i : {4, 5}) {
    if (!c.has_output(i)) continue;
    c.set(i, c.has_input(i + 1) ? positions(i == 4 ? g.k : g.v, a.past(), true).cast(c.input(i + 1).type()) : Tensor(type, {}));
  }
}

}  // namespace

extern const Op attention, attention_grad;

const Op attention = {
    .name = "Attention",
    .since = 23,
    .infer = infer,
    .evaluate = evaluate,
    .gradient = gradient,
    .units = units::attention,
    .cut = cuts::attention,
    .cost = cost,
};

/// AttentionGrad(dy, Q, K, V, mask, past_key, past_value, dpresent_key, dpresent_value, dqk_matmul_output) {those of Attention;
/// only_present: no gradient reaches Y, dy only lends its shape} -> dQ, dK, dV, dmask, dpast_key, dpast_value; a scalar 0 for what is absent.
const Op attention_grad = {
    .name = "AttentionGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
};

}  // namespace espalier::ops
