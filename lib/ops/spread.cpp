#include "lib/ops/spread.h"

#include <algorithm>

#include "lib/kernels/element.h"
#include "lib/kernels/reduce.h"
#include "lib/ops/conv_problem.h"

namespace espalier {
namespace {

bool is_fast(DataType type, const Dims& dims) {
  return type == DataType::float32 && !dims.empty() && element_count(dims) > 0;
}

/// Axes 0 and 1 stay, all others go.
bool is_positions(const Dims& dims, const std::vector<bool>& reduced) {
  return dims.size() > 2 && !reduced[0] && !reduced[1] && std::all_of(reduced.begin() + 2, reduced.end(), [](bool b) { return b; });
}

Dims per_channel(const Dims& dims) {
  Dims result(dims.size(), 1);
  result[0] = dims[0];
  result[1] = dims[1];
  return result;
}

}  // namespace

bool lower_sum(LowerContext& c, size_t x, const std::vector<bool>& reduced, float scale) {
  const Dims dims = c.dims(x);
  if (!is_fast(c.type(x), dims) || element_count(c.output_dims(0)) == 0) return false;
  const Layout own = own_layout(c, x);
  const auto small = is_positions(dims, reduced) && own.channels() ? own.like(per_channel(dims)) : std::nullopt;
  if (small) {
    const Operand from = c.read(x, own);
    c.step(reduce_positions(own, scale), {from, c.write(0, *small)}, "loop");
    return true;
  }
  const Operand from = c.read(x, Layout::plain(DataType::float32, dims));
  c.step(reduce_sum(dims, reduced, scale), {from, c.write(0, Layout::plain(DataType::float32, c.output_dims(0)))}, "loop");
  return true;
}

bool lower_spread(LowerContext& c, size_t like, size_t x, const Dims& dims, float scale) {
  const Dims full = c.output_dims(0);
  if (!is_fast(c.type(x), full) || element_count(dims) != element_count(c.dims(x))) return false;
  ElementOperand operand{ElementOperand::Kind::strided, 0, row_major_strides(dims)};
  for (size_t i = 0; i < full.size(); ++i) {
    if (dims[i] == 1) operand.strides[i] = 0;
  }
  Layout target = Layout::plain(DataType::float32, full), source = Layout::plain(DataType::float32, dims);
  const Layout own = own_layout(c, like);
  const auto small = full.size() > 2 && dims == per_channel(full) && own.channels() ? own.like(dims) : std::nullopt;
  if (small) {
    target = own;
    source = *small;
    operand = {ElementOperand::Kind::channel, own.channels()->blocks * own.channels()->block, {}};
  }
  const Operand from = c.read(x, source);
  c.step(element_chain(target, {operand}, {{{ElementKind::scale_shift, scale, 0}, 0, 0, 1}}), {from, c.write(0, target)}, "loop");
  return true;
}

}  // namespace espalier
