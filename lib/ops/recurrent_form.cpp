#include <algorithm>
#include <cctype>
#include <cmath>

#include "lib/base/error.h"
#include "lib/ops/infer.h"
#include "lib/ops/recurrent.h"

namespace espalier {
namespace {

using Kind = GateActivation::Kind;

struct Known {
  const char* name;
  Kind kind;
  bool has_alpha, has_beta;
  double alpha, beta;
};

constexpr Known kKnown[] = {
    {"affine", Kind::affine, true, true, 1, 0},
    {"elu", Kind::elu, true, false, 1, 0},
    {"hardsigmoid", Kind::hard_sigmoid, true, true, 0.2, 0.5},
    {"leakyrelu", Kind::leaky_relu, true, false, 0.01, 0},
    {"relu", Kind::relu, false, false, 0, 0},
    {"scaledtanh", Kind::scaled_tanh, true, true, 1, 1},
    {"sigmoid", Kind::sigmoid, false, false, 0, 0},
    {"softplus", Kind::softplus, false, false, 0, 0},
    {"softsign", Kind::softsign, false, false, 0, 0},
    {"tanh", Kind::tanh, false, false, 0, 0},
    {"thresholdedrelu", Kind::thresholded_relu, true, false, 1, 0},
};

[[noreturn]] void fail(const Node& node, const std::string& message) {
  throw Error(ErrorKind::bad_data, node.where() + ": " + message);
}

const Known& known(const Node& node, const std::string& name) {
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const Known& k : kKnown) {
    if (lower == k.name) return k;
  }
  fail(node, "activation '" + name + "' is not one that recurrent operators have");
}

std::vector<std::vector<GateActivation>> activations_of(const Node& node, const RecurrentForm& form) {
  const std::vector<std::string> usual = form.cell == Cell::lstm  ? std::vector<std::string>{"Sigmoid", "Tanh", "Tanh"}
                                         : form.cell == Cell::gru ? std::vector<std::string>{"Sigmoid", "Tanh"}
                                                                  : std::vector<std::string>{"Tanh"};
  auto names = node.get<std::vector<std::string>>("activations", {});
  const auto alphas = node.get<std::vector<float>>("activation_alpha", {}), betas = node.get<std::vector<float>>("activation_beta", {});
  const size_t each = usual.size(), wanted = each * static_cast<size_t>(form.directions);
  if (names.empty()) {
    for (int64_t d = 0; d < form.directions; ++d) names.insert(names.end(), usual.begin(), usual.end());
  }
  // The schema's own default for RNN names two whatever the direction.
  if (form.cell == Cell::rnn && names.size() == 2 && wanted == 1) names.pop_back();
  if (names.size() != wanted) {
    fail(node, "has " + std::to_string(names.size()) + " activations, expected " + std::to_string(wanted));
  }
  std::vector<std::vector<GateActivation>> result(static_cast<size_t>(form.directions));
  size_t alpha = 0, beta = 0;
  for (size_t i = 0; i < wanted; ++i) {
    const Known& k = known(node, names[i]);
    GateActivation a{k.kind, k.alpha, k.beta};
    if (k.has_alpha && alpha < alphas.size()) a.alpha = static_cast<double>(alphas[alpha++]);
    if (k.has_beta && beta < betas.size()) a.beta = static_cast<double>(betas[beta++]);
    result[i / each].push_back(a);
  }
  return result;
}

}  // namespace

double GateActivation::value(double x) const {
  switch (kind) {
    case Kind::affine: return alpha * x + beta;
    case Kind::relu: return x < 0 ? 0 : x;
    case Kind::leaky_relu: return x < 0 ? alpha * x : x;
    case Kind::thresholded_relu: return x < alpha ? 0 : x;
    case Kind::tanh: return std::tanh(x);
    case Kind::scaled_tanh: return alpha * std::tanh(beta * x);
    case Kind::sigmoid: return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
    case Kind::hard_sigmoid: return std::clamp(alpha * x + beta, 0.0, 1.0);
    case Kind::elu: return x < 0 ? alpha * std::expm1(x) : x;
    case Kind::softsign: return x / (1 + std::abs(x));
    case Kind::softplus: return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
  }
  throw Error(ErrorKind::internal, "an activation of recurrent operators");
}

double GateActivation::slope(double x) const {
  switch (kind) {
    case Kind::affine: return alpha;
    case Kind::relu: return x < 0 ? 0 : 1;
    case Kind::leaky_relu: return x < 0 ? alpha : 1;
    case Kind::thresholded_relu: return x < alpha ? 0 : 1;
    case Kind::tanh: return 1 - std::tanh(x) * std::tanh(x);
    case Kind::scaled_tanh: return alpha * beta * (1 - std::tanh(beta * x) * std::tanh(beta * x));
    case Kind::sigmoid: {
      const double y = value(x);
      return y * (1 - y);
    }
    case Kind::hard_sigmoid: return alpha * x + beta > 0 && alpha * x + beta < 1 ? alpha : 0;
    case Kind::elu: return x < 0 ? alpha * std::exp(x) : 1;
    case Kind::softsign: return 1 / ((1 + std::abs(x)) * (1 + std::abs(x)));
    case Kind::softplus: return GateActivation{Kind::sigmoid, 0, 0}.value(x);
  }
  throw Error(ErrorKind::internal, "an activation of recurrent operators");
}

RecurrentForm recurrent_form(const Node& node) {
  RecurrentForm form;
  form.cell = node.op_type.starts_with("LSTM") ? Cell::lstm : node.op_type.starts_with("GRU") ? Cell::gru : Cell::rnn;
  const auto direction = node.get<std::string>("direction", "forward");
  // Version 1 of GRU spells its own default "foward".
  if (direction != "forward" && direction != "foward" && direction != "reverse" && direction != "bidirectional") {
    fail(node, "direction is '" + direction + "', expected forward, reverse or bidirectional");
  }
  form.directions = direction == "bidirectional" ? 2 : 1;
  form.reverse = direction == "reverse";
  const auto layout = node.get<int64_t>("layout", 0);
  if (layout != 0 && layout != 1) fail(node, "layout is " + std::to_string(layout) + ", expected 0 or 1");
  form.batch_first = layout == 1;
  if (node.has("clip")) {
    const float clip = node.get<float>("clip", 0);
    if (!(clip > 0)) fail(node, "clip is " + std::to_string(clip) + ", expected a positive number");
    form.clip = static_cast<double>(clip);
  }
  form.input_forget = form.cell == Cell::lstm && node.get<int64_t>("input_forget", 0) != 0;
  form.linear_before_reset = form.cell == Cell::gru && node.get<int64_t>("linear_before_reset", 0) != 0;
  form.activations = activations_of(node, form);
  return form;
}

bool has_whole_sequences(const InferContext& context, int64_t steps) {
  if (!context.has_input(recurrent::sequence_lens)) return true;
  const Tensor* lens = context.constant(recurrent::sequence_lens);
  if (!lens) return false;
  const auto all = lens->to_int64s();
  return std::all_of(all.begin(), all.end(), [steps](int64_t length) { return length == steps; });
}

}  // namespace espalier
