#include "lib/base/parallel.h"
#include "lib/ops/conv_problem.h"
#include "lib/ops/conv_transpose.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/normalized_rows.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

void check_channels(const InferContext& c, int64_t group) {
  const Dim &channels = c.dims(0)[1], &weight = c.dims(1)[0];
  if (channels.known() && channels.value() % group != 0) {
    c.fail("input has " + channels.str() + " channels, expected a multiple of group " + std::to_string(group));
  }
  if (channels.known() && weight.known() && !(channels == weight)) {
    c.fail("weight has " + weight.str() + " input channels, expected " + channels.str());
  }
  if (!c.has_input(2) || !c.has_rank(2)) return;
  const Dim outputs = c.dims(1)[1] * Dim(group), bias = c.rank(2) == 1 ? c.dims(2)[0] : Dim();
  if (c.rank(2) != 1 || (bias.known() && outputs.known() && !(bias == outputs))) {
    c.fail("bias has shape " + to_string(c.dims(2)) + ", expected [" + outputs.str() + "]");
  }
}

/// x: [N, C, D1 ...]; w: [C, M/group, k1 ...]; b: [M]. y: [N, M, E1 ...].
void infer(InferContext& c) {
  c.require_inputs(2, 3);
  for (const size_t i : {0, 1}) {
    require_type(c, i, is_float, "a float type");
    c.require_rank(i, 3, kMaxRank);
  }
  require_same_type(c, 0, 1);
  require_same_type(c, 0, 2);
  const auto group = c.node().get<int64_t>("group", 1);
  if (group < 1) c.fail("group is " + std::to_string(group) + ", expected at least 1");
  if (!c.has_rank(0)) return c.set(0, Type::tensor(c.elem_type(0)));
  SymbolicDims dims(c.dims(0).size());
  dims[0] = c.dims(0)[0];
  std::optional<Dims> kernel;
  if (c.has_rank(1)) {
    if (c.rank(0) != c.rank(1)) {
      c.fail("input has rank " + std::to_string(c.rank(0)) + ", but the weight has " + std::to_string(c.rank(1)));
    }
    check_channels(c, group);
    dims[1] = c.dims(1)[1] * Dim(group);
    kernel = to_known(SymbolicDims(c.dims(1).begin() + 2, c.dims(1).end()));
  }
  if (kernel || c.node().has("kernel_shape")) {
    const auto out = transpose_geometry(c.node(), SymbolicDims(c.dims(0).begin() + 2, c.dims(0).end()), kernel).out;
    for (size_t i = 0; i < out.size(); ++i) {
      if (out[i].known() && out[i].value() < 1) c.fail("output has size " + out[i].str() + " along axis " + std::to_string(i + 2));
      dims[i + 2] = out[i];
    }
  }
  c.set(0, c.elem_type(0), std::move(dims));
}

template <class T>
Tensor spread(const Tensor& x, const Tensor& w, const Tensor* bias, const Node& node) {
  const Dims in(x.dims().begin() + 2, x.dims().end()), kernel(w.dims().begin() + 2, w.dims().end());
  const TransposeGeometry g = transpose_geometry(node, to_symbolic(in), kernel);
  const Dims out = *to_known(g.out);
  const std::vector<TapRuns> taps = tap_runs(g.window, out, in);  // of the convolution from y to x
  const int64_t group = node.get<int64_t>("group", 1), batch = x.dims()[0], channels = x.dims()[1];
  const int64_t per_group = w.dims()[1], outputs = per_group * group, group_channels = channels / group;
  const int64_t in_size = element_count(in), out_size = element_count(out);
  const auto tap_count = static_cast<int64_t>(taps.size());
  Dims dims = {batch, outputs};
  dims.insert(dims.end(), out.begin(), out.end());
  Tensor y(x.type(), dims);
  const auto xs = x.data<T>(), ws = w.data<T>();
  const auto ys = y.mutable_data<T>();
  parallel_for(batch * outputs, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>(out_size));
    for (int64_t plane = begin; plane < end; ++plane) {
      const int64_t n = plane / outputs, m = plane % outputs, first = m / per_group * group_channels;
      std::fill(sums.begin(), sums.end(), bias ? static_cast<double>(bias->data<T>()[m]) : 0.0);
      for (int64_t k = first; k < first + group_channels; ++k) {
        const T* input = xs.data() + (n * channels + k) * in_size;
        for (int64_t t = 0; t < tap_count; ++t) {
          const double weight = ws[(k * per_group + m % per_group) * tap_count + t];
          for (const TapRuns::Run& run : taps[t].runs) {
            for (int64_t i = 0; i < run.length; ++i) {
              sums[run.in + i * taps[t].step] += weight * static_cast<double>(input[run.out + i]);
            }
          }
        }
      }
      for (int64_t i = 0; i < out_size; ++i) ys[plane * out_size + i] = store<T>(sums[i]);
    }
  });
  return y;
}

void evaluate(EvaluateContext& c) {
  dispatch_float(c.input(0).type(), [&]<class T>() {
    c.set(0, spread<T>(c.input(0), c.input(1), c.has_input(2) ? &c.input(2) : nullptr, c.node()));
  });
}

Cost cost(const InferContext& c) {
  const auto w = c.type(1).known_dims();
  const int64_t macs = w && (*w)[0] > 0 ? checked_mul(known_elements(c.type(0)), element_count(*w) / (*w)[0]) : 0;
  const int64_t bias = c.has_input(2) ? known_elements(c.output(0).type) : 0;
  return {.macs = macs, .flops = checked_add(checked_mul(2, macs), bias), .bytes = known_traffic(c)};
}

std::vector<int> parameters(const Node&) { return {1, 2}; }

void gradient(GradientContext& c) {
  const ValueId x = c.input(0), w = c.input(1), dy = c.grad_output();
  const Type& type = c.type(c.output());
  if (c.wants(0)) c.set_grad(0, c.add("ConvTransposeGradInput", {dy, w, x}, c.node().attributes));
  if (c.wants(1)) c.set_grad(1, c.add("ConvTransposeGradWeight", {x, dy, w}, c.node().attributes));
  if (!c.wants(2)) return;
  if (!type.has_rank()) c.fail("cannot be differentiated: the rank of its output is not known");
  c.set_grad(2, c.add("ReduceSum", {dy, integers(c, channel_sum_axes(type.rank()))}, {{"keepdims", int64_t{0}, {}}}));
}

/// What stands after the products, in place: the bias and fused activations.
void lower_rest(LowerContext& c, const Layout& y, Operand at) {
  const auto& activations = c.fusion().activations;
  std::vector<ElementOperand> operands = {{ElementOperand::Kind::full, 0, {}}};
  std::vector<Operand> args = {at};
  std::vector<ElementStep> steps;
  if (c.has_input(2)) {
    Dims beside(y.dims().size(), 1);
    beside[1] = y.dims()[1];
    operands.push_back({ElementOperand::Kind::channel, 0, {}});
    args.push_back(c.read(2, *y.like(beside)));
    steps.push_back({{ElementKind::add, 0, 0}, 0, 1, 0});
  }
  for (const ElementOp& op : activations) steps.push_back({op, 0, 0, 0});
  if (steps.empty()) return;
  const int last = static_cast<int>(operands.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    if (i > 0) steps[i].a = last, steps[i].b = steps[i].b == 0 ? last : steps[i].b;
    steps[i].target = last;
  }
  args.push_back(at);
  c.step(element_chain(y, std::move(operands), std::move(steps)), args, "chain");
}

/// y is the gradient of a convolution by its input.
bool lower(LowerContext& c) {
  const Dims x = c.dims(0), y = c.output_dims(0);
  const auto p = transpose_problem(c.node(), c.type(0), x, c.dims(1), y);
  if (!p) return false;
  Primitive step = conv_backward_data(*p, conv_hint(*p), own_layout(c, 0), Layout());
  const Layout result = step.args[2];
  if (result.dims() != y || !result.channels() || !result.like(y)) return false;
  const Operand at = c.write(0, result);
  const std::vector<Operand> args = {c.read(0, step.args[0]), c.read(1, step.args[1]), at};
  c.step(std::move(step), args);
  lower_rest(c, result, at);
  return true;
}

}  // namespace

extern const Op conv_transpose;
const Op conv_transpose = {
    .name = "ConvTranspose",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .absorbs = kAbsorbsActivations,
    .gradient = gradient,
    .units = units::conv,
    .cut = cuts::conv,
    .cost = cost,
    .parameters = parameters,
};

}  // namespace espalier::ops
