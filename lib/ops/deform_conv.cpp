// DeformConv (Dai et al. 2017, Zhu et al. 2018) and its gradients.

#include <cmath>

#include "lib/base/parallel.h"
#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/gradient.h"
#include "lib/ops/grid_sampler.h"
#include "lib/ops/normalized_rows.h"
#include "lib/ops/unit_rules.h"
#include "lib/ops/window.h"

namespace espalier::ops {
namespace {

int64_t offset_groups(const Node& node) { return node.get<int64_t>("offset_group", 1); }

/// fail() unless axis 1 of input i has `count` elements.
void check_axis(const InferContext& c, size_t i, const Dim& count, const char* what) {
  if (!c.has_input(i) || !c.has_rank(i) || c.dims(i).size() < 2) return;
  const Dim& own = c.dims(i)[1];
  if (own.known() && count.known() && !(own == count)) c.fail(std::string(what) + " has " + own.str() + " channels, expected " + count.str());
}

void check_channels(const InferContext& c, int64_t group, int64_t offset_group) {
  const Dim &channels = c.dims(0)[1], &each = c.dims(1)[1], &outputs = c.dims(1)[0];
  if (group < 1 || offset_group < 1) c.fail("group and offset_group must be at least 1");
  if (outputs.known() && outputs.value() % group != 0) c.fail("weight has " + outputs.str() + " output channels, expected a multiple of group " + std::to_string(group));
  if (!channels.known()) return;
  if (channels.value() % group != 0 || channels.value() % offset_group != 0) {
    c.fail("input has " + channels.str() + " channels, expected a multiple of group " + std::to_string(group) + " and offset_group " + std::to_string(offset_group));
  }
  if (each.known() && each.value() != channels.value() / group) {
    c.fail("weight has " + each.str() + " input channels, expected " + std::to_string(channels.value() / group));
  }
}

/// x: [N, C, D1 ... Dr]; w: [M, C/group, k1 ...]; offset: [N, offset_group * |k| * r, E1 ...]; b: [M];
/// mask: [N, offset_group * |k|, E1 ...]. y: [N, M, E1 ...].
void infer(InferContext& c) {
  c.require_inputs(3, 5);
  for (const size_t i : {0, 1, 2}) {
    require_type(c, i, is_float, "a float type");
    c.require_rank(i, 3, kMaxRank);
    require_same_type(c, 0, i);
  }
  if (c.has_input(4)) c.require_rank(4, 3, kMaxRank);
  if (c.has_input(3)) c.require_rank(3, 1, 1);
  if (!c.has_rank(0) || !c.has_rank(1)) return c.set(0, Type::tensor(c.elem_type(0)));
  if (c.rank(0) != c.rank(1)) c.fail("input has rank " + std::to_string(c.rank(0)) + ", but the weight has " + std::to_string(c.rank(1)));
  for (const size_t i : {2, 4}) {
    if (c.has_input(i) && c.has_rank(i) && c.rank(i) != c.rank(0)) c.fail("offset and mask have another rank than the input");
  }
  check_channels(c, c.node().get<int64_t>("group", 1), offset_groups(c.node()));
  SymbolicDims dims(c.dims(0).size());
  dims[0] = c.dims(0)[0];
  dims[1] = c.dims(1)[0];
  if (c.has_input(3) && c.has_rank(3) && c.dims(3)[0].known() && dims[1].known() && !(c.dims(3)[0] == dims[1])) {
    c.fail("bias has " + c.dims(3)[0].str() + " elements, expected " + dims[1].str());
  }
  const auto kernel = to_known(SymbolicDims(c.dims(1).begin() + 2, c.dims(1).end()));
  if (kernel) {
    const Window window = read_window(c.node(), dims.size() - 2, kernel);
    const int64_t taps = checked_mul(element_count(*kernel), offset_groups(c.node())), rank = c.rank(0) - 2;
    check_axis(c, 2, Dim(checked_mul(taps, rank)), "offset");
    check_axis(c, 4, Dim(taps), "mask");
    for (size_t i = 0; i + 2 < dims.size(); ++i) {
      Dim& size = dims[i + 2] = output_size(window, i, c.dims(0)[i + 2]);
      if (size.known() && size.value() < 1) c.fail("input " + to_string(c.dims(0)) + " is smaller than the window " + to_string(window.kernel));
      for (const size_t other : {2, 4}) {
        const bool wrong = c.has_input(other) && c.has_rank(other) && c.dims(other)[i + 2].known() && size.known() && !(c.dims(other)[i + 2] == size);
        if (wrong) c.fail("offset or mask is " + to_string(c.dims(other)) + ", expected " + size.str() + " along axis " + std::to_string(i + 2));
      }
    }
  }
  c.set(0, c.elem_type(0), std::move(dims));
}

/// The inputs in double, and where each tap of each output position reads.
struct Deformed {
  Window window;
  Dims in, out;
  int64_t n, c, m, group, offset_group, in_size, out_size, taps;
  std::vector<double> x, w, offset, mask;
  GridSampler sampler;

  Deformed(const Node& node, const Tensor& tx, const Tensor& tw, const Tensor& toffset, const Tensor* tmask)
      : in(tx.dims().begin() + 2, tx.dims().end()), out(toffset.dims().begin() + 2, toffset.dims().end()) {
    const Dims kernel(tw.dims().begin() + 2, tw.dims().end());
    window = resolve(read_window(node, in.size(), kernel), in);
    n = tx.dims()[0], c = tx.dims()[1], m = tw.dims()[0];
    group = node.get<int64_t>("group", 1);
    offset_group = offset_groups(node);
    in_size = element_count(in), out_size = element_count(out), taps = element_count(kernel);
    x = tx.to_doubles(), w = tw.to_doubles(), offset = toffset.to_doubles();
    if (tmask) mask = tmask->to_doubles();
    sampler.align_corners = true;  // positions in elements; zeros beyond
    const int64_t read = checked_mul(checked_mul(n * offset_group, taps), out_size);
    if (toffset.size() != read * static_cast<int64_t>(in.size()) || (tmask && tmask->size() != read)) {
      throw Error(ErrorKind::bad_data, node.where() + ": offset " + to_string(toffset.dims()) + " or its mask does not fit the window");
    }
  }

  size_t rank() const { return in.size(); }
  int64_t channels_each() const { return c / offset_group; }
  /// Element of `offset` for one axis of one tap.
  size_t offset_at(int64_t image, int64_t g, int64_t tap, size_t axis, int64_t position) const {
    const auto r = static_cast<int64_t>(rank());
    return static_cast<size_t>((((image * offset_group + g) * taps + tap) * r + static_cast<int64_t>(axis)) * out_size + position);
  }
  size_t mask_at(int64_t image, int64_t g, int64_t tap, int64_t position) const {
    return static_cast<size_t>(((image * offset_group + g) * taps + tap) * out_size + position);
  }
  double mask_of(int64_t image, int64_t g, int64_t tap, int64_t position) const {
    return mask.empty() ? 1.0 : mask[mask_at(image, g, tap, position)];
  }

  void read(int64_t image, int64_t g, int64_t tap, int64_t position, std::vector<SamplePoint>& axes, std::vector<SampleTap>& result,
            std::vector<double>* slopes = nullptr) const {
    axes.assign(rank(), {});
    int64_t rest = position, k = tap;
    for (size_t i = rank(); i-- > 0; rest /= out[i], k /= window.kernel[i]) {
      const int64_t base = rest % out[i] * window.strides[i] - window.pads_begin[i] + k % window.kernel[i] * window.dilations[i];
      axes[i] = sampler.at_position(static_cast<double>(base) + offset[offset_at(image, g, tap, i, position)], in[i], 1.0);
    }
    combine(axes, in, result, slopes);
  }

  /// Columns [C * taps] of one position: what each channel reads at each tap, mask included where asked.
  void columns(int64_t image, int64_t position, bool masked, std::vector<double>& result) const {
    std::vector<SamplePoint> axes;
    std::vector<SampleTap> reads;
    result.assign(static_cast<size_t>(c * taps), 0.0);
    for (int64_t g = 0; g < offset_group; ++g) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        read(image, g, tap, position, axes, reads);
        const double factor = masked ? mask_of(image, g, tap, position) : 1.0;
        for (int64_t channel = g * channels_each(); channel < (g + 1) * channels_each(); ++channel) {
          const double* plane = x.data() + (image * c + channel) * in_size;
          double sum = 0;
          for (const SampleTap& at : reads) sum += at.weight * plane[at.offset];
          result[static_cast<size_t>(channel * taps + tap)] = sum * factor;
        }
      }
    }
  }

  /// First column of the group of output channel o, and the number of columns it reads.
  int64_t first_column(int64_t o) const { return o / (m / group) * row(); }
  int64_t row() const { return c / group * taps; }
};

void evaluate(EvaluateContext& c) {
  const Deformed d(c.node(), c.input(0), c.input(1), c.input(2), c.has_input(4) ? &c.input(4) : nullptr);
  const auto bias = c.has_input(3) ? c.input(3).to_doubles() : std::vector<double>(static_cast<size_t>(d.m), 0.0);
  Dims dims = {d.n, d.m};
  dims.insert(dims.end(), d.out.begin(), d.out.end());
  Tensor y(DataType::float64, dims);
  const auto out = y.mutable_data<double>();
  parallel_for(d.n * d.out_size, 16, [&](int64_t begin, int64_t end) {
    std::vector<double> columns;
    for (int64_t p = begin; p < end; ++p) {
      const int64_t image = p / d.out_size, position = p % d.out_size;
      d.columns(image, position, true, columns);
      for (int64_t o = 0; o < d.m; ++o) {
        double sum = bias[static_cast<size_t>(o)];
        for (int64_t k = 0; k < d.row(); ++k) sum += d.w[static_cast<size_t>(o * d.row() + k)] * columns[static_cast<size_t>(d.first_column(o) + k)];
        out[(image * d.m + o) * d.out_size + position] = sum;
      }
    }
  });
  c.set(0, y.cast(c.input(0).type()));
}

/// DeformConvGrad(dy, x, w, offset, mask) -> dx, dw, doffset, dmask.
void infer_grad(InferContext& c) {
  c.require_inputs(4, 5);
  for (const size_t i : {0, 1, 2, 3}) {
    if (c.has_output(i)) c.set(i, c.type(i + 1));
  }
}

/// Gradients of the columns: W^T dy.
std::vector<double> column_gradients(const Deformed& d, const std::vector<double>& dy, int64_t image, int64_t position) {
  std::vector<double> result(static_cast<size_t>(d.c * d.taps), 0.0);
  for (int64_t o = 0; o < d.m; ++o) {
    const double g = dy[static_cast<size_t>((image * d.m + o) * d.out_size + position)];
    for (int64_t k = 0; k < d.row(); ++k) result[static_cast<size_t>(d.first_column(o) + k)] += g * d.w[static_cast<size_t>(o * d.row() + k)];
  }
  return result;
}

struct DeformGradients {
  std::vector<double> x, w, offset, mask;
};

/// One position's share: of images apart, so that they run side by side; `w` is the image's own.
void add_position(const Deformed& d, const std::vector<double>& dy, int64_t image, int64_t position, DeformGradients& sum, std::vector<double>& w) {
  std::vector<double> columns;
  d.columns(image, position, true, columns);
  for (int64_t o = 0; o < d.m; ++o) {
    const double g = dy[static_cast<size_t>((image * d.m + o) * d.out_size + position)];
    for (int64_t k = 0; k < d.row(); ++k) w[static_cast<size_t>(o * d.row() + k)] += g * columns[static_cast<size_t>(d.first_column(o) + k)];
  }
  const std::vector<double> grads = column_gradients(d, dy, image, position);
  std::vector<SamplePoint> axes;
  std::vector<SampleTap> reads;
  std::vector<double> slopes;
  for (int64_t g = 0; g < d.offset_group; ++g) {
    for (int64_t tap = 0; tap < d.taps; ++tap) {
      d.read(image, g, tap, position, axes, reads, &slopes);
      const double factor = d.mask_of(image, g, tap, position);
      for (int64_t channel = g * d.channels_each(); channel < (g + 1) * d.channels_each(); ++channel) {
        const double grad = grads[static_cast<size_t>(channel * d.taps + tap)];
        const auto plane = static_cast<size_t>((image * d.c + channel) * d.in_size);
        for (size_t k = 0; k < reads.size(); ++k) {
          const size_t at = plane + static_cast<size_t>(reads[k].offset);
          sum.x[at] += grad * factor * reads[k].weight;
          if (!d.mask.empty()) sum.mask[d.mask_at(image, g, tap, position)] += grad * reads[k].weight * d.x[at];
          for (size_t i = 0; i < d.rank(); ++i) {
            sum.offset[d.offset_at(image, g, tap, i, position)] += grad * factor * slopes[k * d.rank() + i] * d.x[at];
          }
        }
      }
    }
  }
}

void evaluate_grad(EvaluateContext& c) {
  const Deformed d(c.node(), c.input(1), c.input(2), c.input(3), c.has_input(4) ? &c.input(4) : nullptr);
  const auto dy = c.input(0).to_doubles();
  DeformGradients sum{std::vector<double>(d.x.size()), std::vector<double>(d.w.size()), std::vector<double>(d.offset.size()), std::vector<double>(d.mask.size())};
  std::vector<std::vector<double>> of_images(static_cast<size_t>(d.n), std::vector<double>(d.w.size()));
  parallel_for(d.n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t image = begin; image < end; ++image) {
      for (int64_t p = 0; p < d.out_size; ++p) add_position(d, dy, image, p, sum, of_images[static_cast<size_t>(image)]);
    }
  });
  for (const auto& own : of_images) {
    for (size_t i = 0; i < own.size(); ++i) sum.w[i] += own[i];
  }
  const std::vector<double>* grads[] = {&sum.x, &sum.w, &sum.offset, &sum.mask};
  for (size_t i = 0; i < 4; ++i) {
    if (c.has_output(i)) c.set(i, Tensor::of<double>(c.input(i + 1).dims(), *grads[i]).cast(c.input(i + 1).type()));
  }
}

void gradient(GradientContext& c) {
  const ValueId dy = c.grad_output();
  if (c.wants(0) || c.wants(1) || c.wants(2) || c.wants(4)) {
    const bool masked = c.input(4) != kNone;
    const auto grads = c.add_many("DeformConvGrad", {dy, c.input(0), c.input(1), c.input(2), c.input(4)}, masked ? 4 : 3, c.node().attributes);
    for (const size_t i : {0, 1, 2}) {
      if (c.wants(i)) c.set_grad(i, grads[i]);
    }
    if (masked && c.wants(4)) c.set_grad(4, grads[3]);
  }
  if (!c.wants(3)) return;
  const Type& type = c.type(c.output());
  if (!type.has_rank()) c.fail("cannot be differentiated: the rank of its output is not known");
  c.set_grad(3, c.add("ReduceSum", {dy, integers(c, channel_sum_axes(type.rank()))}, {{"keepdims", int64_t{0}, {}}}));
}

Cost cost(const InferContext& c) {
  const auto w = c.type(1).known_dims();
  const int64_t out = known_elements(c.output(0).type);
  const int64_t macs = w && (*w)[0] > 0 ? checked_mul(out, element_count(*w) / (*w)[0]) : 0;
  return {.macs = macs, .flops = checked_add(checked_mul(2, macs), c.has_input(3) ? out : 0), .bytes = known_traffic(c)};
}

std::vector<int> parameters(const Node&) { return {1, 3}; }

}  // namespace

extern const Op deform_conv;
const Op deform_conv = {
    .name = "DeformConv",
    .since = 19,
    .infer = infer,
    .evaluate = evaluate,
    .gradient = gradient,
    .units = units::conv,
    .cut = cuts::conv,
    .cost = cost,
    .parameters = parameters,
};

/// DeformConvGrad(dy, x, w, offset, mask) -> dx, dw, doffset, dmask (where there is a mask), with DeformConv's attributes.
extern const Op deform_conv_grad;
const Op deform_conv_grad = {
    .name = "DeformConvGrad",
    .domain = kInternalDomain,
    .infer = infer_grad,
    .evaluate = evaluate_grad,
};

}  // namespace espalier::ops
