#include "lib/kernels/lrn.h"

#include "lib/kernels/dnnl_api.h"

namespace espalier {

Primitive lrn(const LrnProblem& p, const Layout& layout) {
  using namespace dnnl_api;
  return guarded("a local response normalisation", [&] {
    const Desc desc = layout.is_plain() ? plain_desc(layout.type(), layout.dims()) : layout.impl().desc;
    const auto kind = dnnl::prop_kind::forward_inference;
    const auto across = dnnl::algorithm::lrn_across_channels;
#if DNNL_VERSION_MAJOR >= 3
    const auto pd = forward_pd<dnnl::lrn_forward>(base_attr(), kind, across, desc, desc, p.size, p.alpha, p.beta, p.bias);
#else
    const auto pd = forward_pd<dnnl::lrn_forward>(base_attr(), kind, across, desc, p.size, p.alpha, p.beta, p.bias);
#endif
    return make_primitive(dnnl::lrn_forward(pd), {{DNNL_ARG_SRC, desc}, {DNNL_ARG_DST, desc}}, pd.scratchpad_desc(),
                          pd.impl_info_str());
  });
}

}  // namespace espalier
