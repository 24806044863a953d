#include "lib/ops/conv_problem.h"
#include "lib/ops/pool.h"

namespace espalier {
namespace {

Dims spatial(const Dims& dims) { return {dims.begin() + 2, dims.end()}; }

bool is_fast(DataType type, const Dims& x, const Dims& y) {
  return type == DataType::float32 && x.size() >= 3 && x.size() <= 5 && element_count(x) > 0 && element_count(y) > 0;
}

}  // namespace

std::optional<PoolProblem> pool_problem(const Node& node, DataType type, const Dims& x, const Dims& y, PoolKind kind) {
  if (!is_fast(type, x, y)) return std::nullopt;
  const Dims in = spatial(x), out = spatial(y);
  const Window w = resolve(read_window(node, in.size()), in);
  PoolProblem p{kind, x, y, w.kernel, w.strides, w.pads_begin, w.pads_end, false};
  for (size_t i = 0; i < in.size(); ++i) {
    if (w.dilations[i] != 1) return std::nullopt;
    // ceil_mode: the last window reaches beyond the padding, which a divisor that counts padding must not see.
    const int64_t needed = (out[i] - 1) * w.strides[i] + w.kernel[i] - in[i] - w.pads_begin[i];
    if (needed > w.pads_end[i] && kind == PoolKind::average_with_padding) return std::nullopt;
    p.pads_end[i] = std::max(w.pads_end[i], needed);
    if (w.pads_begin[i] >= w.kernel[i] || p.pads_end[i] >= w.kernel[i]) return std::nullopt;
  }
  return p;
}

std::optional<PoolProblem> global_pool_problem(DataType type, const Dims& x, const Dims& y, PoolKind kind) {
  if (!is_fast(type, x, y)) return std::nullopt;
  // The one window: a stride of its own size takes oneDNN's generated code in the backward, a stride of 1 does not.
  const Dims in = spatial(x), zeros(in.size(), 0);
  return PoolProblem{kind, x, y, in, in, zeros, zeros, false};
}

bool lower_pool(LowerContext& c, std::optional<PoolProblem> problem) {
  if (!problem || c.has_output(1)) return false;
  problem->training = c.training();
  Primitive step = pool_forward(*problem, own_layout(c, 0));
  std::vector<Operand> args = {c.read(0, step.args[0]), c.write(0, step.args[1])};
  if (step.args.size() > 2) args.push_back(c.keep(step.args[2].bytes()));
  if (problem->training) c.keep_hint(step.hint);
  c.step(std::move(step), args);
  return true;
}

bool lower_pool_grad(LowerContext& c, std::optional<PoolProblem> problem, size_t x, size_t dy) {
  if (!problem || !c.hint() || (problem->kind == PoolKind::max && !c.kept())) return false;
  problem->training = true;
  const Layout from = own_layout(c, x);
  const std::optional<Layout> to = from.like(problem->dst);
  if (!to) return false;
  Primitive step = pool_backward(*problem, c.hint(), from, *to);
  std::vector<Operand> args = {c.read(dy, *to), c.write(0, step.args[1])};
  if (step.args.size() > 2) args.push_back(*c.kept());
  c.step(std::move(step), args);
  return true;
}

}  // namespace espalier
