#include "lib/ops/boxes.h"

#include <algorithm>

#include "lib/base/parallel.h"
#include "lib/kernels/move.h"
#include "lib/kernels/reorder.h"
#include "lib/ops/conv_problem.h"

namespace espalier {
namespace {

/// Sets a whole buffer.
class Fill : public Kernel {
 public:
  Fill(int64_t count, float value) : count_(count), value_(value) {}
  void bind(std::span<void* const> args) override { to_ = static_cast<float*>(args[0]); }
  void run() override {
    parallel_for(count_, 1 << 16, [this](int64_t begin, int64_t end) { std::fill(to_ + begin, to_ + end, value_); });
  }

 private:
  int64_t count_;
  float value_;
  float* to_ = nullptr;
};

/// A layout of the part's dims whose blocks coincide with those of the whole, if there is one.
std::optional<Layout> part_layout(const Layout& whole, const Dims& part, const Dims& offsets) {
  if (whole.is_plain()) return Layout::plain(whole.type(), part);
  const auto channels = whole.channels();
  if (!channels || part.size() != whole.dims().size()) return std::nullopt;
  const Layout like = whole.like(part).value_or(whole);
  // One block that is as wide as the channels looks like channels-last, where parts of any width lie without padding.
  const bool last = channels->blocks == 1 && channels->block == channels->channels && like.padded_count() == element_count(part);
  if (!last && (offsets[1] % channels->block != 0 ||
                (part[1] % channels->block != 0 && offsets[1] + part[1] != whole.dims()[1]))) {
    return std::nullopt;
  }
  return whole.like(part);
}

/// A box of a plain tensor of floats, taken out of it or put into it. (oneDNN has no fast code for some of them.)
std::unique_ptr<Kernel> plain_box(const Dims& whole, const Dims& part, const Dims& offsets, bool out) {
  const Dims in_whole = row_major_strides(whole), in_part = row_major_strides(part);
  Move move;
  for (size_t a = 0; a < part.size(); ++a) {
    move.axes.push_back({part[a], out ? in_whole[a] : in_part[a], {}, out ? in_part[a] : in_whole[a]});
    (out ? move.offset : move.to_offset) += offsets[a] * in_whole[a];
  }
  return move_elements(std::move(move));
}

bool has_elements(const Dims& dims) { return element_count(dims) > 0 && !dims.empty() && dims.size() <= 6; }

}  // namespace

bool lower_cut(LowerContext& c, size_t input, const std::vector<Box>& boxes) {
  if (c.type(input) != DataType::float32 || !has_elements(c.dims(input))) return false;
  for (const Box& box : boxes) {
    if (!has_elements(c.output_dims(box.index))) return false;
  }
  Layout whole = own_layout(c, input);
  for (const Box& box : boxes) {
    if (!part_layout(whole, c.output_dims(box.index), box.offsets)) whole = Layout::plain(DataType::float32, c.dims(input));
  }
  const Operand from = c.read(input, whole);
  for (const Box& box : boxes) {
    const Layout part = *part_layout(whole, c.output_dims(box.index), box.offsets);
    const Operand to = c.write(box.index, part);
    if (whole.is_plain()) c.step(plain_box(whole.dims(), part.dims(), box.offsets, true), {from, to}, "move");
    else c.step(copy_box_out(whole, part, box.offsets), {from, to});
  }
  return true;
}

bool lower_join(LowerContext& c, const std::vector<Box>& boxes, float fill) {
  const Dims dims = c.output_dims(0);
  if (boxes.empty() || c.type(boxes[0].index) != DataType::float32 || !has_elements(dims)) return false;
  int64_t covered = 0;
  for (const Box& box : boxes) {
    if (!has_elements(c.dims(box.index))) return false;
    covered += element_count(c.dims(box.index));
  }
  const Layout plain = Layout::plain(DataType::float32, dims);
  Layout whole = plain;
  for (const Box& box : boxes) {
    const Layout own = own_layout(c, box.index);
    if (!whole.is_plain() || own.is_plain()) continue;
    if (const auto like = own.like(dims)) whole = *like;
  }
  for (const Box& box : boxes) {
    if (!part_layout(whole, c.dims(box.index), box.offsets)) whole = plain;
  }
  const bool filled = covered < element_count(dims);
  if (filled && fill != 0) whole = plain;  // the padding of a blocked layout stays zero
  std::vector<Operand> parts;
  for (const Box& box : boxes) parts.push_back(c.read(box.index, *part_layout(whole, c.dims(box.index), box.offsets)));
  const Operand to = c.write(0, whole);
  if (filled || whole.padded_count() != element_count(dims)) {
    c.step(std::make_unique<Fill>(whole.padded_count(), fill), {to}, "fill");
  }
  for (size_t i = 0; i < boxes.size(); ++i) {
    const Layout part = *part_layout(whole, c.dims(boxes[i].index), boxes[i].offsets);
    if (whole.is_plain()) c.step(plain_box(whole.dims(), part.dims(), boxes[i].offsets, false), {parts[i], to}, "move");
    else c.step(copy_box_in(part, whole, boxes[i].offsets), {parts[i], to});
  }
  return true;
}

}  // namespace espalier
