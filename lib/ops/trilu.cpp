// Trilu: matrices with what stands below (upper) or above (lower) diagonal k made zero.

#include <algorithm>
#include <cstring>

#include "lib/base/parallel.h"
#include "lib/ops/cost.h"
#include "lib/ops/gradient.h"
#include "lib/ops/indices.h"
#include "lib/ops/movement.h"
#include "lib/ops/op.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(1, 2);
  c.require_rank(0, 2, static_cast<int64_t>(kMaxRank));
  if (c.has_input(1)) {
    require_index_type(c, 1, false);
    if (c.constant(1) && c.constant(1)->size() != 1) c.fail("k has " + std::to_string(c.constant(1)->size()) + " elements, expected 1");
  }
  c.set(0, c.type(0));
}

/// Columns of row i that stay: [first, second).
std::pair<int64_t, int64_t> kept(bool upper, int64_t k, int64_t i, int64_t columns) {
  k = std::clamp<int64_t>(k, -(int64_t{1} << 61), int64_t{1} << 61);
  if (upper) return {std::clamp<int64_t>(i + k, 0, columns), columns};
  return {0, std::clamp<int64_t>(i + k + 1, 0, columns)};
}

/// Rows of elements of a given width, with zeros before and behind what stays.
void copy_rows(const std::byte* from, std::byte* to, size_t width, const Dims& dims, bool upper, int64_t k) {
  const int64_t height = dims[dims.size() - 2], columns = dims.back();
  if (element_count(dims) == 0) return;
  parallel_for(element_count(dims) / columns, std::max<int64_t>(1, 16384 / columns), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const auto [first, last] = kept(upper, k, row % height, columns);
      const auto at = [&](int64_t column) { return static_cast<size_t>(row * columns + column) * width; };
      std::memset(to + at(0), 0, static_cast<size_t>(first) * width);
      if (last > first && from != to) std::memcpy(to + at(first), from + at(first), static_cast<size_t>(last - first) * width);
      std::memset(to + at(last), 0, static_cast<size_t>(columns - last) * width);
    }
  });
}

bool is_upper(const Node& node) { return node.get<int64_t>("upper", 1) != 0; }

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const auto k = c.has_input(1) ? c.input(1).to_int64s() : std::vector<int64_t>{0};
  if (k.size() != 1) c.fail("k has " + std::to_string(k.size()) + " elements, expected 1");
  if (x.type() == DataType::string) c.fail("strings have no zero");
  const auto width = movable_width(x.type());
  if (!width) c.fail("element type " + std::string(name(x.type())) + " is not supported");
  Tensor y(x.type(), x.dims());
  copy_rows(x.bytes().data(), y.mutable_bytes().data(), *width, x.dims(), is_upper(c.node()), k[0]);
  c.set(0, std::move(y));
}

/// Arguments: x, k if it is no constant, y.
class Trilu : public Kernel {
 public:
  Trilu(Dims dims, size_t width, bool upper, std::optional<int64_t> k) : dims_(std::move(dims)), width_(width), upper_(upper), k_(k) {}

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const std::byte*>(args[0]);
    given_ = k_ ? nullptr : static_cast<const int64_t*>(args[1]);
    y_ = static_cast<std::byte*>(args.back());
  }
  void run() override { copy_rows(x_, y_, width_, dims_, upper_, given_ ? *given_ : *k_); }

 private:
  Dims dims_;
  size_t width_;
  bool upper_;
  std::optional<int64_t> k_;
  const std::byte* x_ = nullptr;
  const int64_t* given_ = nullptr;
  std::byte* y_ = nullptr;
};

bool lower(LowerContext& c) {
  if (!is_movable(c, 0)) return false;
  std::optional<int64_t> k = 0;
  if (c.has_input(1)) k = c.constant(1) ? std::optional(c.constant(1)->to_int64s().at(0)) : std::nullopt;
  if (!k && element_count(c.dims(1)) != 1) return false;
  auto kernel = std::make_unique<Trilu>(c.dims(0), *movable_width(c.type(0)), is_upper(c.node()), k);
  const Operand x = read_plain(c, 0);
  std::vector<Operand> args = {x};
  if (!k) args.push_back(read_plain(c, 1));
  args.push_back(c.write_over(0, x, Layout::plain(c.type(0), c.dims(0))));
  c.step(std::move(kernel), std::move(args), "loop");
  return true;
}

void gradient(GradientContext& c) {
  std::vector<ValueId> inputs = {c.grad_output()};
  if (c.input(1) != kNone) inputs.push_back(c.input(1));
  c.set_grad(0, c.add("Trilu", std::move(inputs), {{"upper", int64_t{is_upper(c.node())}, {}}}));
}

Cost cost(const InferContext& c) { return {.bytes = known_traffic(c)}; }

}  // namespace

extern const Op trilu;
const Op trilu = {
    .name = "Trilu",
    .since = 14,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .gradient = gradient,
    .units = units::trilu,
    .cut = cuts::trilu,
    .cost = cost,
};

}  // namespace espalier::ops
