#include "lib/ops/infer.h"

#include <algorithm>

#include "lib/base/error.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/gradient.h"
#include "lib/ops/lower.h"

namespace espalier {
namespace {

const Fact kNoFact;
constexpr int64_t kMostNumbers = 1024;  // beyond, a tensor is no shape arithmetic

[[noreturn]] void fail_at(const Node& node, const std::string& message) {
  throw Error(ErrorKind::bad_data, node.where() + ": " + message);
}

}  // namespace

const Fact& InferContext::input(size_t i) const { return i < inputs_.size() && inputs_[i] ? *inputs_[i] : kNoFact; }

const Tensor* InferContext::constant(size_t i) const {
  const auto& constant = input(i).constant;
  return constant ? &*constant : nullptr;
}

std::optional<std::vector<int64_t>> InferContext::integers(size_t i) const {
  if (const Tensor* tensor = constant(i)) return tensor->to_int64s();
  const auto symbolic = numbers(i);
  return symbolic ? to_known(*symbolic) : std::nullopt;
}

std::optional<std::vector<Dim>> InferContext::numbers(size_t i) const {
  if (const auto& known = input(i).numbers) return known;
  const Tensor* tensor = constant(i);
  if (!tensor || !is_integer(tensor->type()) || tensor->rank() > 1 || tensor->size() > kMostNumbers) return std::nullopt;
  return to_symbolic(tensor->to_int64s());
}

std::optional<std::vector<int64_t>> InferContext::integers_from(std::string_view attribute, size_t i, int input_since,
                                                                bool* unknown) const {
  *unknown = false;
  if (version() < input_since) {
    if (!node_.has(attribute)) return std::nullopt;
    return node_.require<std::vector<int64_t>>(attribute);
  }
  if (!has_input(i)) return std::nullopt;
  auto result = integers(i);
  *unknown = !result;
  return result;
}

void InferContext::fail(const std::string& message) const { fail_at(node_, message); }

void InferContext::require_inputs(size_t least, size_t most) const {
  if (input_count() < least || input_count() > most) {
    fail("has " + std::to_string(input_count()) + " inputs, expected " +
         (least == most ? std::to_string(least) : std::to_string(least) + " to " + std::to_string(most)));
  }
  for (size_t i = 0; i < least; ++i) {
    if (!has_input(i)) fail("input " + std::to_string(i) + " is missing");
  }
}

void InferContext::require_rank(size_t i, int64_t least, int64_t most) const {
  if (!has_rank(i) || (rank(i) >= least && rank(i) <= most)) return;
  fail("input '" + graph_.value(node_.inputs[i]).name + "' has rank " + std::to_string(rank(i)) + ", expected " +
       (least == most ? std::to_string(least)
                      : std::to_string(least) + (most < 64 ? " to " + std::to_string(most) : " or more")));
}

int64_t InferContext::axis(int64_t axis, int64_t rank) const {
  if (axis < -rank || axis >= rank) {
    fail("axis is " + std::to_string(axis) + ", expected one in [" + std::to_string(-rank) + ", " +
         std::to_string(rank) + ")");
  }
  return axis < 0 ? axis + rank : axis;
}

std::vector<Fact> InferContext::infer_body(std::string_view attribute, const std::vector<Fact>& inputs) const {
  const auto body = node_.require<Body>(attribute);
  if (inputs.size() != body->inputs.size()) {
    fail("its " + std::string(attribute) + " has " + std::to_string(body->inputs.size()) + " inputs, expected " +
         std::to_string(inputs.size()));
  }
  return infer_body_ ? infer_body_(attribute, inputs) : std::vector<Fact>(body->outputs.size());
}

SymbolicDims broadcast(const InferContext& context, const SymbolicDims& a, const SymbolicDims& b) {
  SymbolicDims result(std::max(a.size(), b.size()));
  for (size_t i = 0; i < result.size(); ++i) {
    const Dim x = i < a.size() ? a[a.size() - 1 - i] : Dim(1);
    const Dim y = i < b.size() ? b[b.size() - 1 - i] : Dim(1);
    Dim& out = result[result.size() - 1 - i];
    if (x.is(1)) out = y;
    else if (y.is(1) || x == y) out = x;
    else if (x.known() && y.known()) context.fail("shapes " + to_string(a) + " and " + to_string(b) + " do not broadcast");
    else if (x.known()) out = x;  // above 1, so the other is this or 1
    else if (y.known()) out = y;
  }
  return result;
}

std::optional<std::vector<int64_t>> EvaluateContext::integers_from(std::string_view attribute, size_t i,
                                                                   int input_since) const {
  if (version() < input_since) {
    if (!node_.has(attribute)) return std::nullopt;
    return node_.require<std::vector<int64_t>>(attribute);
  }
  if (!has_input(i)) return std::nullopt;
  return input(i).to_int64s();
}

EvaluateContext::EvaluateContext(const Node& node, std::vector<const HostValue*> inputs)
    : node_(node), values_(std::move(inputs)), outputs_(node.outputs.size()) {
  for (const HostValue* v : values_) inputs_.push_back(v && v->is_tensor() ? &v->tensor() : nullptr);
}

const Tensor& EvaluateContext::fail_kind(size_t i) const {
  fail("input " + std::to_string(i) + " is " + value(i).type().str() + ", expected a tensor");
}

void EvaluateContext::set_value(size_t output, HostValue value) {
  if (value.is_tensor()) return set(output, value.tensor());
  others_.resize(outputs_.size());
  others_[output] = std::move(value);
}

HostValue EvaluateContext::result(size_t i) const {
  return i < others_.size() && others_[i].defined() ? others_[i] : HostValue(outputs_[i]);
}

std::vector<HostValue> EvaluateContext::run_body(std::string_view attribute, const std::vector<HostValue>& inputs) const {
  const auto body = node_.require<Body>(attribute);
  check(run_body_ != nullptr, "a runner of bodies: " + node_.where());
  if (inputs.size() != body->inputs.size()) {
    fail("its " + std::string(attribute) + " has " + std::to_string(body->inputs.size()) + " inputs, expected " +
         std::to_string(inputs.size()));
  }
  return run_body_(attribute, inputs);
}

void EvaluateContext::fail(const std::string& message) const { fail_at(node_, message); }
void GradientContext::fail(const std::string& message) const { fail_at(node(), message); }

Dims LowerContext::dims(size_t input) const {
  const auto known = facts().type(input).known_dims();
  check(known.has_value(), "sizes are known when a plan is compiled");
  return *known;
}

Dims LowerContext::output_dims(size_t output) const {
  const auto known = facts().output(output).type.known_dims();
  check(known.has_value(), "sizes are known when a plan is compiled");
  return *known;
}

}  // namespace espalier
