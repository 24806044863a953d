#include <algorithm>

#include "lib/ops/op.h"
#include "lib/ops/schema_versions.h"

namespace espalier {
namespace ops {
// One line an operator, sorted by domain and name; each is defined in the file of its name or its family.
extern const Op abs;
extern const Op acos;
extern const Op acosh;
extern const Op add;
extern const Op affine_grid;
extern const Op logical_and;
extern const Op arg_max;
extern const Op arg_min;
extern const Op asin;
extern const Op asinh;
extern const Op atan;
extern const Op atanh;
extern const Op attention;
extern const Op average_pool;
extern const Op batch_normalization;
extern const Op bernoulli;
extern const Op bit_cast;
extern const Op bit_shift;
extern const Op bitwise_and;
extern const Op bitwise_not;
extern const Op bitwise_or;
extern const Op bitwise_xor;
extern const Op blackman_window;
extern const Op cast_op;
extern const Op cast_like;
extern const Op ceil;
extern const Op celu;
extern const Op center_crop_pad;
extern const Op clip;
extern const Op col2im;
extern const Op compress;
extern const Op concat;
extern const Op concat_from_sequence;
extern const Op constant;
extern const Op constant_of_shape;
extern const Op conv;
extern const Op conv_integer;
extern const Op conv_transpose;
extern const Op cos;
extern const Op cosh;
extern const Op cum_prod;
extern const Op cum_sum;
extern const Op dft;
extern const Op deform_conv;
extern const Op depth_to_space;
extern const Op dequantize_linear;
extern const Op det;
extern const Op div;
extern const Op dropout;
extern const Op dynamic_quantize_linear;
extern const Op einsum;
extern const Op elu;
extern const Op equal;
extern const Op erf;
extern const Op exp;
extern const Op expand;
extern const Op eye_like;
extern const Op flatten;
extern const Op floor;
extern const Op gru;
extern const Op gather;
extern const Op gather_elements;
extern const Op gather_nd;
extern const Op gelu;
extern const Op gemm;
extern const Op gemm_grad_input, gemm_grad_weight;
extern const Op global_average_pool;
extern const Op global_lp_pool;
extern const Op global_max_pool;
extern const Op greater;
extern const Op greater_or_equal;
extern const Op grid_sample;
extern const Op group_normalization;
extern const Op hamming_window;
extern const Op hann_window;
extern const Op hard_sigmoid;
extern const Op hard_swish;
extern const Op hardmax;
extern const Op identity;
extern const Op if_op;
extern const Op instance_normalization;
extern const Op is_inf;
extern const Op is_nan;
extern const Op lrn;
extern const Op lstm;
extern const Op layer_normalization;
extern const Op leaky_relu;
extern const Op less;
extern const Op less_or_equal;
extern const Op log;
extern const Op log_softmax;
extern const Op loop;
extern const Op lp_normalization;
extern const Op lp_pool;
extern const Op matmul;
extern const Op matmul_integer;
extern const Op max;
extern const Op max_pool;
extern const Op max_roi_pool;
extern const Op max_unpool;
extern const Op mean;
extern const Op mean_variance_normalization;
extern const Op mel_weight_matrix;
extern const Op min;
extern const Op mish;
extern const Op mod;
extern const Op mul;
extern const Op multinomial;
extern const Op neg;
extern const Op negative_log_likelihood_loss;
extern const Op non_max_suppression;
extern const Op non_zero;
extern const Op logical_not;
extern const Op one_hot;
extern const Op optional;
extern const Op optional_get_element;
extern const Op optional_has_element;
extern const Op logical_or;
extern const Op prelu;
extern const Op pad;
extern const Op pow;
extern const Op qlinear_conv;
extern const Op qlinear_matmul;
extern const Op quantize_linear;
extern const Op rms_normalization;
extern const Op rnn;
extern const Op random_normal;
extern const Op random_normal_like;
extern const Op random_uniform;
extern const Op random_uniform_like;
extern const Op range;
extern const Op reciprocal;
extern const Op reduce_l1;
extern const Op reduce_l2;
extern const Op reduce_log_sum;
extern const Op reduce_log_sum_exp;
extern const Op reduce_max;
extern const Op reduce_mean;
extern const Op reduce_min;
extern const Op reduce_prod;
extern const Op reduce_sum;
extern const Op reduce_sum_square;
extern const Op relu;
extern const Op reshape;
extern const Op resize;
extern const Op reverse_sequence;
extern const Op roi_align;
extern const Op rotary_embedding;
extern const Op round;
extern const Op stft;
extern const Op scan_op;
extern const Op scatter;
extern const Op scatter_elements;
extern const Op scatter_nd;
extern const Op selu;
extern const Op sequence_at;
extern const Op sequence_construct;
extern const Op sequence_empty;
extern const Op sequence_erase;
extern const Op sequence_insert;
extern const Op sequence_length;
extern const Op sequence_map;
extern const Op shape;
extern const Op shrink;
extern const Op sigmoid;
extern const Op sign;
extern const Op sin;
extern const Op sinh;
extern const Op size;
extern const Op slice;
extern const Op softmax;
extern const Op softmax_cross_entropy_loss;
extern const Op softplus;
extern const Op softsign;
extern const Op space_to_depth;
extern const Op split;
extern const Op split_to_sequence;
extern const Op sqrt;
extern const Op squeeze;
extern const Op sub;
extern const Op sum;
extern const Op swish;
extern const Op tan;
extern const Op tanh;
extern const Op tensor_scatter;
extern const Op tf_idf_vectorizer;
extern const Op thresholded_relu;
extern const Op tile;
extern const Op top_k;
extern const Op transpose;
extern const Op trilu;
extern const Op unique;
extern const Op unsqueeze;
extern const Op upsample;
extern const Op where;
extern const Op logical_xor;
// ai.espalier
extern const Op affine_grid_grad;
extern const Op attention_grad;
extern const Op average_pool_grad;
extern const Op batch_normalization_grad;
extern const Op center_crop_pad_grad_op;
extern const Op clip_grad;
extern const Op col2im_grad_op;
extern const Op compress_grad_op;
extern const Op concat_grad_op;
extern const Op conv_grad_input;
extern const Op conv_grad_weight;
extern const Op conv_transpose_grad_input;
extern const Op conv_transpose_grad_weight;
extern const Op cum_prod_grad;
extern const Op dft_grad;
extern const Op deform_conv_grad;
extern const Op depth_to_space_grad_op;
extern const Op dequantize_linear_grad;
extern const Op det_grad_op;
extern const Op dropout_training;
extern const Op einsum_spread;
extern const Op elu_grad;
extern const Op expand_like_op;
extern const Op gru_grad;
extern const Op gather_grad_op;
extern const Op gather_nd_grad_op;
extern const Op gelu_grad;
extern const Op global_average_pool_grad;
extern const Op grid_sample_grad;
extern const Op group_normalization_grad;
extern const Op hard_sigmoid_grad;
extern const Op hard_swish_grad;
extern const Op lrn_grad;
extern const Op lstm_grad;
extern const Op layer_normalization_grad;
extern const Op leaky_relu_grad;
extern const Op log_softmax_grad;
extern const Op lp_pool_grad;
extern const Op matches;
extern const Op max_pool_grad;
extern const Op max_roi_pool_grad;
extern const Op max_unpool_grad;
extern const Op mean_squared_error;
extern const Op mean_squared_error_grad;
extern const Op negative_log_likelihood_loss_grad;
extern const Op pad_grad_op;
extern const Op quantize_linear_grad;
extern const Op rnn_grad;
extern const Op reduce_mean_grad_op;
extern const Op reduce_prod_grad_op;
extern const Op reduce_sum_grad_op;
extern const Op relu_grad;
extern const Op reshape_like_op;
extern const Op resize_grad;
extern const Op roi_align_grad;
extern const Op rotary_embedding_grad;
extern const Op stft_grad;
extern const Op scatter_reduction_grad_op;
extern const Op sigmoid_grad;
extern const Op slice_grad_op;
extern const Op soft_target_cross_entropy;
extern const Op soft_target_cross_entropy_grad;
extern const Op softmax_cross_entropy_loss_grad;
extern const Op softmax_grad;
extern const Op stacked_product;
extern const Op sum_to_op;
extern const Op tanh_grad;
extern const Op thresholded_relu_grad;
extern const Op tile_grad_op;
// ai.onnx.preview.training
extern const Op adagrad;
extern const Op adam;
extern const Op momentum;
}  // namespace ops

namespace {

constexpr const Op* kOps[] = {  // std::array's deduction nests one expression per operator: too many for clang
    &ops::abs,
    &ops::acos,
    &ops::acosh,
    &ops::add,
    &ops::affine_grid,
    &ops::logical_and,
    &ops::arg_max,
    &ops::arg_min,
    &ops::asin,
    &ops::asinh,
    &ops::atan,
    &ops::atanh,
    &ops::attention,
    &ops::average_pool,
    &ops::batch_normalization,
    &ops::bernoulli,
    &ops::bit_cast,
    &ops::bit_shift,
    &ops::bitwise_and,
    &ops::bitwise_not,
    &ops::bitwise_or,
    &ops::bitwise_xor,
    &ops::blackman_window,
    &ops::cast_op,
    &ops::cast_like,
    &ops::ceil,
    &ops::celu,
    &ops::center_crop_pad,
    &ops::clip,
    &ops::col2im,
    &ops::compress,
    &ops::concat,
    &ops::concat_from_sequence,
    &ops::constant,
    &ops::constant_of_shape,
    &ops::conv,
    &ops::conv_integer,
    &ops::conv_transpose,
    &ops::cos,
    &ops::cosh,
    &ops::cum_prod,
    &ops::cum_sum,
    &ops::dft,
    &ops::deform_conv,
    &ops::depth_to_space,
    &ops::dequantize_linear,
    &ops::det,
    &ops::div,
    &ops::dropout,
    &ops::dynamic_quantize_linear,
    &ops::einsum,
    &ops::elu,
    &ops::equal,
    &ops::erf,
    &ops::exp,
    &ops::expand,
    &ops::eye_like,
    &ops::flatten,
    &ops::floor,
    &ops::gru,
    &ops::gather,
    &ops::gather_elements,
    &ops::gather_nd,
    &ops::gelu,
    &ops::gemm,
    &ops::global_average_pool,
    &ops::global_lp_pool,
    &ops::global_max_pool,
    &ops::greater,
    &ops::greater_or_equal,
    &ops::grid_sample,
    &ops::group_normalization,
    &ops::hamming_window,
    &ops::hann_window,
    &ops::hard_sigmoid,
    &ops::hard_swish,
    &ops::hardmax,
    &ops::identity,
    &ops::if_op,
    &ops::instance_normalization,
    &ops::is_inf,
    &ops::is_nan,
    &ops::lrn,
    &ops::lstm,
    &ops::layer_normalization,
    &ops::leaky_relu,
    &ops::less,
    &ops::less_or_equal,
    &ops::log,
    &ops::log_softmax,
    &ops::loop,
    &ops::lp_normalization,
    &ops::lp_pool,
    &ops::matmul,
    &ops::matmul_integer,
    &ops::max,
    &ops::max_pool,
    &ops::max_roi_pool,
    &ops::max_unpool,
    &ops::mean,
    &ops::mean_variance_normalization,
    &ops::mel_weight_matrix,
    &ops::min,
    &ops::mish,
    &ops::mod,
    &ops::mul,
    &ops::multinomial,
    &ops::neg,
    &ops::negative_log_likelihood_loss,
    &ops::non_max_suppression,
    &ops::non_zero,
    &ops::logical_not,
    &ops::one_hot,
    &ops::optional,
    &ops::optional_get_element,
    &ops::optional_has_element,
    &ops::logical_or,
    &ops::prelu,
    &ops::pad,
    &ops::pow,
    &ops::qlinear_conv,
    &ops::qlinear_matmul,
    &ops::quantize_linear,
    &ops::rms_normalization,
    &ops::rnn,
    &ops::random_normal,
    &ops::random_normal_like,
    &ops::random_uniform,
    &ops::random_uniform_like,
    &ops::range,
    &ops::reciprocal,
    &ops::reduce_l1,
    &ops::reduce_l2,
    &ops::reduce_log_sum,
    &ops::reduce_log_sum_exp,
    &ops::reduce_max,
    &ops::reduce_mean,
    &ops::reduce_min,
    &ops::reduce_prod,
    &ops::reduce_sum,
    &ops::reduce_sum_square,
    &ops::relu,
    &ops::reshape,
    &ops::resize,
    &ops::reverse_sequence,
    &ops::roi_align,
    &ops::rotary_embedding,
    &ops::round,
    &ops::stft,
    &ops::scan_op,
    &ops::scatter,
    &ops::scatter_elements,
    &ops::scatter_nd,
    &ops::selu,
    &ops::sequence_at,
    &ops::sequence_construct,
    &ops::sequence_empty,
    &ops::sequence_erase,
    &ops::sequence_insert,
    &ops::sequence_length,
    &ops::sequence_map,
    &ops::shape,
    &ops::shrink,
    &ops::sigmoid,
    &ops::sign,
    &ops::sin,
    &ops::sinh,
    &ops::size,
    &ops::slice,
    &ops::softmax,
    &ops::softmax_cross_entropy_loss,
    &ops::softplus,
    &ops::softsign,
    &ops::space_to_depth,
    &ops::split,
    &ops::split_to_sequence,
    &ops::sqrt,
    &ops::squeeze,
    &ops::sub,
    &ops::sum,
    &ops::swish,
    &ops::tan,
    &ops::tanh,
    &ops::tensor_scatter,
    &ops::tf_idf_vectorizer,
    &ops::thresholded_relu,
    &ops::tile,
    &ops::top_k,
    &ops::transpose,
    &ops::trilu,
    &ops::unique,
    &ops::unsqueeze,
    &ops::upsample,
    &ops::where,
    &ops::logical_xor,
    // ai.espalier
    &ops::affine_grid_grad,
    &ops::attention_grad,
    &ops::average_pool_grad,
    &ops::batch_normalization_grad,
    &ops::center_crop_pad_grad_op,
    &ops::clip_grad,
    &ops::col2im_grad_op,
    &ops::compress_grad_op,
    &ops::concat_grad_op,
    &ops::conv_grad_input,
    &ops::conv_grad_weight,
    &ops::conv_transpose_grad_input,
    &ops::conv_transpose_grad_weight,
    &ops::cum_prod_grad,
    &ops::dft_grad,
    &ops::deform_conv_grad,
    &ops::depth_to_space_grad_op,
    &ops::dequantize_linear_grad,
    &ops::det_grad_op,
    &ops::dropout_training,
    &ops::einsum_spread,
    &ops::elu_grad,
    &ops::expand_like_op,
    &ops::gru_grad,
    &ops::gather_grad_op,
    &ops::gather_nd_grad_op,
    &ops::gelu_grad,
    &ops::gemm_grad_input,
    &ops::gemm_grad_weight,
    &ops::global_average_pool_grad,
    &ops::grid_sample_grad,
    &ops::group_normalization_grad,
    &ops::hard_sigmoid_grad,
    &ops::hard_swish_grad,
    &ops::lrn_grad,
    &ops::lstm_grad,
    &ops::layer_normalization_grad,
    &ops::leaky_relu_grad,
    &ops::log_softmax_grad,
    &ops::lp_pool_grad,
    &ops::matches,
    &ops::max_pool_grad,
    &ops::max_roi_pool_grad,
    &ops::max_unpool_grad,
    &ops::mean_squared_error,
    &ops::mean_squared_error_grad,
    &ops::negative_log_likelihood_loss_grad,
    &ops::pad_grad_op,
    &ops::quantize_linear_grad,
    &ops::rnn_grad,
    &ops::reduce_mean_grad_op,
    &ops::reduce_prod_grad_op,
    &ops::reduce_sum_grad_op,
    &ops::relu_grad,
    &ops::reshape_like_op,
    &ops::resize_grad,
    &ops::roi_align_grad,
    &ops::rotary_embedding_grad,
    &ops::stft_grad,
    &ops::scatter_reduction_grad_op,
    &ops::sigmoid_grad,
    &ops::slice_grad_op,
    &ops::soft_target_cross_entropy,
    &ops::soft_target_cross_entropy_grad,
    &ops::softmax_cross_entropy_loss_grad,
    &ops::softmax_grad,
    &ops::stacked_product,
    &ops::sum_to_op,
    &ops::tanh_grad,
    &ops::thresholded_relu_grad,
    &ops::tile_grad_op,
    // ai.onnx.preview.training
    &ops::adagrad,
    &ops::adam,
    &ops::momentum,
};

bool before(const Op* op, std::pair<std::string_view, std::string_view> key) {
  return std::pair(op->domain, op->name) < key;
}

}  // namespace

const Op* find_op(std::string_view domain, std::string_view name) {
  const auto key = std::pair(domain, name);
  const auto found = std::lower_bound(std::begin(kOps), std::end(kOps), key, before);
  return found != std::end(kOps) && std::pair((*found)->domain, (*found)->name) == key ? *found : nullptr;
}

const Op* find_op(const Node& node) {
  const Op* op = find_op(node.domain, node.op_type);
  if (!op || node.version < op->since) return nullptr;
  return (node.domain.empty() ? schema_version(node.op_type, node.version) : node.version) <= op->until ? op : nullptr;
}

std::span<const Op* const> all_ops() { return kOps; }

}  // namespace espalier
