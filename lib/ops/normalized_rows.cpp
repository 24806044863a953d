#include "lib/ops/normalized_rows.h"

namespace espalier {

std::vector<int64_t> channel_sum_axes(int64_t rank) {
  std::vector<int64_t> axes = {0};
  for (int64_t axis = 2; axis < rank; ++axis) axes.push_back(axis);
  return axes;
}

NormalizedRows::NormalizedRows(GradientContext& context, std::vector<int64_t> over, double epsilon, bool subtract)
    : axes(std::move(over)), subtract_mean(subtract) {
  const ValueId x = context.input(0);
  const ValueId centred = subtract ? context.add("Sub", {x, mean(context, x)}) : x;
  const ValueId variance = mean(context, context.add("Mul", {centred, centred}));
  const ValueId deviation = context.add("Sqrt", {context.add("Add", {variance, context.scalar(epsilon, x)})});
  inverse = context.add("Reciprocal", {deviation});
  value = context.add("Mul", {centred, inverse});
}

ValueId NormalizedRows::mean(GradientContext& context, ValueId v) const {
  return context.add("ReduceMean", {v}, {{"axes", axes, {}}});
}

ValueId NormalizedRows::gradient(GradientContext& context, ValueId g) const {
  const ValueId along = context.add("Mul", {value, mean(context, context.add("Mul", {g, value}))});
  const ValueId across = context.add("Sub", {g, along});
  return context.add("Mul", {inverse, subtract_mean ? context.add("Sub", {across, mean(context, g)}) : across});
}

}  // namespace espalier
