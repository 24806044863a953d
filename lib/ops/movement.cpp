#include "lib/ops/movement.h"

#include <cstring>

#include "lib/kernels/reorder.h"
#include "lib/ops/conv_problem.h"

namespace espalier::ops {
namespace {

bool has_elements(const Dims& dims) { return element_count(dims) > 0; }

Layout plain(DataType type, Dims dims) { return Layout::plain(type, std::move(dims)); }

}  // namespace

std::optional<size_t> movable_width(DataType type) {
  if (type == DataType::undefined || type == DataType::string) return std::nullopt;
  const int bits = static_cast<int>(bit_width(type));
  if (bits % 8 != 0) return std::nullopt;
  return static_cast<size_t>(bits) / 8;
}

bool is_movable(const LowerContext& c, size_t i) {
  if (!movable_width(c.type(i)) || !has_elements(c.dims(i))) return false;
  for (size_t k = 0; k < c.node().outputs.size(); ++k) {
    if (c.has_output(k) && !has_elements(c.output_dims(k))) return false;
  }
  return true;
}

Operand read_plain(LowerContext& c, size_t input) { return c.read(input, plain(c.type(input), c.dims(input))); }

Operand write_plain(LowerContext& c, size_t output) {
  return c.write(output, plain(c.facts().output(output).type.elem_type, c.output_dims(output)));
}

bool lower_move(LowerContext& c, size_t input, std::vector<MoveAxis> axes, int64_t offset, const Tensor* fill) {
  if (!is_movable(c, input)) return false;
  Move move;
  move.width = *movable_width(c.type(input));
  move.offset = offset;
  move.axes = std::move(axes);
  if (fill) std::memcpy(move.fill.data(), fill->bytes().data(), move.width);
  const Operand from = read_plain(c, input);
  c.step(move_elements(std::move(move)), {from, write_plain(c)}, "move");
  return true;
}

bool lower_permute(LowerContext& c, const Dims& split, const Dims& perm) {
  if (!is_movable(c, 0)) return false;
  constexpr size_t kMostAxes = 6;  // of oneDNN's reorder
  if (c.type(0) == DataType::float32 && !split.empty() && split.size() <= kMostAxes) {
    Dims dims;
    for (const int64_t p : perm) dims.push_back(split[p]);
    const Layout from = split == c.dims(0) ? own_layout(c, 0) : plain(DataType::float32, split);
    const Operand x = c.read(0, from);
    c.step(transpose_copy(from, plain(DataType::float32, dims), perm), {x, write_plain(c)});
    return true;
  }
  const Dims strides = row_major_strides(split);
  std::vector<MoveAxis> axes;
  for (const int64_t p : perm) axes.push_back({split[p], strides[p], {}});
  return lower_move(c, 0, std::move(axes));
}

bool lower_broadcast(LowerContext& c, size_t input) {
  const Dims from = c.dims(input), to = c.output_dims(0);
  const Dims strides = row_major_strides(from);
  std::vector<MoveAxis> axes;
  for (size_t i = 0; i < to.size(); ++i) {
    const bool own = i + from.size() >= to.size();
    const size_t at = own ? i + from.size() - to.size() : 0;
    axes.push_back({to[i], own && from[at] != 1 ? strides[at] : 0, {}});
  }
  return lower_move(c, input, std::move(axes));
}

Indexing indexing_of(const LowerContext& c, Indexing::Kind kind, Dims data, size_t indices, int64_t axis, int64_t batch_dims) {
  Indexing result;
  result.kind = kind;
  result.data = std::move(data);
  result.indices = c.dims(indices);
  result.axis = axis;
  result.batch_dims = batch_dims;
  result.int64_indices = c.type(indices) == DataType::int64;
  result.where = c.node().where();
  return result;
}

bool lower_gather(LowerContext& c, Indexing::Kind kind, int64_t axis, int64_t batch_dims) {
  if (!is_movable(c, 0)) return false;
  auto kernel = gather_runs(indexing_of(c, kind, c.dims(0), 1, axis, batch_dims), *movable_width(c.type(0)));
  const Operand data = read_plain(c, 0), indices = read_plain(c, 1);
  c.step(std::move(kernel), {data, indices, write_plain(c)}, "loop");
  return true;
}

bool lower_scatter(LowerContext& c, Indexing::Kind kind, int64_t axis, Combine combine) {
  const bool replace = combine == Combine::replace;
  if (!is_movable(c, 0) || !has_elements(c.dims(1)) || (!replace && c.type(0) != DataType::float32)) return false;
  Indexing indexing = indexing_of(c, kind, c.dims(0), 1, axis);
  auto kernel = replace ? scatter_runs(std::move(indexing), *movable_width(c.type(0))) : scatter_combined(std::move(indexing), combine, false);
  const Operand data = read_plain(c, 0), indices = read_plain(c, 1), updates = read_plain(c, 2);
  const bool apart = data.buffer != indices.buffer && data.buffer != updates.buffer;
  const Operand to = apart ? c.write_over(0, data, plain(c.type(0), c.dims(0))) : write_plain(c);
  c.step(std::move(kernel), {data, indices, updates, to}, "loop");
  return true;
}

bool lower_gather_grad(LowerContext& c, Indexing::Kind kind, int64_t axis, int64_t batch_dims) {
  if (c.type(2) != DataType::float32 || !has_elements(c.output_dims(0)) || !has_elements(c.dims(1))) return false;
  const Operand indices = read_plain(c, 1), dy = read_plain(c, 2);
  c.step(scatter_combined(indexing_of(c, kind, c.dims(0), 1, axis, batch_dims), Combine::add, true), {indices, dy, write_plain(c)}, "loop");
  return true;
}

}  // namespace espalier::ops
