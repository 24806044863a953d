// The reductions: one number out of all elements along some axes. Floats are reduced in double.

#include <cmath>
#include <limits>

#include "lib/kernels/reduce.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/integer.h"
#include "lib/ops/matmul_loop.h"
#include "lib/ops/spread.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// Version from which on `axes` is an input.
int axes_input_since(const Node& node) { return node.op_type == "ReduceSum" ? 13 : 18; }

bool is_reducible(DataType type) { return is_numeric(type) || is_boolean(type); }

/// Which axes go; no axes given means all of them, or none with noop_with_empty_axes: each element is then a sum of its own.
std::vector<bool> reduced_axes(const Node& node, const std::vector<int64_t>& axes, int64_t rank) {
  const bool all = axes.empty() && (node.version < axes_input_since(node) || node.get<int64_t>("noop_with_empty_axes", 0) == 0);
  std::vector<bool> reduced(static_cast<size_t>(rank), all);
  for (const int64_t axis : axes) reduced[static_cast<size_t>(normalize_axis(axis, rank))] = true;
  return reduced;
}

template <class Sizes>
Sizes result_dims(const Sizes& dims, const std::vector<bool>& reduced, bool keep) {
  Sizes result;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (!reduced[i]) result.push_back(dims[i]);
    else if (keep) result.push_back(1);
  }
  return result;
}

bool keeps_dims(const Node& node) { return node.get<int64_t>("keepdims", 1) != 0; }

void infer_shape(InferContext& c) {
  c.require_inputs(1, c.version() >= axes_input_since(c.node()) ? 2 : 1);
  bool unknown = false;
  const auto axes = c.integers_from("axes", 1, axes_input_since(c.node()), &unknown);
  const bool keep = keeps_dims(c.node());
  if (!c.has_rank(0)) return c.set(0, Type::tensor(c.elem_type(0)));
  if (unknown) {
    if (keep) c.set(0, c.elem_type(0), SymbolicDims(c.dims(0).size()));
    else c.set(0, Type::tensor(c.elem_type(0)));
    return;
  }
  if (axes) {
    for (const int64_t axis : *axes) c.axis(axis, c.rank(0));
  }
  const auto reduced = reduced_axes(c.node(), axes.value_or(std::vector<int64_t>()), c.rank(0));
  c.set(0, c.elem_type(0), result_dims(c.dims(0), reduced, keep));
}

void infer(InferContext& c) {
  require_type(c, 0, is_numeric, "a numeric type");
  infer_shape(c);
}

/// Shape arithmetic: a whole vector of sizes reduced to one number.
template <class F>
void infer_with_numbers(InferContext& c, F fold) {
  infer_shape(c);
  const auto numbers = c.numbers(0);
  const auto& dims = c.output(0).type.dims;
  if (!numbers || numbers->empty() || !c.has_rank(0) || c.rank(0) != 1 || !dims || !to_known(*dims)) return;
  if (element_count(*to_known(*dims)) != 1 && numbers->size() != 1) return;
  if (element_count(*to_known(*dims)) != 1) return;
  Dim result = numbers->front();
  for (size_t i = 1; i < numbers->size(); ++i) result = fold(result, (*numbers)[i]);
  c.set_numbers(0, {result});
}

void sum_infer(InferContext& c) {
  require_type(c, 0, is_numeric, "a numeric type");
  infer_with_numbers(c, [](const Dim& a, const Dim& b) { return a + b; });
}

void prod_infer(InferContext& c) {
  require_type(c, 0, is_numeric, "a numeric type");
  infer_with_numbers(c, [](const Dim& a, const Dim& b) { return a * b; });
}

template <class F>
Dim known_choice(const Dim& a, const Dim& b, F choose) {
  if (a == b) return a;
  return a.known() && b.known() ? Dim(choose(a.value(), b.value())) : Dim();
}

void max_infer(InferContext& c) {
  require_type(c, 0, is_reducible, "a numeric type or bool");
  infer_with_numbers(c, [](const Dim& a, const Dim& b) { return known_choice(a, b, [](int64_t x, int64_t y) { return std::max(x, y); }); });
}

void min_infer(InferContext& c) {
  require_type(c, 0, is_reducible, "a numeric type or bool");
  infer_with_numbers(c, [](const Dim& a, const Dim& b) { return known_choice(a, b, [](int64_t x, int64_t y) { return std::min(x, y); }); });
}

/// Calls body(output index, offset of the first input element, offsets of the others from it).
template <class Body>
void for_each_set(const Dims& dims, const std::vector<bool>& reduced, Body body) {
  const Dims strides = row_major_strides(dims);
  std::vector<int64_t> starts = {0}, offsets = {0};
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    std::vector<int64_t>& grown = reduced[axis] ? offsets : starts;
    std::vector<int64_t> next;
    next.reserve(grown.size() * static_cast<size_t>(dims[axis]));
    for (const int64_t base : grown) {
      for (int64_t i = 0; i < dims[axis]; ++i) next.push_back(base + i * strides[axis]);
    }
    grown = std::move(next);
  }
  const int64_t grain = 1 + kElementGrain / static_cast<int64_t>(offsets.size() + 1);
  parallel_for(static_cast<int64_t>(starts.size()), grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i, starts[i], offsets);
  });
}

/// rule.template reduce<S>(n, get): the result from n elements get(0) ... get(n-1), each of the summation type S.
template <class Rule>
void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const auto axes = c.integers_from("axes", 1, axes_input_since(c.node())).value_or(std::vector<int64_t>());
  const auto reduced = reduced_axes(c.node(), axes, x.rank());
  dispatch_numeric(x.type(), [&]<class T>() {
    Tensor y(x.type(), result_dims(x.dims(), reduced, keeps_dims(c.node())));
    const auto in = x.data<T>();
    const auto out = y.mutable_data<T>();
    for_each_set(x.dims(), reduced, [&](int64_t to, int64_t from, const std::vector<int64_t>& offsets) {
      const auto get = [&](int64_t i) { return static_cast<Sum<T>>(in[from + offsets[i]]); };
      out[to] = convert<T>(Rule::template reduce<Sum<T>>(static_cast<int64_t>(offsets.size()), get));
    });
    c.set(0, std::move(y));
  });
}

template <class S, class Get, class F>
S total(int64_t n, Get get, F f) {
  S sum = 0;
  for (int64_t i = 0; i < n; ++i) sum = wrap_add(sum, f(get(i)));
  return sum;
}

struct SumRule {
  template <class S, class Get>
  static S reduce(int64_t n, Get get) { return total<S>(n, get, [](S v) { return v; }); }
};

struct MeanRule {
  template <class S, class Get>
  static S reduce(int64_t n, Get get) {
    const S sum = SumRule::reduce<S>(n, get);
    if constexpr (std::is_integral_v<S>) return n == 0 ? S(0) : convert<S>(std::trunc(static_cast<double>(sum) / static_cast<double>(n)));
    else return sum / static_cast<S>(n);
  }
};

struct SumSquareRule {
  template <class S, class Get>
  static S reduce(int64_t n, Get get) { return total<S>(n, get, [](S v) { return wrap_mul(v, v); }); }
};

struct L1Rule {
  template <class S, class Get>
  static S reduce(int64_t n, Get get) { return total<S>(n, get, [](S v) { return v < S(0) ? wrap_sub(S(0), v) : v; }); }
};

struct L2Rule {
  template <class S, class Get>
  static double reduce(int64_t n, Get get) {
    return std::sqrt(total<double>(n, get, [](S v) { return static_cast<double>(v) * static_cast<double>(v); }));
  }
};

struct LogSumRule {
  template <class S, class Get>
  static double reduce(int64_t n, Get get) { return std::log(total<double>(n, get, [](S v) { return static_cast<double>(v); })); }
};

struct LogSumExpRule {
  template <class S, class Get>
  static double reduce(int64_t n, Get get) {
    double top = -std::numeric_limits<double>::infinity();
    for (int64_t i = 0; i < n; ++i) top = std::max(top, static_cast<double>(get(i)));
    if (!std::isfinite(top)) return top;
    return top + std::log(total<double>(n, get, [top](S v) { return std::exp(static_cast<double>(v) - top); }));
  }
};

struct ProdRule {
  template <class S, class Get>
  static S reduce(int64_t n, Get get) {
    S product = 1;
    for (int64_t i = 0; i < n; ++i) product = wrap_mul(product, get(i));
    return product;
  }
};

/// Of nothing: the smallest (largest) number, minus (plus) infinity for floats.
template <class S, bool largest>
S bound() {
  if constexpr (std::is_floating_point_v<S>) return largest ? std::numeric_limits<S>::infinity() : -std::numeric_limits<S>::infinity();
  else return largest ? std::numeric_limits<S>::max() : std::numeric_limits<S>::lowest();
}

struct MaxRule {
  template <class S, class Get>
  static S reduce(int64_t n, Get get) {
    S best = bound<S, false>();
    for (int64_t i = 0; i < n; ++i) best = get(i) > best || get(i) != get(i) ? get(i) : best;
    return best;
  }
};

struct MinRule {
  template <class S, class Get>
  static S reduce(int64_t n, Get get) {
    S best = bound<S, true>();
    for (int64_t i = 0; i < n; ++i) best = get(i) < best || get(i) != get(i) ? get(i) : best;
    return best;
  }
};

/// One FLOP per input element.
Cost cost(const InferContext& c) { return {.flops = known_elements(c.type(0)), .bytes = known_traffic(c)}; }

/// A reduction's gradient in the making: what ReduceSumGrad needs to know of the node.
struct Spread {
  GradientContext& context;
  std::vector<Attribute> attributes;
  std::vector<int64_t> axes;

  explicit Spread(GradientContext& c) : context(c) {
    const Node& node = c.node();
    const bool from_input = node.version >= axes_input_since(node);
    if (!from_input) axes = node.get<std::vector<int64_t>>("axes", {});
    if (from_input && c.input(1) != kNone) {
      const Tensor* constant = c.constant(c.input(1));
      if (!constant) c.fail("cannot be differentiated: its axes are not constant");
      axes = constant->to_int64s();
    }
    const int64_t keeps_all = from_input ? node.get<int64_t>("noop_with_empty_axes", 0) : 0;
    attributes = {{"axes", axes, {}}, {"keepdims", int64_t{keeps_dims(node)}, {}}, {"noop_with_empty_axes", keeps_all, {}}};
  }

  /// A value of the output's shape, repeated over the axes that went.
  ValueId operator()(ValueId v) const { return context.add("ReduceSumGrad", {context.input(0), v}, attributes); }
};

ValueId product(GradientContext& c, ValueId a, ValueId b) { return c.add("Mul", {a, b}); }

void sum_gradient(GradientContext& c) { c.set_grad(0, Spread(c)(c.grad_output())); }

void mean_gradient(GradientContext& c) {
  c.set_grad(0, c.add("ReduceMeanGrad", {c.input(0), c.grad_output()}, Spread(c).attributes));
}

void sum_square_gradient(GradientContext& c) {
  c.set_grad(0, product(c, Spread(c)(c.grad_output()), product(c, c.input(0), c.scalar(2, c.input(0)))));
}

void l1_gradient(GradientContext& c) {
  c.set_grad(0, product(c, Spread(c)(c.grad_output()), c.add("Sign", {c.input(0)})));
}

/// x dy / y; where all is zero, zero (a subgradient).
void l2_gradient(GradientContext& c) {
  const ValueId norm = c.add("Max", {c.output(), c.scalar(1e-30, c.output())});
  c.set_grad(0, product(c, Spread(c)(c.add("Div", {c.grad_output(), norm})), c.input(0)));
}

void log_sum_gradient(GradientContext& c) {
  c.set_grad(0, Spread(c)(c.add("Div", {c.grad_output(), c.add("Exp", {c.output()})})));
}

/// dy * exp(x - y).
void log_sum_exp_gradient(GradientContext& c) {
  const Spread spread(c);
  const ValueId share = c.add("Exp", {c.add("Sub", {c.input(0), spread(c.output())})});
  c.set_grad(0, product(c, spread(c.grad_output()), share));
}

/// Equal extrema share the gradient.
void extremum_gradient(GradientContext& c) {
  const Spread spread(c);
  const ValueId hit = c.add("Matches", {c.input(0), spread(c.output())});
  std::vector<ValueId> inputs = {hit};
  if (!spread.axes.empty()) inputs.push_back(integers(c, spread.axes));
  const ValueId count = c.add("ReduceSum", std::move(inputs), {spread.attributes.back()});
  c.set_grad(0, product(c, spread(c.grad_output()), c.add("Div", {hit, count})));
}

void prod_gradient(GradientContext& c) {
  const Spread spread(c);
  c.set_grad(0, product(c, spread(c.grad_output()), c.add("ReduceProdGrad", {c.input(0)}, spread.attributes)));
}

/// Which axes go, where that is known.
std::optional<std::vector<bool>> lowered_axes(const LowerContext& c) {
  bool unknown = false;
  const auto axes = c.facts().integers_from("axes", 1, axes_input_since(c.node()), &unknown);
  if (unknown) return std::nullopt;
  return reduced_axes(c.node(), axes.value_or(std::vector<int64_t>()), static_cast<int64_t>(c.dims(0).size()));
}

/// Sums and means; the mean of all positions of a channel keeps its layout.
template <bool kMean>
bool lower(LowerContext& c) {
  const auto reduced = lowered_axes(c);
  if (!reduced) return false;
  const Dims dims = c.dims(0);
  int64_t terms = 1;
  for (size_t i = 0; i < dims.size(); ++i) terms *= (*reduced)[i] ? dims[i] : 1;
  return lower_sum(c, 0, *reduced, kMean ? 1.0f / static_cast<float>(terms) : 1.0f);
}

template <ReduceKind kKind, ReduceFinish kFinish = ReduceFinish::scale>
bool lower_fold(LowerContext& c) {
  const auto reduced = lowered_axes(c);
  const Dims dims = c.dims(0);
  if (!reduced || c.type(0) != DataType::float32 || element_count(dims) == 0) return false;
  const Operand x = c.read(0, Layout::plain(DataType::float32, dims));
  c.step(reduce(kKind, kFinish, dims, *reduced), {x, c.write(0, Layout::plain(DataType::float32, c.output_dims(0)))}, "loop");
  return true;
}

}  // namespace

extern const Op reduce_l1;
const Op reduce_l1 = {
    .name = "ReduceL1",
    .infer = infer,
    .evaluate = evaluate<L1Rule>,
    .lower = lower_fold<ReduceKind::abs_sum>,
    .gradient = l1_gradient,
    .units = units::reduce_sum,
    .cut = cuts::reduce,
    .cost = cost,
};

extern const Op reduce_l2;
const Op reduce_l2 = {
    .name = "ReduceL2",
    .infer = infer,
    .evaluate = evaluate<L2Rule>,
    .lower = lower_fold<ReduceKind::sum_square, ReduceFinish::square_root>,
    .gradient = l2_gradient,
    .units = units::reduce_sum,
    .cut = cuts::reduce,
    .cost = cost,
};

extern const Op reduce_log_sum;
const Op reduce_log_sum = {
    .name = "ReduceLogSum",
    .infer = infer,
    .evaluate = evaluate<LogSumRule>,
    .lower = lower_fold<ReduceKind::sum, ReduceFinish::logarithm>,
    .gradient = log_sum_gradient,
    .units = units::reduce,
    .cut = cuts::reduce,
    .cost = cost,
};

extern const Op reduce_log_sum_exp;
const Op reduce_log_sum_exp = {
    .name = "ReduceLogSumExp",
    .infer = infer,
    .evaluate = evaluate<LogSumExpRule>,
    .lower = lower_fold<ReduceKind::exp_sum, ReduceFinish::logarithm>,
    .gradient = log_sum_exp_gradient,
    .units = units::reduce,
    .cut = cuts::reduce,
    .cost = cost,
};

extern const Op reduce_max;
const Op reduce_max = {
    .name = "ReduceMax",
    .infer = max_infer,
    .evaluate = evaluate<MaxRule>,
    .lower = lower_fold<ReduceKind::max>,
    .gradient = extremum_gradient,
    .units = units::reduce,
    .cut = cuts::reduce,
    .cost = cost,
};

extern const Op reduce_mean;
const Op reduce_mean = {
    .name = "ReduceMean",
    .infer = infer,
    .evaluate = evaluate<MeanRule>,
    .lower = lower<true>,
    .gradient = mean_gradient,
    .units = units::reduce_sum,
    .cut = cuts::reduce,
    .cost = cost,
};

extern const Op reduce_min;
const Op reduce_min = {
    .name = "ReduceMin",
    .infer = min_infer,
    .evaluate = evaluate<MinRule>,
    .lower = lower_fold<ReduceKind::min>,
    .gradient = extremum_gradient,
    .units = units::reduce,
    .cut = cuts::reduce,
    .cost = cost,
};

extern const Op reduce_prod;
const Op reduce_prod = {
    .name = "ReduceProd",
    .infer = prod_infer,
    .evaluate = evaluate<ProdRule>,
    .lower = lower_fold<ReduceKind::product>,
    .gradient = prod_gradient,
    .units = units::reduce,
    .cut = cuts::reduce,
    .cost = cost,
};

extern const Op reduce_sum;
const Op reduce_sum = {
    .name = "ReduceSum",
    .infer = sum_infer,
    .evaluate = evaluate<SumRule>,
    .lower = lower<false>,
    .gradient = sum_gradient,
    .units = units::reduce_sum,
    .cut = cuts::reduce,
    .cost = cost,
};

extern const Op reduce_sum_square;
const Op reduce_sum_square = {
    .name = "ReduceSumSquare",
    .infer = infer,
    .evaluate = evaluate<SumSquareRule>,
    .lower = lower_fold<ReduceKind::sum_square>,
    .gradient = sum_square_gradient,
    .units = units::reduce_sum,
    .cut = cuts::reduce,
    .cost = cost,
};

}  // namespace espalier::ops
