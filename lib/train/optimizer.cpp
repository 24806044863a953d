#include "lib/train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/base/parallel.h"

namespace espalier {
namespace {

/// Floats a piece: small enough to share the work evenly, large enough to forget the call.
constexpr int64_t kPiece = 16384;

}  // namespace

OptimizerSpec parse_optimizer(std::string_view text) {
  const SpecText spec = parse_spec_text(text, "optimizer");
  const OptimizerRule& rule = find_optimizer_rule(spec.name);
  return {&rule, parameter_values(spec, rule.parameters, "optimizer")};
}

Optimizer::Optimizer(OptimizerSpec spec, const Regularization& regularization, std::vector<ParameterBlock> blocks,
                     std::vector<ParameterTuning> tuning)
    : spec_(std::move(spec)), regularization_(regularization), blocks_(std::move(blocks)), tuning_(std::move(tuning)) {
  check(blocks_.size() == tuning_.size(), "a tuning for each parameter");
  check(spec_.rule->elementwise && spec_.rule->moments <= kMaxMoments, "a rule that works on raw blocks");
  for (size_t b = 0; b < blocks_.size(); ++b) {
    for (int64_t at = 0; at < blocks_[b].count; at += kPiece) {
      pieces_.push_back({b, at, std::min(kPiece, blocks_[b].count - at)});
    }
    for (size_t m = 0; m < spec_.rule->moments; ++m) {
      moments_.emplace_back(static_cast<size_t>(blocks_[b].count) * sizeof(float));
    }
  }
  sums_.resize(pieces_.size());
}

double Optimizer::gradient_norm() {
  parallel_for(static_cast<int64_t>(pieces_.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const Piece& piece = pieces_[static_cast<size_t>(p)];
      const float* g = blocks_[piece.block].grad + piece.begin;
      double parts[8] = {};  // independent sums, so that the loop has no chain
      for (int64_t i = 0; i < piece.count; ++i) parts[i & 7] += static_cast<double>(g[i]) * static_cast<double>(g[i]);
      double sum = 0;
      for (const double part : parts) sum += part;
      sums_[static_cast<size_t>(p)] = sum;
    }
  });
  double sum = 0;
  for (const double part : sums_) sum += part;
  return std::sqrt(sum);
}

double Optimizer::step(double learning_rate, double max_norm) {
  double norm = std::numeric_limits<double>::quiet_NaN();
  double scale = 1;
  if (max_norm > 0) {
    norm = gradient_norm();
    if (!std::isfinite(norm)) return norm;
    if (norm > max_norm) scale = max_norm / norm;
  }
  ++steps_;
  const size_t moments = spec_.rule->moments;
  parallel_for(static_cast<int64_t>(pieces_.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const Piece& piece = pieces_[static_cast<size_t>(p)];
      const ParameterBlock& block = blocks_[piece.block];
      const ParameterTuning& tuning = tuning_[piece.block];
      RuleBlock rule{block.value + piece.begin, block.grad + piece.begin, {}, piece.count};
      for (size_t m = 0; m < moments; ++m) {
        rule.moments[m] = reinterpret_cast<float*>(moments_[piece.block * moments + m].data()) + piece.begin;
      }
      StepContext context;
      context.learning_rate = static_cast<float>(learning_rate * tuning.learning_rate_scale);
      context.step = steps_;
      context.grad_scale = static_cast<float>(scale);
      context.l1 = static_cast<float>(regularization_.l1 * tuning.decay_scale);
      context.l2 = static_cast<float>(regularization_.l2 * tuning.decay_scale);
      context.weight_decay = static_cast<float>(regularization_.weight_decay * tuning.decay_scale);
      spec_.rule->apply(rule, context, spec_.values);
    }
  });
  return norm;
}

}  // namespace espalier
