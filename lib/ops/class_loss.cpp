#include "lib/ops/class_loss.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/parallel.h"

namespace espalier {
namespace {

ClassLoss::Reduction reduction_of(const Node& node) {
  const auto name = node.get<std::string>("reduction", "mean");
  if (name == "none") return ClassLoss::Reduction::none;
  if (name == "sum") return ClassLoss::Reduction::sum;
  if (name == "mean") return ClassLoss::Reduction::mean;
  throw Error(ErrorKind::bad_data, node.where() + ": reduction is '" + name + "', expected none, sum or mean");
}

}  // namespace

ClassLoss::ClassLoss(const EvaluateContext& context, size_t labels_at)
    : labels(context.input(labels_at).to_int64s()), reduction(reduction_of(context.node())) {
  const Dims& dims = context.input(0).dims();
  n = dims[0];
  classes = dims[1];
  inner = element_count({dims.begin() + 2, dims.end()});
  if (static_cast<int64_t>(labels.size()) != positions()) {
    context.fail("labels have " + to_string(context.input(labels_at).dims()) + " for scores " + to_string(dims));
  }
  const bool weighted = context.has_input(labels_at + 1);
  const auto by_class = weighted ? context.input(labels_at + 1).to_doubles() : std::vector<double>(classes, 1.0);
  const bool may_ignore = context.node().has("ignore_index");
  const auto ignored = context.node().get<int64_t>("ignore_index", 0);
  for (int64_t& label : labels) {
    const bool skip = may_ignore && label == ignored;
    if (!skip && (label < 0 || label >= classes)) {
      context.fail("label " + std::to_string(label) + " is not one of " + std::to_string(classes) + " classes");
    }
    weights.push_back(skip ? 0.0 : by_class.at(label));
    if (skip) label = 0;
    total_weight += weights.back();
  }
}

double ClassLoss::factor(int64_t position) const {
  return reduction == Reduction::mean ? weights[position] / total_weight : weights[position];
}

Tensor ClassLoss::reduce(const Tensor& log_prob, DataType type) const {
  const auto from = log_prob.data<double>();
  std::vector<double> each(positions());
  for (int64_t i = 0; i < positions(); ++i) {
    each[i] = weights[i] == 0 ? 0.0 : -from[at(i, labels[i])] * weights[i];
  }
  if (reduction == Reduction::none) return Tensor::of<double>({positions()}, each).cast(type);
  double sum = 0;
  for (const double loss : each) sum += loss;
  return Tensor::scalar(reduction == Reduction::mean ? sum / total_weight : sum).cast(type);
}

std::vector<double> ClassLoss::position_grads(const Tensor& dy) const {
  std::vector<double> grads = dy.to_doubles();
  if (reduction != Reduction::none) grads.assign(positions(), grads.at(0));
  for (int64_t i = 0; i < positions(); ++i) grads[i] *= weights[i] == 0 ? 0.0 : factor(i);
  return grads;
}

Tensor log_softmax_of_scores(const Tensor& scores) {
  const Tensor wide = scores.cast(DataType::float64);
  Tensor result(DataType::float64, scores.dims());
  const Dims& dims = scores.dims();
  const int64_t n = dims[0], classes = dims[1], inner = element_count({dims.begin() + 2, dims.end()});
  const auto from = wide.data<double>();
  const auto to = result.mutable_data<double>();
  parallel_for(n * inner, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t start = i / inner * classes * inner + i % inner, stop = start + classes * inner;
      double most = -std::numeric_limits<double>::infinity(), sum = 0;
      for (int64_t j = start; j < stop; j += inner) most = std::max(most, from[j]);
      for (int64_t j = start; j < stop; j += inner) sum += std::exp(from[j] - most);
      for (int64_t j = start; j < stop; j += inner) to[j] = from[j] - most - std::log(sum);
    }
  });
  return result;
}

void infer_class_loss(InferContext& c) {
  c.require_inputs(2, 3);
  c.require_rank(0, 2, kMaxRank);
  if (c.has_rank(0) && c.has_rank(1) && c.rank(1) != c.rank(0) - 1) {
    c.fail("labels have rank " + std::to_string(c.rank(1)) + ", expected " + std::to_string(c.rank(0) - 1));
  }
  c.require_rank(2, 1, 1);
  if (c.node().get<std::string>("reduction", "mean") != "none") {
    c.set(0, c.elem_type(0), {});
    return;
  }
  Type type = c.type(1);
  type.elem_type = c.elem_type(0);
  c.set(0, std::move(type));
}

}  // namespace espalier
