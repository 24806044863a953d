#include <cmath>
#include <cstring>

#include "lib/base/parallel.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/movement.h"
#include "lib/ops/take.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier::ops {
namespace {

/// The one element of an integer or float input, as an integer.
std::optional<int64_t> depth_of(const Tensor* depth) {
  if (!depth || depth->size() != 1) return std::nullopt;
  return depth->cast(DataType::int64).data<int64_t>()[0];
}

void infer(InferContext& c) {
  c.require_inputs(3, 3);
  require_type(c, 0, is_numeric, "a numeric type");
  require_type(c, 1, is_numeric, "a numeric type");
  c.set(0, Type::tensor(c.elem_type(2)));
  if (c.constant(1) && !depth_of(c.constant(1))) c.fail("depth has " + std::to_string(c.constant(1)->size()) + " elements, expected 1");
  if (c.has_rank(2) && (c.rank(2) != 1 || (c.dims(2)[0].known() && !c.dims(2)[0].is(2)))) {
    c.fail("values are " + c.type(2).str() + ", expected two: off and on");
  }
  if (!c.has_rank(0)) return;
  const auto numbers = c.numbers(1);
  const auto constant = depth_of(c.constant(1));
  const Dim depth = constant ? Dim(*constant) : numbers && numbers->size() == 1 ? (*numbers)[0] : Dim();
  if (depth.known() && depth.value() < 0) c.fail("depth is " + depth.str());
  SymbolicDims dims = c.dims(0);
  const int64_t axis = c.axis(c.node().get<int64_t>("axis", -1), c.rank(0) + 1);
  dims.insert(dims.begin() + axis, depth);
  c.set(0, c.elem_type(2), std::move(dims));
}

void evaluate(EvaluateContext& c) {
  const Tensor &indices = c.input(0), &values = c.input(2);
  const auto depth = depth_of(&c.input(1));
  if (!depth || *depth < 0) c.fail("depth is no size");
  Dims dims = indices.dims();
  const int64_t axis = normalize_axis(c.node().get<int64_t>("axis", -1), indices.rank() + 1);
  dims.insert(dims.begin() + axis, *depth);
  const int64_t inner = element_count(Dims(dims.begin() + axis + 1, dims.end()));
  const auto named = indices.to_doubles();
  AxisIndices off(1, std::vector<int64_t>(static_cast<size_t>(element_count(dims)), 0));
  for (size_t i = 0; i < named.size(); ++i) {
    const double index = std::trunc(named[i]), at = index < 0 ? index + static_cast<double>(*depth) : index;
    if (!(at >= 0 && at < static_cast<double>(*depth))) continue;
    const auto outer = static_cast<int64_t>(i) / inner, rest = static_cast<int64_t>(i) % inner;
    off[0][static_cast<size_t>((outer * *depth + static_cast<int64_t>(at)) * inner + rest)] = 1;
  }
  c.set(0, take(values, off).reshaped(dims));
}

/// Indices int32 or int64, two values of 4 bytes.
template <class I>
class OneHot : public Kernel {
 public:
  OneHot(int64_t outer, int64_t depth, int64_t inner) : outer_(outer), depth_(depth), inner_(inner) {}

  void bind(std::span<void* const> args) override {
    indices_ = static_cast<const I*>(args[0]);
    values_ = static_cast<const uint32_t*>(args[1]);
    to_ = static_cast<uint32_t*>(args[2]);
  }

  void run() override {
    const uint32_t off = values_[0], on = values_[1];
    const int64_t plane = depth_ * inner_;
    parallel_for(outer_, std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, plane)), [&](int64_t begin, int64_t end) {
      std::fill(to_ + begin * plane, to_ + end * plane, off);
      for (int64_t o = begin; o < end; ++o) {
        for (int64_t i = 0; i < inner_; ++i) {
          const auto index = static_cast<int64_t>(indices_[o * inner_ + i]);
          const int64_t at = index < 0 ? index + depth_ : index;
          if (at >= 0 && at < depth_) to_[o * plane + at * inner_ + i] = on;
        }
      }
    });
  }

 private:
  int64_t outer_, depth_, inner_;
  const I* indices_ = nullptr;
  const uint32_t* values_ = nullptr;
  uint32_t* to_ = nullptr;
};

bool lower(LowerContext& c) {
  const bool wide = c.type(0) == DataType::int64;
  if ((!wide && c.type(0) != DataType::int32) || movable_width(c.type(2)) != 4u) return false;
  const Dims out = c.output_dims(0);
  if (element_count(out) == 0) return false;
  const int64_t axis = normalize_axis(c.node().get<int64_t>("axis", -1), static_cast<int64_t>(out.size()));
  const int64_t outer = element_count(Dims(out.begin(), out.begin() + axis)), inner = element_count(Dims(out.begin() + axis + 1, out.end()));
  std::unique_ptr<Kernel> kernel;
  if (wide) kernel = std::make_unique<OneHot<int64_t>>(outer, out[axis], inner);
  else kernel = std::make_unique<OneHot<int32_t>>(outer, out[axis], inner);
  const Operand indices = read_plain(c, 0), values = read_plain(c, 2);
  c.step(std::move(kernel), {indices, values, write_plain(c)}, "loop");
  return true;
}

Cost cost(const InferContext& c) { return {.bytes = checked_add(known_bytes(c.type(0)), known_bytes(c.output(0).type))}; }

}  // namespace

extern const Op one_hot;
const Op one_hot = {
    .name = "OneHot",
    .since = 9,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .units = units::one_hot,
    .cut = cuts::one_hot,
    .cost = cost,
};

}  // namespace espalier::ops
