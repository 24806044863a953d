#include "lib/kernels/conv.h"

#include <optional>

#include "lib/base/error.h"
#include "lib/kernels/depthwise.h"
#include "lib/kernels/dnnl_api.h"

namespace espalier {
namespace {

using namespace dnnl_api;
using dnnl::convolution_backward_data;
using dnnl::convolution_backward_weights;
using dnnl::convolution_forward;

constexpr auto kAlgorithm = dnnl::algorithm::convolution_direct;

/// oneDNN counts dilation from 0 and has an axis for groups.
Dims dilations(const ConvProblem& p) {
  Dims result = p.dilations;
  for (int64_t& d : result) --d;
  return result;
}

Dims grouped(const ConvProblem& p) {
  if (p.group == 1) return p.weights;
  Dims result = {p.group, p.weights[0] / p.group};
  result.insert(result.end(), p.weights.begin() + 1, p.weights.end());
  return result;
}

Desc bias_desc(const ConvProblem& p) { return plain_desc(DataType::float32, {p.weights[0]}); }
Desc wanted(const Layout& layout, const Dims& dims) {
  if (layout.is_plain()) return plain_desc(DataType::float32, dims);
  return layout.impl().desc;
}

bool adds_bias_last(const ConvProblem& p) { return p.bias && p.bias_last && !p.residual && !p.training; }

/// The bias along the channels of the result.
Desc channel_desc(const ConvProblem& p) {
  Dims dims(p.dst.size(), 1);
  dims[1] = p.dst[1];
  return plain_desc(DataType::float32, dims);
}

auto forward_desc(const ConvProblem& p, const Desc& src) {
  const auto kind = p.training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
  const Desc addend = channel_desc(p);
  const auto attr = fused_attr(p.residual, p.activations, 1, adds_bias_last(p) ? &addend : nullptr);
  const Desc weights = any(DataType::float32, grouped(p)), dst = any(DataType::float32, p.dst);
  auto pd = p.bias && !adds_bias_last(p)
                ? forward_pd<convolution_forward>(attr, kind, kAlgorithm, src, weights, bias_desc(p), dst, p.strides, dilations(p),
                                                  p.pads_begin, p.pads_end)
                : forward_pd<convolution_forward>(attr, kind, kAlgorithm, src, weights, dst, p.strides, dilations(p), p.pads_begin,
                                                  p.pads_end);
  // oneDNN 3.7's brgemm is wrong on strides of an axis that ends with one place.
  const bool strides_nowhere = kVersion3 && p.dst.back() == 1 && p.strides.back() > 1;
  while (strides_nowhere && std::string(pd.impl_info_str()).rfind("brg", 0) == 0 && pd.next_impl()) {
  }
  return pd;
}

/// What is fast on the input as it lies, or else in a layout of its own choice.
auto chosen_desc(const ConvProblem& p, const Layout& src) {
  auto pd = forward_desc(p, any(DataType::float32, p.src));
  if (!(to_layout(pd.src_desc()) == src) && src.dims() == p.src) {
    try {
      auto pinned = forward_desc(p, wanted(src, p.src));
      if (!is_slow(pinned.impl_info_str()) || is_slow(pd.impl_info_str())) pd = pinned;
    } catch (const dnnl::error&) {
      // no implementation takes it as it lies: reordered by the caller
    }
  }
  return pd;
}

}  // namespace

Primitive conv_forward(const ConvProblem& problem, const Layout& src) {
  ConvProblem p = problem;
  return guarded("a convolution", [&] {
    std::optional<convolution_forward::primitive_desc> found;
    if (adds_bias_last(p)) {
      try {
        found = chosen_desc(p, src);
      } catch (const dnnl::error&) {
        // no implementation adds it last
      }
      p.bias_last = found && !is_slow(found->impl_info_str());
    }
    if (!adds_bias_last(p)) found = chosen_desc(p, src);
    const auto& pd = *found;
    if (is_slow(pd.impl_info_str()) && is_depthwise(p)) {
      Primitive result = depthwise_forward(p, src);
      result.hint = std::make_shared<convolution_forward::primitive_desc>(pd);
      return result;
    }
    std::vector<std::pair<int, Desc>> args = {{DNNL_ARG_SRC, pd.src_desc()}, {DNNL_ARG_WEIGHTS, pd.weights_desc()}};
    if (adds_bias_last(p)) args.emplace_back(DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, channel_desc(p));
    else if (p.bias) args.emplace_back(DNNL_ARG_BIAS, pd.bias_desc());
    args.emplace_back(DNNL_ARG_DST, pd.dst_desc());
    Primitive result = make_primitive(convolution_forward(pd), args, pd.scratchpad_desc(), pd.impl_info_str());
    if (p.bias) result.args[2] = to_layout(bias_desc(p));
    result.hint = std::make_shared<convolution_forward::primitive_desc>(pd);
    return result;
  });
}

ForwardHint conv_hint(const ConvProblem& problem) {
  ConvProblem p = problem;
  p.training = true;
  return guarded("a transposed convolution", [&] {
    return std::make_shared<convolution_forward::primitive_desc>(forward_desc(p, any(DataType::float32, p.src)));
  });
}

Primitive conv_backward_data(const ConvProblem& p, const ForwardHint& forward, const Layout& diff_dst,
                             const Layout& diff_src) {
  return guarded("a convolution's gradient", [&] {
    const auto& hint = *static_cast<const convolution_forward::primitive_desc*>(forward.get());
    const auto make = [&](const Desc& to, const Desc& from) {
      return backward_pd<convolution_backward_data>(base_attr(), hint, kAlgorithm, to,
                                                    any(DataType::float32, grouped(p)), from, p.strides, dilations(p),
                                                    p.pads_begin, p.pads_end);
    };
    auto pd = make(any(DataType::float32, p.src), any(DataType::float32, p.dst));
    const bool free = !diff_src.defined();
    if ((!free && !(to_layout(pd.diff_src_desc()) == diff_src)) || !(to_layout(pd.diff_dst_desc()) == diff_dst)) {
      try {
        auto pinned = make(free ? any(DataType::float32, p.src) : wanted(diff_src, p.src), wanted(diff_dst, p.dst));
        if (!is_slow(pinned.impl_info_str()) || is_slow(pd.impl_info_str())) pd = pinned;
      } catch (const dnnl::error&) {
      }
    }
    if (is_slow(pd.impl_info_str()) && is_depthwise(p)) return depthwise_backward_data(p, diff_dst, diff_src);
    return make_primitive(convolution_backward_data(pd),
                          {{DNNL_ARG_DIFF_DST, pd.diff_dst_desc()},
                           {DNNL_ARG_WEIGHTS, pd.weights_desc()},
                           {DNNL_ARG_DIFF_SRC, pd.diff_src_desc()}},
                          pd.scratchpad_desc(), pd.impl_info_str());
  });
}

Primitive conv_backward_weights(const ConvProblem& p, const ForwardHint& forward, const Layout& src,
                                const Layout& diff_dst) {
  return guarded("a convolution's weight gradient", [&] {
    const auto& hint = *static_cast<const convolution_forward::primitive_desc*>(forward.get());
    const auto make = [&](const Desc& from, const Desc& diff) {
      const Desc weights = any(DataType::float32, grouped(p));
      return p.bias ? backward_pd<convolution_backward_weights>(base_attr(), hint, kAlgorithm, from, weights, bias_desc(p),
                                                                diff, p.strides, dilations(p), p.pads_begin, p.pads_end)
                    : backward_pd<convolution_backward_weights>(base_attr(), hint, kAlgorithm, from, weights, diff,
                                                                p.strides, dilations(p), p.pads_begin, p.pads_end);
    };
    auto pd = make(any(DataType::float32, p.src), any(DataType::float32, p.dst));
    if (!(to_layout(pd.src_desc()) == src) || !(to_layout(pd.diff_dst_desc()) == diff_dst)) {
      try {
        auto pinned = make(wanted(src, p.src), wanted(diff_dst, p.dst));
        if (!is_slow(pinned.impl_info_str()) || is_slow(pd.impl_info_str())) pd = pinned;
      } catch (const dnnl::error&) {
      }
    }
    if (is_slow(pd.impl_info_str()) && is_depthwise(p)) return depthwise_backward_weights(p, src, diff_dst);
    std::vector<std::pair<int, Desc>> args = {{DNNL_ARG_SRC, pd.src_desc()},
                                              {DNNL_ARG_DIFF_DST, pd.diff_dst_desc()},
                                              {DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc()}};
    if (p.bias) args.emplace_back(DNNL_ARG_DIFF_BIAS, pd.diff_bias_desc());
    return make_primitive(convolution_backward_weights(pd), args, pd.scratchpad_desc(), pd.impl_info_str());
  });
}

}  // namespace espalier
