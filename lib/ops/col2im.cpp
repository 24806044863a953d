// Col2Im: columns of blocks added back into the image they were taken from; and its gradient, which takes them.

#include <algorithm>

#include "lib/ops/cost.h"
#include "lib/ops/cut.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/integer.h"
#include "lib/ops/matmul_loop.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

/// A spatial axis: its blocks stand at stride * i - begin, their elements dilation apart.
struct Axis {
  int64_t image, block, stride, dilation, begin, end;
  int64_t extent() const { return checked_add(checked_mul(dilation, block - 1), 1); }
  int64_t blocks() const {
    const int64_t room = checked_add(image, checked_add(begin, end)) - extent();
    return room < 0 ? 0 : room / stride + 1;
  }
};

/// Nothing and a reason in `problem` where the sizes make no sense.
std::vector<Axis> axes_of(const Node& node, const std::vector<int64_t>& image, const std::vector<int64_t>& block, std::string* problem) {
  const size_t n = image.size();
  const auto list = [&](const char* name, size_t count, int64_t otherwise, int64_t least) {
    auto values = node.get<std::vector<int64_t>>(name, std::vector<int64_t>(count, otherwise));
    if (values.size() != count) {
      *problem = std::string(name) + " has " + std::to_string(values.size()) + " elements, expected " + std::to_string(count);
    } else if (std::any_of(values.begin(), values.end(), [&](int64_t v) { return v < least; })) {
      *problem = std::string(name) + " is " + to_string(values);
    }
    return values;
  };
  if (block.size() != n || n == 0) {
    *problem = "image_shape and block_shape have " + std::to_string(n) + " and " + std::to_string(block.size()) + " elements";
    return {};
  }
  const auto strides = list("strides", n, 1, 1), dilations = list("dilations", n, 1, 1), pads = list("pads", 2 * n, 0, 0);
  std::vector<Axis> axes;
  for (size_t i = 0; i < n && problem->empty(); ++i) {
    if (image[i] < 1 || block[i] < 1) *problem = "image_shape is " + to_string(image) + ", block_shape " + to_string(block);
    axes.push_back({image[i], block[i], strides[i], dilations[i], pads[i], pads[n + i]});
  }
  return problem->empty() ? axes : std::vector<Axis>{};
}

void infer(InferContext& c) {
  c.require_inputs(3, 3);
  c.require_rank(0, 3, 3);
  c.set(0, Type::tensor(c.elem_type(0)));
  const auto image = c.integers(1), block = c.integers(2);
  if (!c.has_rank(0)) return;
  if (!image || !block) {
    if (c.has_rank(1) && c.rank(1) == 1 && c.dims(1)[0].known() && c.dims(1)[0].value() <= 32) {
      SymbolicDims dims(static_cast<size_t>(c.dims(1)[0].value()) + 2);
      dims[0] = c.dims(0)[0];
      c.set(0, c.elem_type(0), std::move(dims));
    }
    return;
  }
  std::string problem;
  const auto axes = axes_of(c.node(), *image, *block, &problem);
  if (!problem.empty()) c.fail(problem);
  int64_t elements = 1, blocks = 1;
  for (const Axis& axis : axes) {
    elements = checked_mul(elements, axis.block);
    blocks = checked_mul(blocks, axis.blocks());
  }
  const Dim &rows = c.dims(0)[1], &columns = c.dims(0)[2];
  if (columns.known() && !columns.is(blocks)) c.fail("has " + columns.str() + " blocks, expected " + std::to_string(blocks));
  if (rows.known() && rows.value() % elements != 0) c.fail("axis 1 is " + rows.str() + ", expected a multiple of " + std::to_string(elements));
  SymbolicDims dims = {c.dims(0)[0], exact_div(rows, elements).value_or(Dim())};
  dims.insert(dims.end(), image->begin(), image->end());
  c.set(0, c.elem_type(0), std::move(dims));
}

/// Calls visit(row, column, position in the image) for every element of a channel's columns that lies in the image.
template <class Visit>
void walk(const std::vector<Axis>& axes, Visit&& visit) {
  int64_t rows = 1, columns = 1;
  for (const Axis& axis : axes) rows *= axis.block, columns *= axis.blocks();
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      int64_t r = row, s = column, position = 0, step = 1;
      bool inside = true;
      for (size_t a = axes.size(); a-- > 0;) {
        const Axis& axis = axes[a];
        const int64_t at = s % axis.blocks() * axis.stride - axis.begin + r % axis.block * axis.dilation;
        inside = inside && at >= 0 && at < axis.image;
        position += at * step;
        step *= axis.image;
        r /= axis.block;
        s /= axis.blocks();
      }
      if (inside) visit(row, column, position);
    }
  }
}

/// The sizes as one channel's columns [rows, columns] and image.
struct Sizes {
  std::vector<Axis> axes;
  int64_t rows = 1, columns = 1, pixels = 1;

  Sizes(const EvaluateContext& c, size_t image, size_t block) {
    std::string problem;
    axes = axes_of(c.node(), c.input(image).to_int64s(), c.input(block).to_int64s(), &problem);
    if (!problem.empty()) c.fail(problem);
    for (const Axis& axis : axes) rows *= axis.block, columns *= axis.blocks(), pixels *= axis.image;
  }
};

void evaluate(EvaluateContext& c) {
  const Tensor& x = c.input(0);
  const Sizes sizes(c, 1, 2);
  if (x.dims()[2] != sizes.columns || x.dims()[1] % sizes.rows != 0) c.fail("columns are " + to_string(x.dims()));
  Dims dims = {x.dims()[0], x.dims()[1] / sizes.rows};
  for (const Axis& axis : sizes.axes) dims.push_back(axis.image);
  dispatch_numeric(x.type(), [&]<class T>() {
    Tensor y(x.type(), dims);
    const auto in = x.data<T>();
    const auto out = y.mutable_data<T>();
    using S = std::conditional_t<std::is_same_v<T, bool>, int64_t, Sum<T>>;
    std::vector<S> sums(static_cast<size_t>(sizes.pixels));
    for (int64_t channel = 0; channel < dims[0] * dims[1]; ++channel) {
      std::fill(sums.begin(), sums.end(), S(0));
      const int64_t first = channel * sizes.rows * sizes.columns;
      walk(sizes.axes, [&](int64_t row, int64_t column, int64_t to) {
        sums[to] = wrap_add(sums[to], static_cast<S>(in[first + row * sizes.columns + column]));
      });
      for (int64_t i = 0; i < sizes.pixels; ++i) out[channel * sizes.pixels + i] = convert<T>(sums[i]);
    }
    c.set(0, std::move(y));
  });
}

std::vector<Attribute> window(const Node& node) {
  std::vector<Attribute> result;
  for (const char* name : {"strides", "pads", "dilations"}) {
    if (node.has(name)) result.push_back({name, node.require<std::vector<int64_t>>(name), {}});
  }
  return result;
}

void gradient(GradientContext& c) {
  c.set_grad(0, c.add("Col2ImGrad", {c.input(0), c.input(1), c.input(2), c.grad_output()}, window(c.node())));
}

void infer_grad(InferContext& c) {
  c.require_inputs(4, 4);
  c.set(0, c.type(0));
}

void evaluate_grad(EvaluateContext& c) {
  const Sizes sizes(c, 1, 2);
  const auto dy = c.input(3).to_doubles();
  const Dims& dims = c.input(0).dims();
  std::vector<double> dx(static_cast<size_t>(element_count(dims)));
  for (int64_t channel = 0; channel < dims[0] * (dims[1] / sizes.rows); ++channel) {
    walk(sizes.axes, [&](int64_t row, int64_t column, int64_t from) {
      dx[(channel * sizes.rows + row) * sizes.columns + column] = dy[channel * sizes.pixels + from];
    });
  }
  c.set(0, Tensor::of<double>(dims, dx).cast(c.input(3).type()));
}

/// One addition an element of the columns.
Cost cost(const InferContext& c) { return {.flops = known_elements(c.type(0)), .bytes = known_traffic(c)}; }

constexpr int kChannels = 1;

/// A channel of the image is made of the places of its block, which lie behind one another: they are one unit.
void units_of(UnitContext& c) {
  const auto ids = c.channel_ids(c.input(0));
  if (!ids) return;
  const int64_t channels = c.dim(c.output(), kChannels), zero = 0;
  const IndexArray blocks = ids->reshaped({channels, ids->size() / channels}), first = blocks.taken(1, {&zero, 1});
  c.units().unite(first, blocks);
  c.set(c.output(), {Bundle::along(kChannels, first.reshaped({channels}))});
}

void cut_of(CutContext& c) {
  const ValueId x = c.input(0), out = c.output();
  if (c.kept(x).empty()) return c.record(out, {});
  const int64_t places = c.dim(x, kChannels) / c.dim(out, kChannels);
  const std::vector<int64_t> order = c.order(x, kChannels);
  std::vector<int32_t> left;
  for (size_t i = 0; i < order.size(); ++i) {
    const auto place = static_cast<int64_t>(i) % places;
    if (place == 0) left.push_back(static_cast<int32_t>(order[i] / places));
    if (order[i] != left.back() * places + place) c.inexpressible(x, kChannels, "Col2Im needs the order of its blocks");
  }
  const auto count = static_cast<int64_t>(left.size());
  c.record(out, {Bundle::along(kChannels, IndexArray({count}, std::move(left)))});
}

}  // namespace

extern const Op col2im, col2im_grad_op;
const Op col2im = {
    .name = "Col2Im",
    .since = 18,
    .infer = infer,
    .evaluate = evaluate,
    .gradient = gradient,
    .units = units_of,
    .cut = cut_of,
    .cost = cost,
};

/// Col2ImGrad(x_like, image_shape, block_shape, dy) {strides, pads, dilations} -> dx.
const Op col2im_grad_op = {
    .name = "Col2ImGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
    .shape_only_inputs = 0b1,
};

}  // namespace espalier::ops
