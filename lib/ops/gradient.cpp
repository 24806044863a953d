#include "lib/ops/gradient.h"

#include <algorithm>

namespace espalier {

ValueId sum_to_input(GradientContext& context, ValueId grad, size_t i) {
  const Type &in = context.type(context.input(i)), &out = context.type(context.output());
  if (context.node().version < 7 && context.node().has("axis")) {
    context.fail("cannot be differentiated: opset " + std::to_string(context.node().version) + " broadcasts it along an axis");
  }
  const bool same = in.has_rank() && out.has_rank() && in.rank() == out.rank() &&
                    std::equal(in.dims->begin(), in.dims->end(), out.dims->begin());
  return same ? grad : context.add("SumTo", {grad, context.input(i)});
}

ValueId integers(GradientContext& context, const std::vector<int64_t>& values) {
  const auto count = static_cast<int64_t>(values.size());
  return context.add("Constant", {}, {{"value", Tensor::of<int64_t>({count}, values), {}}});
}

}  // namespace espalier
