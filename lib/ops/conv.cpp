#include "lib/base/parallel.h"
#include "lib/ops/conv_problem.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/ops/unit_rules.h"
#include "lib/ops/window.h"

namespace espalier::ops {
namespace {

/// Spatial sizes of the weight, where all are known.
std::optional<Dims> kernel_of(const InferContext& c) {
  if (!c.has_rank(1)) return std::nullopt;
  return to_known(SymbolicDims(c.dims(1).begin() + 2, c.dims(1).end()));
}

void check_channels(const InferContext& c, int64_t group) {
  const Dim &channels = c.dims(0)[1], &per_group = c.dims(1)[1], &outputs = c.dims(1)[0];
  if (outputs.known() && outputs.value() % group != 0) {
    c.fail("weight has " + outputs.str() + " output channels, expected a multiple of group " + std::to_string(group));
  }
  if (!channels.known()) return;
  if (channels.value() % group != 0) {
    c.fail("input has " + channels.str() + " channels, expected a multiple of group " + std::to_string(group));
  }
  if (per_group.known() && per_group.value() != channels.value() / group) {
    c.fail("weight has " + per_group.str() + " input channels, expected " + std::to_string(channels.value() / group));
  }
}

void check_bias(const InferContext& c) {
  if (!c.has_input(2)) return;
  require_same_type(c, 0, 2);
  c.require_rank(2, 1, 1);
  if (!c.has_rank(2) || !c.has_rank(1)) return;
  const Dim &bias = c.dims(2)[0], &outputs = c.dims(1)[0];
  if (bias.known() && outputs.known() && !(bias == outputs)) {
    c.fail("bias has " + bias.str() + " elements, expected " + outputs.str());
  }
}

/// x: [N, C, D1 ...]; w: [M, C/group, k1 ...]; b: [M]. y: [N, M, E1 ...].
void infer(InferContext& c) {
  c.require_inputs(2, 3);
  for (const size_t i : {0, 1}) {
    require_type(c, i, is_float, "a float type");
    c.require_rank(i, 3, kMaxRank);
  }
  require_same_type(c, 0, 1);
  const auto group = c.node().get<int64_t>("group", 1);
  if (group < 1) c.fail("group is " + std::to_string(group) + ", expected at least 1");
  check_bias(c);
  if (!c.has_rank(0)) {
    if (c.has_rank(1)) c.set(0, c.elem_type(0), SymbolicDims(c.dims(1).size()));
    else c.set(0, Type::tensor(c.elem_type(0)));
    return;
  }
  SymbolicDims dims(c.dims(0).size());
  dims[0] = c.dims(0)[0];
  if (c.has_rank(1)) {
    if (c.rank(0) != c.rank(1)) {
      c.fail("input has rank " + std::to_string(c.rank(0)) + ", but the weight has " + std::to_string(c.rank(1)));
    }
    check_channels(c, group);
    dims[1] = c.dims(1)[0];
  }
  const auto kernel = kernel_of(c);
  if (kernel || c.node().has("kernel_shape")) {
    const Window window = read_window(c.node(), dims.size() - 2, kernel);
    for (size_t i = 0; i + 2 < dims.size(); ++i) {
      Dim& size = dims[i + 2] = output_size(window, i, c.dims(0)[i + 2]);
      if (size.known() && size.value() < 1) {
        c.fail("input " + to_string(c.dims(0)) + " is smaller than the window " + to_string(window.kernel));
      }
    }
  }
  c.set(0, c.elem_type(0), std::move(dims));
}

template <class T>
Tensor convolve(const Tensor& x, const Tensor& w, const Tensor* bias, const Node& node) {
  const auto spatial = [](const Dims& dims) { return Dims(dims.begin() + 2, dims.end()); };
  const Dims in = spatial(x.dims());
  const Window window = resolve(read_window(node, in.size(), spatial(w.dims())), in);
  Dims out(in.size());
  for (size_t i = 0; i < in.size(); ++i) out[i] = output_size(window, i, in[i]).value();
  const std::vector<TapRuns> taps = tap_runs(window, in, out);

  const int64_t batch = x.dims()[0], channels = x.dims()[1], outputs = w.dims()[0], per_group = w.dims()[1];
  const int64_t group_outputs = outputs / node.get<int64_t>("group", 1);
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
      const int64_t n = plane / outputs, m = plane % outputs;
      std::fill(sums.begin(), sums.end(), bias ? static_cast<double>(bias->data<T>()[m]) : 0.0);
      for (int64_t k = 0; k < per_group; ++k) {
        const T* input = xs.data() + (n * channels + m / group_outputs * per_group + k) * in_size;
        for (int64_t t = 0; t < tap_count; ++t) {
          const TapRuns& tap = taps[t];
          const double weight = ws[(m * per_group + k) * tap_count + t];
          for (const TapRuns::Run& run : tap.runs) {
            double* to = sums.data() + run.out;
            const T* from = input + run.in;
            for (int64_t i = 0; i < run.length; ++i) to[i] += weight * static_cast<double>(from[i * tap.step]);
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
    c.set(0, convolve<T>(c.input(0), c.input(1), c.has_input(2) ? &c.input(2) : nullptr, c.node()));
  });
}

Cost cost(const InferContext& c) {
  const auto w = c.type(1).known_dims();
  const int64_t out = known_elements(c.output(0).type);
  const int64_t macs = w && (*w)[0] > 0 ? checked_mul(out, element_count(*w) / (*w)[0]) : 0;
  return {.macs = macs, .flops = checked_add(checked_mul(2, macs), c.has_input(2) ? out : 0), .bytes = known_traffic(c)};
}

std::vector<int> parameters(const Node&) { return {1, 2}; }

/// dB is the sum of dy over all axes but the channels'.
ValueId bias_gradient(GradientContext& c) {
  const Type& type = c.type(c.output());
  if (!type.has_rank()) c.fail("cannot be differentiated: the rank of its output is not known");
  std::vector<int64_t> axes = {0};
  for (int64_t axis = 2; axis < type.rank(); ++axis) axes.push_back(axis);
  return c.add("ReduceSum", {c.grad_output(), integers(c, axes)}, {{"keepdims", int64_t{0}, {}}});
}

void gradient(GradientContext& c) {
  const ValueId x = c.input(0), w = c.input(1), dy = c.grad_output();
  if (c.wants(0)) c.set_grad(0, c.add("ConvGradInput", {dy, w, x}, c.node().attributes));
  if (c.wants(1)) {
    const auto grads = c.add_many("ConvGradWeight", {x, dy, w}, c.wants(2) ? 2 : 1, c.node().attributes);
    c.set_grad(1, grads[0]);
    if (c.wants(2)) c.set_grad(2, grads[1]);
  } else if (c.wants(2)) {
    c.set_grad(2, bias_gradient(c));
  }
}

bool lower(LowerContext& c) {
  const Dims x = c.dims(0), w = c.dims(1), y = c.output_dims(0);
  if (!is_fast_conv(c.type(0), x, w, y)) return false;
  ConvProblem p = conv_problem(c.node(), x, w, y);
  p.bias = c.has_input(2);
  p.residual = c.fusion().residual;
  p.activations = c.fusion().activations;
  p.bias_last = c.fusion().quantized;
  p.training = c.training();
  Primitive step = conv_forward(p, own_layout(c, 0));
  std::vector<Operand> args = {c.read(0, step.args[0]), c.read(1, step.args[1])};
  if (p.bias) args.push_back(c.read(2, step.args[2]));
  const Layout& dst = step.args.back();
  args.push_back(p.residual ? c.write_over_residual(dst) : c.write(0, dst));
  if (p.training) c.keep_hint(step.hint);
  c.step(std::move(step), args);
  return true;
}

}  // namespace

extern const Op conv;
const Op conv = {
    .name = "Conv",
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .absorbs = kAbsorbsActivations | kAbsorbsResidual,
    .gradient = gradient,
    .units = units::conv,
    .cut = cuts::conv,
    .cost = cost,
    .parameters = parameters,
};

}  // namespace espalier::ops
