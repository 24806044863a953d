#pragma once

// For lib/kernels only: the one place that knows which generation of oneDNN it is built against.

#include <oneapi/dnnl/dnnl.hpp>

#include <utility>
#include <vector>

#include "lib/base/error.h"
#include "lib/kernels/element.h"
#include "lib/kernels/kernel.h"

namespace espalier {

struct Layout::Impl {
  dnnl::memory::desc desc;
  DataType type;
  Dims dims;
  std::optional<Channels> channels;
  bool plain;
};

namespace dnnl_api {

inline constexpr bool kVersion3 = DNNL_VERSION_MAJOR >= 3;
using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;

const dnnl::engine& engine();
dnnl::stream& stream();

/// The forward primitive_desc of primitive P: P::desc arguments are the same in both generations but for their place.
template <class P, class... Args>
auto forward_pd(const dnnl::primitive_attr& attr, Args&&... args) {
#if DNNL_VERSION_MAJOR >= 3
  return typename P::primitive_desc(engine(), std::forward<Args>(args)..., attr);
#else
  return typename P::primitive_desc(typename P::desc(std::forward<Args>(args)...), attr, engine());
#endif
}

template <class P, class Hint, class... Args>
auto backward_pd(const dnnl::primitive_attr& attr, const Hint& hint, Args&&... args) {
#if DNNL_VERSION_MAJOR >= 3
  return typename P::primitive_desc(engine(), std::forward<Args>(args)..., hint, attr);
#else
  return typename P::primitive_desc(typename P::desc(std::forward<Args>(args)...), attr, engine(), hint);
#endif
}

/// Attributes that all our primitives share: the scratchpad is ours.
dnnl::primitive_attr base_attr();
/// The activations as post-ops, after `sum` (dst += result) where asked, and before all the addition of `addend`.
dnnl::primitive_attr fused_attr(bool residual, const std::vector<ElementOp>& activations, float scale = 1, const Desc* addend = nullptr);

Layout to_layout(const Desc& desc);
Desc any(DataType type, const Dims& dims);
Desc plain_desc(DataType type, const Dims& dims);
dnnl::memory::data_type to_dnnl(DataType type);

/// oneDNN's plain C++ loops and its im2col fallback: orders of magnitude slower than the generated code.
bool is_slow(const std::string& implementation);

/// Wraps a primitive; `args` in bind() order. Counts it.
Primitive make_primitive(const dnnl::primitive& primitive, std::vector<std::pair<int, Desc>> args,
                         const Desc& scratchpad, std::string implementation);

/// Runs `body`, turning dnnl::error into Error(internal) that names `what`.
template <class Body>
auto guarded(const char* what, Body&& body) {
  try {
    return body();
  } catch (const dnnl::error& e) {
    throw Error(ErrorKind::internal, std::string("oneDNN cannot build ") + what + ": " + e.what());
  }
}

}  // namespace dnnl_api
}  // namespace espalier
