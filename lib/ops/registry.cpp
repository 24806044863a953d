#include <algorithm>
#include <array>

#include "lib/ops/op.h"

namespace espalier {
namespace ops {
// One line an operator, sorted by domain and name; each is defined in the file of its name or its family.
extern const Op abs;
extern const Op acos;
extern const Op acosh;
extern const Op add;
extern const Op asin;
extern const Op asinh;
extern const Op atan;
extern const Op atanh;
extern const Op average_pool;
extern const Op batch_normalization;
extern const Op ceil;
extern const Op celu;
extern const Op clip;
extern const Op concat;
extern const Op constant;
extern const Op constant_of_shape;
extern const Op conv;
extern const Op cos;
extern const Op cosh;
extern const Op depth_to_space;
extern const Op div;
extern const Op elu;
extern const Op erf;
extern const Op exp;
extern const Op expand;
extern const Op flatten;
extern const Op floor;
extern const Op gather;
extern const Op gather_elements;
extern const Op gemm;
extern const Op global_average_pool;
extern const Op global_lp_pool;
extern const Op global_max_pool;
extern const Op hard_sigmoid;
extern const Op hard_swish;
extern const Op hardmax;
extern const Op identity;
extern const Op leaky_relu;
extern const Op log;
extern const Op log_softmax;
extern const Op matmul;
extern const Op max_pool;
extern const Op mish;
extern const Op mul;
extern const Op neg;
extern const Op negative_log_likelihood_loss;
extern const Op non_zero;
extern const Op pad;
extern const Op range;
extern const Op reciprocal;
extern const Op relu;
extern const Op reshape;
extern const Op round;
extern const Op selu;
extern const Op shape;
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
extern const Op sqrt;
extern const Op squeeze;
extern const Op sub;
extern const Op tan;
extern const Op tanh;
extern const Op thresholded_relu;
extern const Op tile;
extern const Op transpose;
extern const Op unsqueeze;
extern const Op where;
// ai.espalier
extern const Op average_pool_grad;
extern const Op batch_normalization_grad;
extern const Op clip_grad;
extern const Op concat_grad_op;
extern const Op conv_grad_input;
extern const Op conv_grad_weight;
extern const Op dropout_training;
extern const Op expand_like_op;
extern const Op gather_grad_op;
extern const Op global_average_pool_grad;
extern const Op hard_sigmoid_grad;
extern const Op hard_swish_grad;
extern const Op leaky_relu_grad;
extern const Op log_softmax_grad;
extern const Op max_pool_grad;
extern const Op mean_squared_error;
extern const Op mean_squared_error_grad;
extern const Op negative_log_likelihood_loss_grad;
extern const Op pad_grad_op;
extern const Op reduce_mean_grad_op;
extern const Op reduce_sum_grad_op;
extern const Op relu_grad;
extern const Op reshape_like_op;
extern const Op sigmoid_grad;
extern const Op slice_grad_op;
extern const Op soft_target_cross_entropy;
extern const Op soft_target_cross_entropy_grad;
extern const Op softmax_cross_entropy_loss_grad;
extern const Op softmax_grad;
extern const Op sum_to_op;
extern const Op tanh_grad;
}  // namespace ops

namespace {

constexpr std::array kOps = {
    &ops::abs,
    &ops::acos,
    &ops::acosh,
    &ops::add,
    &ops::asin,
    &ops::asinh,
    &ops::atan,
    &ops::atanh,
    &ops::average_pool,
    &ops::batch_normalization,
    &ops::ceil,
    &ops::celu,
    &ops::clip,
    &ops::concat,
    &ops::constant,
    &ops::constant_of_shape,
    &ops::conv,
    &ops::cos,
    &ops::cosh,
    &ops::depth_to_space,
    &ops::div,
    &ops::elu,
    &ops::erf,
    &ops::exp,
    &ops::expand,
    &ops::flatten,
    &ops::floor,
    &ops::gather,
    &ops::gather_elements,
    &ops::gemm,
    &ops::global_average_pool,
    &ops::global_lp_pool,
    &ops::global_max_pool,
    &ops::hard_sigmoid,
    &ops::hard_swish,
    &ops::hardmax,
    &ops::identity,
    &ops::leaky_relu,
    &ops::log,
    &ops::log_softmax,
    &ops::matmul,
    &ops::max_pool,
    &ops::mish,
    &ops::mul,
    &ops::neg,
    &ops::negative_log_likelihood_loss,
    &ops::non_zero,
    &ops::pad,
    &ops::range,
    &ops::reciprocal,
    &ops::relu,
    &ops::reshape,
    &ops::round,
    &ops::selu,
    &ops::shape,
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
    &ops::sqrt,
    &ops::squeeze,
    &ops::sub,
    &ops::tan,
    &ops::tanh,
    &ops::thresholded_relu,
    &ops::tile,
    &ops::transpose,
    &ops::unsqueeze,
    &ops::where,
    // ai.espalier
    &ops::average_pool_grad,
    &ops::batch_normalization_grad,
    &ops::clip_grad,
    &ops::concat_grad_op,
    &ops::conv_grad_input,
    &ops::conv_grad_weight,
    &ops::dropout_training,
    &ops::expand_like_op,
    &ops::gather_grad_op,
    &ops::global_average_pool_grad,
    &ops::hard_sigmoid_grad,
    &ops::hard_swish_grad,
    &ops::leaky_relu_grad,
    &ops::log_softmax_grad,
    &ops::max_pool_grad,
    &ops::mean_squared_error,
    &ops::mean_squared_error_grad,
    &ops::negative_log_likelihood_loss_grad,
    &ops::pad_grad_op,
    &ops::reduce_mean_grad_op,
    &ops::reduce_sum_grad_op,
    &ops::relu_grad,
    &ops::reshape_like_op,
    &ops::sigmoid_grad,
    &ops::slice_grad_op,
    &ops::soft_target_cross_entropy,
    &ops::soft_target_cross_entropy_grad,
    &ops::softmax_cross_entropy_loss_grad,
    &ops::softmax_grad,
    &ops::sum_to_op,
    &ops::tanh_grad,
};

bool before(const Op* op, std::pair<std::string_view, std::string_view> key) {
  return std::pair(op->domain, op->name) < key;
}

}  // namespace

const Op* find_op(std::string_view domain, std::string_view name) {
  const auto key = std::pair(domain, name);
  const auto found = std::lower_bound(kOps.begin(), kOps.end(), key, before);
  return found != kOps.end() && std::pair((*found)->domain, (*found)->name) == key ? *found : nullptr;
}

const Op* find_op(const Node& node) {
  const Op* op = find_op(node.domain, node.op_type);
  return op && node.version >= op->since && node.version <= op->until ? op : nullptr;
}

std::span<const Op* const> all_ops() { return kOps; }

}  // namespace espalier
