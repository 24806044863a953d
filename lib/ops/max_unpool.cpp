// MaxUnpool and its gradient.

#include "lib/kernels/pool_loop.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/image_units.h"
#include "lib/ops/lower.h"
#include "lib/ops/window.h"

namespace espalier::ops {
namespace {

/// Sizes that the indices count through: (in - 1) stride + kernel - pads along each spatial axis.
SymbolicDims counted_dims(const Node& node, const SymbolicDims& x) {
  const Window w = read_window(node, x.size() - 2);
  SymbolicDims result = x;
  for (size_t i = 0; i + 2 < x.size(); ++i) {
    result[i + 2] = (x[i + 2] - Dim(1)) * Dim(w.strides[i]) + Dim(w.kernel[i]) - Dim(w.pads_begin[i]) - Dim(w.pads_end[i]);
  }
  return result;
}

void infer(InferContext& c) {
  c.require_inputs(2, 3);
  require_type(c, 0, is_float, "a float type");
  c.require_rank(0, 3, kMaxRank);
  if (!c.has_rank(0)) return c.set(0, Type::tensor(c.elem_type(0)));
  const auto indices = c.type(1).known_dims(), own = c.type(0).known_dims();
  if (indices && own && *indices != *own) c.fail("indices are " + to_string(*indices) + ", expected " + to_string(*own));
  SymbolicDims dims = counted_dims(c.node(), c.dims(0));
  for (const Dim& d : dims) {
    if (d.known() && d.value() < 0) c.fail("output would be " + to_string(dims));
  }
  if (!c.has_input(2)) return c.set(0, c.elem_type(0), std::move(dims));
  const auto shape = c.numbers(2);
  if (!shape) return c.set(0, c.elem_type(0), SymbolicDims(dims.size()));
  if (shape->size() != dims.size()) c.fail("output_shape has " + std::to_string(shape->size()) + " numbers, expected " + std::to_string(dims.size()));
  for (size_t i = 0; i < dims.size(); ++i) {
    const Dim& size = (*shape)[i];
    if (size.known() && dims[i].known() && size.value() < dims[i].value()) c.fail("output_shape is " + to_string(*shape) + ", smaller than " + to_string(dims));
  }
  c.set(0, c.elem_type(0), *shape);
}

/// Where each element of x goes in y: [N, C, ...] counted without output_shape, then laid into its corner.
struct Places {
  Dims dims;                    ///< of y
  std::vector<int64_t> winner;  ///< by element of y: the last element of x that goes there, or -1
};

Places places(const EvaluateContext& c, const Dims& x, const Tensor& indices, const Tensor* shape) {
  const Dims counted = *to_known(counted_dims(c.node(), to_symbolic(x)));
  Places result{shape ? shape->to_int64s() : counted, {}};
  bool fits = result.dims.size() == counted.size();
  for (size_t i = 0; fits && i < counted.size(); ++i) fits = counted[i] >= 0 && result.dims[i] >= counted[i];
  if (!fits) c.fail("output_shape is " + to_string(result.dims) + ", smaller than " + to_string(counted));
  if (indices.dims() != x) c.fail("indices are " + to_string(indices.dims()) + ", expected " + to_string(x));
  result.winner.assign(static_cast<size_t>(element_count(result.dims)), -1);
  const int64_t limit = element_count(counted);
  const auto from = indices.to_int64s();
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] < 0 || from[i] >= limit) c.fail("index " + std::to_string(from[i]) + " is out of range for " + std::to_string(limit) + " elements");
    int64_t rest = from[i], to = 0, stride = 1;
    for (size_t axis = counted.size(); axis-- > 0; rest /= counted[axis], stride *= result.dims[axis]) to += rest % counted[axis] * stride;
    result.winner[static_cast<size_t>(to)] = static_cast<int64_t>(i);
  }
  return result;
}

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const Places p = places(c, x.dims(), c.input(1), c.has_input(2) ? &c.input(2) : nullptr);
  dispatch_float(x.type(), [&]<class T>() {
    Tensor y(x.type(), p.dims);
    const auto from = x.data<T>();
    const auto to = y.mutable_data<T>();
    for (size_t i = 0; i < p.winner.size(); ++i) {
      if (p.winner[i] >= 0) to[i] = from[static_cast<size_t>(p.winner[i])];
    }
    c.set(0, std::move(y));
  });
}

void infer_grad(InferContext& c) {
  c.require_inputs(3, 4);
  c.set(0, c.type(1));
}

void evaluate_grad(EvaluateContext& c) {
  const Tensor& dy = c.input(0);
  const Places p = places(c, c.input(1).dims(), c.input(2), c.has_input(3) ? &c.input(3) : nullptr);
  dispatch_float(dy.type(), [&]<class T>() {
    Tensor dx(dy.type(), c.input(1).dims());
    const auto from = dy.data<T>();
    const auto to = dx.mutable_data<T>();
    for (size_t i = 0; i < p.winner.size(); ++i) {
      if (p.winner[i] >= 0) to[static_cast<size_t>(p.winner[i])] = from[i];
    }
    c.set(0, std::move(dx));
  });
}

void gradient(GradientContext& c) {
  if (c.wants(0)) c.set_grad(0, c.add("MaxUnpoolGrad", {c.grad_output(), c.input(0), c.input(1), c.input(2)}, c.node().attributes));
}

/// Of float with int64 indices and a known output_shape.
std::optional<UnpoolProblem> problem(const LowerContext& c, size_t indices, const Dims& x, const Dims& y) {
  if (c.type(0) != DataType::float32 || c.type(indices) != DataType::int64 || element_count(x) == 0 || element_count(y) == 0) return std::nullopt;
  const auto counted = to_known(counted_dims(c.node(), to_symbolic(x)));
  if (!counted || c.dims(indices) != x || counted->size() != y.size()) return std::nullopt;
  for (size_t i = 0; i < y.size(); ++i) {
    if ((*counted)[i] < 1 || y[i] < (*counted)[i]) return std::nullopt;
  }
  return UnpoolProblem{element_count(x), *counted, y, c.node().where()};
}

bool lower(LowerContext& c) {
  const auto p = problem(c, 1, c.dims(0), c.output_dims(0));
  if (!p) return false;
  const Operand x = c.read(0, Layout::plain(DataType::float32, c.dims(0))), at = c.read(1);
  c.step(unpool(*p), {x, at, c.write(0, Layout::plain(DataType::float32, c.output_dims(0)))}, "loop");
  return true;
}

bool lower_grad(LowerContext& c) {
  const auto p = problem(c, 2, c.dims(1), c.dims(0));
  if (!p) return false;
  const Operand dy = c.read(0, Layout::plain(DataType::float32, c.dims(0))), at = c.read(2);
  const Operand dx = c.write(0, Layout::plain(DataType::float32, c.dims(1)));
  c.step(unpool_backward(*p), {dy, at, dx, c.scratch(static_cast<size_t>(element_count(p->to)) * sizeof(int64_t))}, "loop");
  return true;
}

Cost cost(const InferContext& c) { return {.bytes = known_traffic(c)}; }

}  // namespace

extern const Op max_unpool;
const Op max_unpool = {
    .name = "MaxUnpool",
    .since = 9,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::max_unpool,
    .cut = cuts::max_unpool,
    .cost = cost,
};

/// MaxUnpoolGrad(dy, x_like, indices, output_shape) -> dx, with MaxUnpool's attributes; of elements that went to one place
/// the last gets its gradient.
extern const Op max_unpool_grad;
const Op max_unpool_grad = {
    .name = "MaxUnpoolGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
    .lower = lower_grad,
    .shape_only_inputs = 0b10,
};

}  // namespace espalier::ops
