#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/movement.h"
#include "lib/ops/take.h"
#include "lib/ops/unit_rules.h"

namespace espalier::ops {
namespace {

/// Small integer tensors under a known condition: shape arithmetic picks its sizes so.
void infer_numbers(InferContext& c, const SymbolicDims& dims) {
  const auto known = to_known(dims);
  const Tensor* condition = c.constant(0);
  const auto x = c.numbers(1), y = c.numbers(2);
  if (!known || known->size() > 1 || !condition || !x || !y) return;
  const auto chosen = condition->to_int64s();
  const auto at = [](const auto& values, int64_t i) { return values.size() == 1 ? values[0] : values[i]; };
  std::vector<Dim> result;
  for (int64_t i = 0; i < element_count(*known); ++i) result.push_back(at(chosen, i) ? at(*x, i) : at(*y, i));
  c.set_numbers(0, std::move(result));
}

void infer(InferContext& c) {
  c.require_inputs(3, 3);
  if (c.type(0).is_tensor() && c.elem_type(0) != DataType::boolean) c.fail("condition is " + c.type(0).str() + ", expected bool");
  if (c.type(1).is_tensor() && c.type(2).is_tensor() && c.elem_type(1) != c.elem_type(2)) {
    c.fail("the two sides are " + c.type(1).str() + " and " + c.type(2).str() + ", expected the same element type");
  }
  const DataType type = c.type(1).is_tensor() ? c.elem_type(1) : c.elem_type(2);
  c.set(0, Type::tensor(type));
  if (!c.has_rank(0) || !c.has_rank(1) || !c.has_rank(2)) return;
  SymbolicDims dims = broadcast(c, broadcast(c, c.dims(1), c.dims(2)), c.dims(0));
  infer_numbers(c, dims);
  c.set(0, type, std::move(dims));
}

/// `in` repeated to the shape `out`, which it broadcasts to.
Tensor expanded(const Tensor& in, const Dims& out) {
  Dims dims(out.size() - in.dims().size(), 1);
  dims.insert(dims.end(), in.dims().begin(), in.dims().end());
  AxisIndices at = all_indices(out);
  for (size_t a = 0; a < out.size(); ++a) {
    if (dims[a] == 1) at[a].assign(out[a], 0);
  }
  return take(in.reshaped(dims), at);
}

void evaluate(EvaluateContext& c) {
  const Dims dims = broadcast(broadcast(c.input(0).dims(), c.input(1).dims()), c.input(2).dims());
  const Tensor condition = expanded(c.input(0), dims), x = expanded(c.input(1), dims);
  Tensor out = expanded(c.input(2), dims);
  const auto chosen = condition.data<bool>();
  for (int64_t i = 0; i < out.size(); ++i) {
    if (chosen[i]) copy_elements(x, i, out, i, 1);
  }
  c.set(0, std::move(out));
}

/// Elements of a given width. Arguments: condition, x, y, result.
template <class T>
class Choose : public Kernel {
 public:
  Choose(const Dims& to, const Dims& condition, const Dims& x, const Dims& y) : walk_(to, {condition, x, y}) {}

  void bind(std::span<void* const> args) override {
    condition_ = static_cast<const uint8_t*>(args[0]);
    x_ = static_cast<const T*>(args[1]);
    y_ = static_cast<const T*>(args[2]);
    to_ = static_cast<T*>(args[3]);
  }

  void run() override {
    walk_.run([this](int64_t to, const auto& at, const auto& step, int64_t n) {
      const uint8_t* c = condition_ + at[0];
      const T *x = x_ + at[1], *y = y_ + at[2];
      T* out = to_ + to;
      if (step[0] == 1 && step[1] == 1 && step[2] == 1) {
        for (int64_t i = 0; i < n; ++i) out[i] = c[i] ? x[i] : y[i];
      } else if (step[0] == 1 && step[1] == 1 && step[2] == 0) {
        for (int64_t i = 0; i < n; ++i) out[i] = c[i] ? x[i] : *y;
      } else if (step[0] == 1 && step[1] == 0 && step[2] == 1) {
        for (int64_t i = 0; i < n; ++i) out[i] = c[i] ? *x : y[i];
      } else {
        for (int64_t i = 0; i < n; ++i) out[i] = c[i * step[0]] ? x[i * step[1]] : y[i * step[2]];
      }
    });
  }

 private:
  BroadcastWalk<3> walk_;
  const uint8_t* condition_ = nullptr;
  const T *x_ = nullptr, *y_ = nullptr;
  T* to_ = nullptr;
};

bool lower(LowerContext& c) {
  if (!is_movable(c, 1)) return false;
  const auto make = [&]<class T>() -> std::unique_ptr<Kernel> {
    return std::make_unique<Choose<T>>(c.output_dims(0), c.dims(0), c.dims(1), c.dims(2));
  };
  std::unique_ptr<Kernel> kernel;
  switch (*movable_width(c.type(1))) {
    case 1: kernel = make.template operator()<uint8_t>(); break;
    case 2: kernel = make.template operator()<uint16_t>(); break;
    case 4: kernel = make.template operator()<uint32_t>(); break;
    case 8: kernel = make.template operator()<uint64_t>(); break;
    default: return false;
  }
  const Operand condition = read_plain(c, 0), x = read_plain(c, 1), y = read_plain(c, 2);
  c.step(std::move(kernel), {condition, x, y, write_plain(c)}, "loop");
  return true;
}

void gradient(GradientContext& c) {
  const ValueId condition = c.input(0), dy = c.grad_output();
  const ValueId zero = c.scalar(0, c.output());
  if (c.wants(1)) c.set_grad(1, sum_to_input(c, c.add("Where", {condition, dy, zero}), 1));
  if (c.wants(2)) c.set_grad(2, sum_to_input(c, c.add("Where", {condition, zero, dy}), 2));
}

}  // namespace

extern const Op where;
const Op where = {
    .name = "Where",
    .since = 9,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::elementwise,
    .cut = cuts::elementwise,
    .cost = cost_elementwise,
    .elementwise = true,
};

}  // namespace espalier::ops
