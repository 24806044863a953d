#include <cmath>

#include "lib/ops/elementwise.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/op.h"
#include "lib/tensor/dispatch.h"

namespace espalier::ops {
namespace {

constexpr double kMostElements = 1e15;

/// Number of elements; nothing where delta is 0 or the numbers are absurd.
template <class T>
std::optional<int64_t> count_of(T start, T limit, T delta) {
  if (delta == T(0)) return std::nullopt;
  const double count = std::ceil((static_cast<double>(limit) - static_cast<double>(start)) / static_cast<double>(delta));
  if (!(std::abs(count) < kMostElements)) return std::nullopt;
  return count > 0 ? static_cast<int64_t>(count) : 0;
}

Dim symbolic_count(const InferContext& c) {
  const auto start = c.numbers(0), limit = c.numbers(1), delta = c.numbers(2);
  if (!start || !limit || !delta || start->size() != 1 || limit->size() != 1 || delta->size() != 1) return {};
  return delta->front().is(1) ? limit->front() - start->front() : Dim();
}

void infer(InferContext& c) {
  c.require_inputs(3, 3);
  const auto stash = c.node().get<int64_t>("stash_type", 1);  // 16-bit floats are calculated in float
  if (stash != 1) c.fail("stash_type is " + std::to_string(stash) + ", only 1 (float) is supported");
  for (const size_t i : {size_t{0}, size_t{1}, size_t{2}}) {
    if (c.type(i).is_tensor() && c.type(0).is_tensor() && c.elem_type(i) != c.elem_type(0)) {
      c.fail("start, limit and delta differ in element type");
    }
    const auto dims = c.type(i).known_dims();
    if (c.constant(i) && c.constant(i)->size() != 1) c.fail("input " + std::to_string(i) + " is " + c.type(i).str() + ", expected a scalar");
  }
  Dim size = symbolic_count(c);
  if (c.constant(0) && c.constant(1) && c.constant(2)) {
    dispatch_numeric(c.elem_type(0), [&]<class T>() {
      const auto at = [&](size_t i) { return c.constant(i)->data<T>()[0]; };
      const auto count = count_of<T>(at(0), at(1), at(2));
      if (!count) c.fail("delta is 0, or the range is too long");
      size = *count;
    });
  }
  c.set(0, c.elem_type(0), {size});
}

void evaluate(EvaluateContext& c) {
  dispatch_numeric(c.input(0).type(), [&]<class T>() {
    const T start = c.input(0).data<T>()[0], delta = c.input(2).data<T>()[0];
    const auto count = count_of<T>(start, c.input(1).data<T>()[0], delta);
    if (!count) c.fail("delta is 0, or the range is too long");
    Tensor out(c.input(0).type(), {*count});
    const auto values = out.mutable_data<T>();
    for (int64_t i = 0; i < *count; ++i) values[i] = T(Calc<T>(start) + Calc<T>(i) * Calc<T>(delta));
    c.set(0, std::move(out));
  });
}

}  // namespace

extern const Op range;
const Op range = {.name = "Range", .since = 11, .until = 27, .infer = infer, .evaluate = evaluate, .cost = cost_elementwise};

}  // namespace espalier::ops
