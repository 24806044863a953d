#include <cmath>
#include <limits>

#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// Bounds are attributes before version 11, optional scalar inputs from it on.
void infer(InferContext& c) {
  c.require_inputs(1, c.version() < 11 ? 1 : 3);
  require_type(c, 0, is_numeric, "a numeric type");
  for (const size_t i : {1, 2}) {
    require_same_type(c, 0, i);
    if (!c.has_input(i) || !c.has_rank(i)) continue;
    const auto dims = to_known(c.dims(i));
    if (dims && element_count(*dims) != 1) c.fail("bound has shape " + to_string(*dims) + ", expected a scalar");
  }
  c.set(0, c.type(0));
  const auto numbers = c.numbers(0);
  if (numbers && !c.has_input(1) && !c.has_input(2)) c.set_numbers(0, *numbers);
}

template <class V>
std::optional<V> bound(const EvaluateContext& c, const char* attribute, size_t i) {
  if (c.version() < 11) {
    if (!c.node().has(attribute)) return std::nullopt;
    return convert<V>(c.node().require<float>(attribute));
  }
  if (!c.has_input(i)) return std::nullopt;
  if (c.input(i).size() != 1) c.fail("bound has " + std::to_string(c.input(i).size()) + " elements, expected 1");
  return dispatch_numeric(c.input(i).type(), [&]<class T>() { return convert<V>(c.input(i).data<T>()[0]); });
}

/// min(max(x, lower), upper): an upper bound below the lower one wins. NaN stays.
void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  dispatch_number(x.type(), [&]<class T>() {
    const auto lower = bound<Calc<T>>(c, "min", 1), upper = bound<Calc<T>>(c, "max", 2);
    c.set(0, map<T, T>(x, [&](auto v) {
            if (lower && v < *lower) v = *lower;
            if (upper && v > *upper) v = *upper;
            return v;
          }));
  });
}

void gradient(GradientContext& c) {
  std::vector<Attribute> bounds;
  for (const size_t i : {1, 2}) {
    const char* name = i == 1 ? "min" : "max";
    if (c.node().version < 11) {
      if (const Attribute* bound = c.node().find(name)) bounds.push_back(*bound);
      continue;
    }
    if (c.input(i) == kNone) continue;
    const Tensor* bound = c.constant(c.input(i));
    if (!bound || bound->size() != 1) c.fail("cannot be differentiated: its bounds are not constant");
    bounds.push_back({name, static_cast<float>(bound->to_doubles()[0]), {}});
  }
  if (c.wants(0)) c.set_grad(0, c.add("ClipGrad", {c.output(), c.grad_output()}, std::move(bounds)));
}

/// With constant bounds; an absent one is infinite.
std::optional<ElementOp> element(const InferContext& c) {
  ElementOp op{ElementKind::clip, -std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity()};
  for (const size_t i : {1, 2}) {
    float& bound = i == 1 ? op.alpha : op.beta;
    if (c.version() < 11) {
      bound = c.node().get<float>(i == 1 ? "min" : "max", bound);
    } else if (c.has_input(i)) {
      if (!c.constant(i) || c.constant(i)->size() != 1) return std::nullopt;
      bound = static_cast<float>(c.constant(i)->to_doubles()[0]);
    }
  }
  return op;
}

}  // namespace

extern const Op clip;
const Op clip = {
    .name = "Clip",
    .infer = infer,
    .evaluate = evaluate,
    .element = element,
    .gradient = gradient,
    .units = units::same,
    .cut = cuts::same,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
