#include "lib/ops/conv_problem.h"

#include "lib/ops/window.h"

namespace espalier {

ConvProblem conv_problem(const Node& node, const Dims& x, const Dims& w, const Dims& y) {
  const auto spatial = [](const Dims& dims) { return Dims(dims.begin() + 2, dims.end()); };
  const Dims in = spatial(x);
  const Window window = resolve(read_window(node, in.size(), spatial(w)), in);
  ConvProblem problem;
  problem.src = x;
  problem.weights = w;
  problem.dst = y;
  problem.strides = window.strides;
  problem.dilations = window.dilations;
  problem.pads_begin = window.pads_begin;
  problem.pads_end = window.pads_end;
  problem.group = node.get<int64_t>("group", 1);
  return problem;
}

bool is_fast_conv(DataType type, const Dims& x, const Dims& w, const Dims& y) {
  return type == DataType::float32 && x.size() >= 3 && x.size() <= 5 && element_count(x) > 0 && element_count(w) > 0 &&
         element_count(y) > 0;
}

Layout own_layout(const LowerContext& context, size_t input) {
  const Layout layout = context.layout(input);
  const Dims dims = context.dims(input);
  if (layout.dims() == dims) return layout;
  const auto same = layout.reshaped(dims);
  return same ? *same : Layout::plain(layout.type(), dims);
}

}  // namespace espalier
