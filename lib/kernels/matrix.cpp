#include "lib/kernels/matrix.h"

#include <numeric>

#include "lib/base/error.h"
#include "lib/kernels/dnnl_api.h"

namespace espalier {
namespace {

using namespace dnnl_api;
using dnnl::inner_product_backward_data;
using dnnl::inner_product_backward_weights;
using dnnl::inner_product_forward;
using P = InnerProductProblem;
using Forward = dnnl::inner_product_forward;

constexpr auto kFloat = DataType::float32;

Dims weight_dims(const P& p) {
  Dims dims = p.src;
  dims[0] = p.outputs();
  return dims;
}

/// oneDNN has O first; a matrix stored as [K, O] has it last.
Layout stored(const P& p, const Desc& desc) {
  if (!p.weights_transposed) return to_layout(desc);
  const int rank = static_cast<int>(p.src.size());
  std::vector<int> to(rank);
  for (int i = 0; i < rank; ++i) to[i] = (i + rank - 1) % rank;
  return to_layout(desc.permute_axes(to));
}

Desc src_desc(const Layout& layout) {
  return layout.is_plain() ? plain_desc(kFloat, layout.dims()) : layout.impl().desc;
}

Desc bias_desc(const P& p) { return plain_desc(kFloat, {p.outputs()}); }
Desc dst_desc(const P& p) { return plain_desc(kFloat, {p.src[0], p.outputs()}); }

}  // namespace

Primitive inner_product_forward(const P& p, const Layout& src) {
  return guarded("a fully connected layer", [&] {
    const auto kind = p.training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference;
    const auto attr = fused_attr(false, p.activations);
    const Desc weights = any(kFloat, weight_dims(p));
    auto pd = p.bias ? forward_pd<Forward>(attr, kind, src_desc(src), weights, bias_desc(p), dst_desc(p))
                     : forward_pd<Forward>(attr, kind, src_desc(src), weights, dst_desc(p));
    std::vector<std::pair<int, Desc>> args = {{DNNL_ARG_SRC, pd.src_desc()}, {DNNL_ARG_WEIGHTS, pd.weights_desc()}};
    if (p.bias) args.emplace_back(DNNL_ARG_BIAS, pd.bias_desc());
    args.emplace_back(DNNL_ARG_DST, pd.dst_desc());
    Primitive result = make_primitive(Forward(pd), args, pd.scratchpad_desc(), pd.impl_info_str());
    result.args[1] = stored(p, pd.weights_desc());
    result.hint = std::make_shared<Forward::primitive_desc>(pd);
    return result;
  });
}

Primitive inner_product_backward_data(const P& p, const ForwardHint& forward, const Layout& diff_dst,
                                      const Layout& diff_src) {
  return guarded("a fully connected layer's gradient", [&] {
    const auto& hint = *static_cast<const Forward::primitive_desc*>(forward.get());
    auto pd = backward_pd<dnnl::inner_product_backward_data>(base_attr(), hint, src_desc(diff_src),
                                                             any(kFloat, weight_dims(p)), src_desc(diff_dst));
    Primitive result = make_primitive(dnnl::inner_product_backward_data(pd),
                                      {{DNNL_ARG_DIFF_DST, pd.diff_dst_desc()},
                                       {DNNL_ARG_WEIGHTS, pd.weights_desc()},
                                       {DNNL_ARG_DIFF_SRC, pd.diff_src_desc()}},
                                      pd.scratchpad_desc(), pd.impl_info_str());
    result.args[1] = stored(p, pd.weights_desc());
    return result;
  });
}

Primitive inner_product_backward_weights(const P& p, const ForwardHint& forward, const Layout& src,
                                         const Layout& diff_dst) {
  return guarded("a fully connected layer's weight gradient", [&] {
    using Backward = dnnl::inner_product_backward_weights;
    const auto& hint = *static_cast<const Forward::primitive_desc*>(forward.get());
    const Desc weights = any(kFloat, weight_dims(p));
    auto pd = p.bias ? backward_pd<Backward>(base_attr(), hint, src_desc(src), weights, bias_desc(p), src_desc(diff_dst))
                     : backward_pd<Backward>(base_attr(), hint, src_desc(src), weights, src_desc(diff_dst));
    std::vector<std::pair<int, Desc>> args = {{DNNL_ARG_SRC, pd.src_desc()},
                                              {DNNL_ARG_DIFF_DST, pd.diff_dst_desc()},
                                              {DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc()}};
    if (p.bias) args.emplace_back(DNNL_ARG_DIFF_BIAS, pd.diff_bias_desc());
    Primitive result = make_primitive(Backward(pd), args, pd.scratchpad_desc(), pd.impl_info_str());
    result.args[2] = stored(p, pd.diff_weights_desc());
    return result;
  });
}

namespace {

/// The same strides, as a plain matrix has them where an axis of size 1 leaves the choice: oneDNN's gemm refuses a leading
/// dimension of 1 in a row.
Dims plain_where_free(const Dims& dims, Dims strides) {
  const size_t row = dims.size() - 2, column = dims.size() - 1;
  if (dims[column] == 1) strides[column] = 1;
  if (dims[row] == 1) strides[row] = std::max<int64_t>(1, strides[column] * dims[column]);
  return strides;
}

/// A plain operand whose last two axes are stored swapped where `transposed`, or one with strides of its own.
Desc operand(const Dims& dims, bool transposed, const Dims& own) {
  if (!own.empty()) return Desc(dims, to_dnnl(kFloat), plain_where_free(dims, own));
  if (!transposed) return plain_desc(kFloat, dims);
  Dims swapped = dims;
  std::swap(swapped[dims.size() - 1], swapped[dims.size() - 2]);
  Dims strides = row_major_strides(swapped);
  std::swap(strides[dims.size() - 1], strides[dims.size() - 2]);
  return Desc(dims, to_dnnl(kFloat), strides);
}

bool is_scattered_row(const Dims& dims, const Dims& strides) {
  return !strides.empty() && dims[dims.size() - 2] == 1 && dims.back() > 1 && strides.back() != 1;
}

bool is_scattered_column(const Dims& dims, const Dims& strides) {
  return !strides.empty() && dims.back() == 1 && dims[dims.size() - 2] > 1 && strides[dims.size() - 2] != 1;
}

/// oneDNN 3.7's brgemm takes the numbers of a's single row, and of the single column of a single product, for neighbours,
/// though they lie apart. It reads a column of b well, and leaves a row of c to the reference.
bool must_turn(const MatMulProblem& p) {
  if (!kVersion3) return false;
  const bool single = element_count(p.c) == p.c[p.c.size() - 2];
  return (is_scattered_row(p.a, p.a_strides) && !is_scattered_row(p.c, p.c_strides)) ||
         (single && is_scattered_column(p.c, p.c_strides));
}

/// The transposes' product: its operands are b and a.
MatMulProblem turned(MatMulProblem p) {
  const auto turn = [](Dims& v) { std::swap(v[v.size() - 1], v[v.size() - 2]); };
  if (p.c_strides.empty()) p.c_strides = row_major_strides(p.c);
  std::swap(p.a, p.b);
  std::swap(p.a_strides, p.b_strides);
  std::swap(p.transpose_a, p.transpose_b);
  p.transpose_a = !p.transpose_a;
  p.transpose_b = !p.transpose_b;
  for (Dims* v : {&p.a, &p.b, &p.c, &p.a_strides, &p.b_strides, &p.c_strides, &p.bias_dims}) {
    if (!v->empty()) turn(*v);
  }
  return p;
}

}  // namespace

Primitive matmul(const MatMulProblem& given) {
  return guarded("a matrix product", [&] {
    const bool turn = must_turn(given);
    const MatMulProblem p = turn ? turned(given) : given;
    const auto attr = fused_attr(false, p.activations, p.alpha);
    const Desc a = operand(p.a, p.transpose_a, p.a_strides), b = operand(p.b, p.transpose_b, p.b_strides);
    const Desc c = operand(p.c, false, p.c_strides);
    const Desc bias = p.bias ? plain_desc(kFloat, p.bias_dims) : Desc();
    auto pd = p.bias ? forward_pd<dnnl::matmul>(attr, a, b, bias, c) : forward_pd<dnnl::matmul>(attr, a, b, c);
    std::vector<std::pair<int, Desc>> args = {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}};
    if (turn) std::swap(args[0], args[1]);
    if (p.bias) args.emplace_back(DNNL_ARG_BIAS, bias);
    args.emplace_back(DNNL_ARG_DST, c);
    return make_primitive(dnnl::matmul(pd), args, pd.scratchpad_desc(), pd.impl_info_str());
  });
}

}  // namespace espalier
