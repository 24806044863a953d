#include "lib/kernels/depthwise.h"

#include <algorithm>
#include <array>

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/kernels/depthwise_loops.h"
#include "lib/kernels/dnnl_api.h"
#include "lib/kernels/vector_loops.h"

namespace espalier {
namespace {

using Axes = std::array<int64_t, 3>;

/// Per spatial axis, ones in front where there are fewer than three.
Axes axes(const Dims& values, size_t from, int64_t fill) {
  Axes result;
  result.fill(fill);
  for (size_t to = result.size(), at = values.size(); to > 0 && at > from;) result[--to] = values[--at];
  return result;
}

/// What the three kernels share: sizes, and the rows of source and result that meet.
class Depthwise : public Kernel {
 public:
  Depthwise(const ConvProblem& p, int64_t block)
      : in_(axes(p.src, 2, 1)), out_(axes(p.dst, 2, 1)), kernel_(axes(p.weights, 2, 1)), strides_(axes(p.strides, 0, 1)),
        dilations_(axes(p.dilations, 0, 1)), pads_(axes(p.pads_begin, 0, 0)), c_{p.src[0], (p.src[1] + block - 1) / block, block, p.src[1]}, loops_(depthwise_loops()) {
    row_ = {in_[2], out_[2], kernel_[2], strides_[2], dilations_[2], pads_[2], c_.block, padded()};
  }

  int64_t padded() const { return c_.blocks * c_.block; }
  int64_t taps() const { return kernel_[0] * kernel_[1] * kernel_[2]; }

 protected:
  int64_t planes() const { return c_.batch * c_.blocks; }
  int64_t channel_of(int64_t plane) const { return plane % c_.blocks * c_.block; }
  int64_t in_row(int64_t plane, int64_t d, int64_t h) const { return ((plane * in_[0] + d) * in_[1] + h) * in_[2] * c_.block; }
  int64_t out_row(int64_t plane, int64_t d, int64_t h) const { return ((plane * out_[0] + d) * out_[1] + h) * out_[2] * c_.block; }
  /// Where the source's row lies that tap k of an axis meets; may be outside.
  int64_t meets(size_t axis, int64_t o, int64_t k) const { return o * strides_[axis] - pads_[axis] + k * dilations_[axis]; }
  bool inside(size_t axis, int64_t i) const { return i >= 0 && i < in_[axis]; }
  /// The result's row that meets source row i in tap k, or -1.
  int64_t met_by(size_t axis, int64_t i, int64_t k) const {
    const int64_t o = i + pads_[axis] - k * dilations_[axis];
    return o >= 0 && o % strides_[axis] == 0 && o / strides_[axis] < out_[axis] ? o / strides_[axis] : -1;
  }

  /// Weights [C, taps] as [taps, padded C].
  void turn_weights(const float* weights, float* turned) const {
    for (int64_t k = 0; k < taps(); ++k) {
      for (int64_t c = 0; c < c_.channels; ++c) turned[k * padded() + c] = weights[c * taps() + k];
      std::fill(turned + k * padded() + c_.channels, turned + (k + 1) * padded(), 0.0f);
    }
  }

  template <class Body>
  void for_rows(const Axes& sizes, Body&& body) {
    const int64_t per_plane = sizes[0] * sizes[1];
    parallel_for(planes() * per_plane, 1, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) body(i / per_plane, i % per_plane / sizes[1], i % sizes[1]);
    });
  }

  Axes in_, out_, kernel_, strides_, dilations_, pads_;
  struct {
    int64_t batch, blocks, block, channels;
  } c_;
  DepthwiseRow row_;
  const DepthwiseLoops& loops_;
};

class Forward : public Depthwise {
 public:
  Forward(const ConvProblem& p, int64_t block) : Depthwise(p, block), bias_given_(p.bias), residual_(p.residual) {
    for (const ElementOp& op : p.activations) activations_.push_back({op, 0, 0, 0});
  }

  void bind(std::span<void* const> args) override {
    auto take = [&, i = size_t{0}]() mutable { return static_cast<float*>(args[i++]); };
    x_ = take(), weights_ = take();
    if (bias_given_) bias_ = take();
    y_ = take(), turned_ = take();
  }

  void run() override {
    turn_weights(weights_, turned_);
    float* start = turned_ + taps() * padded();
    std::fill_n(start, padded(), 0.0f);
    if (bias_) std::copy_n(bias_, c_.channels, start);
    for_rows(out_, [&](int64_t plane, int64_t d, int64_t h) { fill_row(plane, d, h, start + channel_of(plane)); });
  }

 private:
  void fill_row(int64_t plane, int64_t d, int64_t h, const float* start) {
    float* y = y_ + out_row(plane, d, h);
    const int64_t size = out_[2] * c_.block;
    for (int64_t i = 0; i < size; i += c_.block) {
      for (int64_t l = 0; l < c_.block; ++l) y[i + l] = start[l] + (residual_ ? y[i + l] : 0);
    }
    for (int64_t kd = 0; kd < kernel_[0]; ++kd) {
      for (int64_t kh = 0; kh < kernel_[1]; ++kh) {
        const int64_t at_d = meets(0, d, kd), at_h = meets(1, h, kh);
        if (!inside(0, at_d) || !inside(1, at_h)) continue;
        const float* w = turned_ + (kd * kernel_[1] + kh) * kernel_[2] * padded() + channel_of(plane);
        loops_.correlate(x_ + in_row(plane, at_d, at_h), w, y, row_);
      }
    }
    if (activations_.empty()) return;
    float* const registers[] = {y};
    vector_loops().element_steps(activations_.data(), static_cast<int>(activations_.size()), registers, size);
    const int64_t used = std::min(c_.block, c_.channels - channel_of(plane));
    for (int64_t i = 0; used < c_.block && i < size; i += c_.block) std::fill(y + i + used, y + i + c_.block, 0.0f);
  }

  bool bias_given_, residual_;
  std::vector<ElementStep> activations_;
  const float *x_ = nullptr, *weights_ = nullptr, *bias_ = nullptr;
  float *y_ = nullptr, *turned_ = nullptr;
};

class BackwardData : public Depthwise {
 public:
  using Depthwise::Depthwise;

  void bind(std::span<void* const> args) override {
    dy_ = static_cast<const float*>(args[0]), weights_ = static_cast<const float*>(args[1]);
    dx_ = static_cast<float*>(args[2]), turned_ = static_cast<float*>(args[3]);
  }

  void run() override {
    turn_weights(weights_, turned_);
    // With a stride of 1 the transposed map is a convolution with the kernel turned round.
    const DepthwiseRow turned = {row_.out, row_.in, row_.kernel, 1, -row_.dilation, -row_.pad, row_.block, row_.tap};
    for_rows(in_, [&](int64_t plane, int64_t d, int64_t h) {
      float* dx = dx_ + in_row(plane, d, h);
      std::fill_n(dx, in_[2] * c_.block, 0.0f);
      for (int64_t kd = 0; kd < kernel_[0]; ++kd) {
        for (int64_t kh = 0; kh < kernel_[1]; ++kh) {
          const int64_t from_d = met_by(0, d, kd), from_h = met_by(1, h, kh);
          if (from_d < 0 || from_h < 0) continue;
          const float* w = turned_ + (kd * kernel_[1] + kh) * kernel_[2] * padded() + channel_of(plane);
          const float* dy = dy_ + out_row(plane, from_d, from_h);
          if (row_.stride == 1) loops_.correlate(dy, w, dx, turned);
          else loops_.spread(dy, w, dx, row_);
        }
      }
    });
  }

 private:
  const float *dy_ = nullptr, *weights_ = nullptr;
  float *dx_ = nullptr, *turned_ = nullptr;
};

class BackwardWeights : public Depthwise {
 public:
  BackwardWeights(const ConvProblem& p, int64_t block) : Depthwise(p, block), bias_(p.bias) {}

  void bind(std::span<void* const> args) override {
    x_ = static_cast<const float*>(args[0]), dy_ = static_cast<const float*>(args[1]);
    dw_ = static_cast<float*>(args[2]);
    if (bias_) db_ = static_cast<float*>(args[3]);
    sums_ = static_cast<double*>(args[bias_ ? 4 : 3]);
  }

  void run() override {
    const int64_t rows = kernel_[0] * kernel_[1], count = taps() * padded();
    std::fill_n(sums_, count + padded(), 0.0);
    // A piece owns its block of channels and its row of taps: no sums of pieces, whatever the number of threads.
    parallel_for(c_.blocks * (rows + (bias_ ? 1 : 0)), 1, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        if (i < c_.blocks * rows) sum_products(i % c_.blocks, i / c_.blocks);
        else sum_bias(i % c_.blocks);
      }
    });
    for (int64_t k = 0; k < taps(); ++k) {
      for (int64_t c = 0; c < c_.channels; ++c) dw_[c * taps() + k] = static_cast<float>(sums_[k * padded() + c]);
    }
    for (int64_t c = 0; bias_ && c < c_.channels; ++c) db_[c] = static_cast<float>(sums_[count + c]);
  }

 private:
  void sum_products(int64_t block, int64_t kernel_row) {
    double* sums = sums_ + kernel_row * kernel_[2] * padded() + block * c_.block;
    for (int64_t n = 0; n < c_.batch; ++n) {
      const int64_t plane = n * c_.blocks + block;
      for (int64_t d = 0; d < out_[0]; ++d) {
        for (int64_t h = 0; h < out_[1]; ++h) {
          const int64_t at_d = meets(0, d, kernel_row / kernel_[1]), at_h = meets(1, h, kernel_row % kernel_[1]);
          if (!inside(0, at_d) || !inside(1, at_h)) continue;
          loops_.products(x_ + in_row(plane, at_d, at_h), dy_ + out_row(plane, d, h), sums, row_);
        }
      }
    }
  }

  void sum_bias(int64_t block) {
    double* sums = sums_ + taps() * padded() + block * c_.block;
    const int64_t size = out_[0] * out_[1] * out_[2] * c_.block;
    for (int64_t n = 0; n < c_.batch; ++n) {
      const float* dy = dy_ + (n * c_.blocks + block) * size;
      for (int64_t i = 0; i < size; i += c_.block) {
        for (int64_t l = 0; l < c_.block; ++l) sums[l] += dy[i + l];
      }
    }
  }

  bool bias_;
  const float *x_ = nullptr, *dy_ = nullptr;
  float *dw_ = nullptr, *db_ = nullptr;
  double* sums_ = nullptr;
};

/// How both images lie: channels in blocks, or last. A layout of one position does not tell, so it is said apart.
struct Form {
  int64_t block;  ///< 8, 16, or all channels
  bool last;

  Layout of(const Dims& dims) const {
    using Tag = dnnl_api::Tag;
    constexpr Tag kTags[3][3] = {{Tag::nCw8c, Tag::nChw8c, Tag::nCdhw8c},
                                 {Tag::nCw16c, Tag::nChw16c, Tag::nCdhw16c},
                                 {Tag::nwc, Tag::nhwc, Tag::ndhwc}};
    const Tag tag = kTags[last ? 2 : block == 16 ? 1 : 0][dims.size() - 3];
    return dnnl_api::to_layout(dnnl_api::Desc(dims, dnnl::memory::data_type::f32, tag));
  }
};

/// As the first of the images lies that has its channels so, else in blocks of this machine's registers.
Form choose_form(std::initializer_list<const Layout*> images) {
  for (const Layout* image : images) {
    if (!image->defined() || image->is_plain() || !image->channels()) continue;
    const Layout::Channels c = *image->channels();
    if (c.blocks == 1 && c.block == c.channels && c.block >= 8) return {c.block, true};
    if (c.block == 8 || c.block == 16) return {c.block, false};
  }
  return {&vector_loops() == &kLoopsAvx512 ? 16 : 8, false};
}

template <class Made>
Primitive primitive(const ConvProblem& p, const Form& form, std::vector<Layout> args, size_t element) {
  auto kernel = std::make_unique<Made>(p, form.block);
  Primitive result;
  result.args = std::move(args);
  result.scratch_bytes = static_cast<size_t>((kernel->taps() + 1) * kernel->padded()) * element;
  result.implementation = "depthwise";
  result.kernel = std::move(kernel);
  return result;
}

Layout plain(Dims dims) { return Layout::plain(DataType::float32, std::move(dims)); }

}  // namespace

bool is_depthwise(const ConvProblem& p) {
  return p.group > 1 && p.group == p.src[1] && p.group == p.dst[1] && p.src.size() >= 3 && p.src.size() <= 5;
}

Primitive depthwise_forward(const ConvProblem& p, const Layout& src) {
  const Form form = choose_form({&src});
  std::vector<Layout> args = {form.of(p.src), plain(p.weights)};
  if (p.bias) args.push_back(plain({p.weights[0]}));
  args.push_back(form.of(p.dst));
  return primitive<Forward>(p, form, std::move(args), sizeof(float));
}

Primitive depthwise_backward_data(const ConvProblem& p, const Layout& diff_dst, const Layout& diff_src) {
  const Form form = choose_form({&diff_src, &diff_dst});
  return primitive<BackwardData>(p, form, {form.of(p.dst), plain(p.weights), form.of(p.src)}, sizeof(float));
}

Primitive depthwise_backward_weights(const ConvProblem& p, const Layout& src, const Layout& diff_dst) {
  const Form form = choose_form({&src, &diff_dst});
  std::vector<Layout> args = {form.of(p.src), form.of(p.dst), plain(p.weights)};
  if (p.bias) args.push_back(plain({p.weights[0]}));
  return primitive<BackwardWeights>(p, form, std::move(args), sizeof(double));
}

}  // namespace espalier
