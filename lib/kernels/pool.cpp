#include "lib/kernels/pool.h"

#include "lib/base/error.h"
#include "lib/base/parallel.h"
#include "lib/kernels/dnnl_api.h"

namespace espalier {
namespace {

using namespace dnnl_api;
using Forward = dnnl::pooling_forward;
using Backward = dnnl::pooling_backward;

dnnl::algorithm algorithm(PoolKind kind) {
  switch (kind) {
    case PoolKind::max: return dnnl::algorithm::pooling_max;
    case PoolKind::average: return dnnl::algorithm::pooling_avg_exclude_padding;
    case PoolKind::average_with_padding: return dnnl::algorithm::pooling_avg_include_padding;
  }
  throw Error(ErrorKind::internal, "a pooling of no kind");
}

Desc pinned(const Layout& layout, const Dims& dims) {
  return layout.is_plain() ? plain_desc(DataType::float32, dims) : layout.impl().desc;
}

bool has_workspace(const PoolProblem& p) { return p.training && p.kind == PoolKind::max; }

}  // namespace

Primitive pool_forward(const PoolProblem& p, const Layout& src) {
  return guarded("a pooling", [&] {
    const auto kind = p.training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
    const Desc from = pinned(src, p.src), to = any(DataType::float32, p.dst);
#if DNNL_VERSION_MAJOR >= 3
    const Dims dilation(p.kernel.size(), 0);
    auto pd = forward_pd<Forward>(base_attr(), kind, algorithm(p.kind), from, to, p.strides, p.kernel, dilation,
                                  p.pads_begin, p.pads_end);
#else
    auto pd = forward_pd<Forward>(base_attr(), kind, algorithm(p.kind), from, to, p.strides, p.kernel, p.pads_begin,
                                  p.pads_end);
#endif
    std::vector<std::pair<int, Desc>> args = {{DNNL_ARG_SRC, pd.src_desc()}, {DNNL_ARG_DST, pd.dst_desc()}};
    if (has_workspace(p)) args.emplace_back(DNNL_ARG_WORKSPACE, pd.workspace_desc());
    Primitive result = make_primitive(Forward(pd), args, pd.scratchpad_desc(), pd.impl_info_str());
    result.hint = std::make_shared<Forward::primitive_desc>(pd);
    return result;
  });
}

Primitive pool_backward(const PoolProblem& p, const ForwardHint& forward, const Layout& src, const Layout& dst) {
  return guarded("a pooling's gradient", [&] {
    const auto& hint = *static_cast<const Forward::primitive_desc*>(forward.get());
    const Desc to = pinned(src, p.src), from = pinned(dst, p.dst);
#if DNNL_VERSION_MAJOR >= 3
    const Dims dilation(p.kernel.size(), 0);
    auto pd = backward_pd<Backward>(base_attr(), hint, algorithm(p.kind), to, from, p.strides, p.kernel, dilation,
                                    p.pads_begin, p.pads_end);
#else
    auto pd = backward_pd<Backward>(base_attr(), hint, algorithm(p.kind), to, from, p.strides, p.kernel, p.pads_begin,
                                    p.pads_end);
#endif
    std::vector<std::pair<int, Desc>> args = {{DNNL_ARG_DIFF_DST, from}, {DNNL_ARG_DIFF_SRC, to}};
    if (has_workspace(p)) args.emplace_back(DNNL_ARG_WORKSPACE, hint.workspace_desc());
    return make_primitive(Backward(pd), args, pd.scratchpad_desc(), pd.impl_info_str());
  });
}

namespace {

class GlobalAverageBackward : public Kernel {
 public:
  explicit GlobalAverageBackward(const Layout::Channels& channels) : c_(channels) {}

  void bind(std::span<void* const> args) override {
    from_ = static_cast<const float*>(args[0]);
    to_ = static_cast<float*>(args[1]);
  }

  void run() override {
    const float share = 1.0f / static_cast<float>(c_.inner);
    parallel_for(c_.batch * c_.blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float* from = from_ + row * c_.block;
        float* to = to_ + row * c_.inner * c_.block;
        for (int64_t i = 0; i < c_.inner; ++i, to += c_.block) {
          for (int64_t l = 0; l < c_.block; ++l) to[l] = from[l] * share;
        }
      }
    });
  }

 private:
  Layout::Channels c_;
  const float* from_ = nullptr;
  float* to_ = nullptr;
};

}  // namespace

std::unique_ptr<Kernel> global_average_backward(const Layout& layout) {
  const auto channels = layout.channels();
  check(channels.has_value(), "a layout with channels");
  return std::make_unique<GlobalAverageBackward>(*channels);
}

}  // namespace espalier
