// Gradients through time of LSTM, GRU and RNN against central differences in double.
#include <gtest/gtest.h>

#include "lib/tensor/tensor.h"
#include "tests/lib/autodiff/gradient_check.h"

namespace espalier::testing {
namespace {

struct Shape {
  int64_t gates, directions = 1;
  bool batch_first = false, cell = false, peepholes = false;
};

std::string number(int64_t n) { return std::to_string(n); }

/// A graph of one node with all its inputs and outputs, whose first output weighs Y, Y_h and Y_c. T 3, B 2, I 3, H 2.
std::string graph_of(const std::string& op, const Shape& s, const std::string& attributes, bool only_last = false) {
  const std::string d = number(s.directions), g = number(2 * s.gates), states = s.batch_first ? "2," + d + ",2" : d + ",2,2";
  std::string inputs = "x: float[" + std::string(s.batch_first ? "2,3,3" : "3,2,3") + "], w: float[" + d + "," + g + ",3], r: float[" + d + "," + g +
                       ",2], b: float[" + d + "," + number(4 * s.gates) + "], h0: float[" + states + "]";
  std::string node = op + "(x, w, r, b, _, h0";
  if (s.cell) {
    inputs += ", c0: float[" + states + "]";
    node += ", c0";
  }
  if (s.peepholes) {
    inputs += ", p: float[" + d + ",6]";
    node += ", p";
  }
  node += ") {hidden_size = 2" + (s.directions == 2 ? std::string(", direction = \"bidirectional\"") : "") + (s.batch_first ? ", layout = 1" : "") +
          (attributes.empty() ? "" : ", " + attributes) + "}";
  const std::string outputs = s.cell ? "s, t, u" : "s, t";
  const std::string first = only_last ? "_, " + outputs.substr(3) : outputs;
  std::string body = first + " = " + node + "\n flat: int64[1] = {-1}\n";
  std::string parts;
  for (const std::string name : {"s", "t", "u"}) {
    if (("_, " + outputs).find(", " + name) == std::string::npos || (only_last && name == "s")) continue;
    body += " f" + name + " = Reshape(" + name + ", flat)\n";
    parts += (parts.empty() ? "f" : ", f") + name;
  }
  return "graph g (" + inputs + ") -> (y) opset 17 { " + body + " y = Concat(" + parts + ") {axis = 0} }";
}

GRADIENT_TEST(RecurrentGradient, Lstm) {
  const Shape one{.gates = 4, .cell = true}, two{.gates = 4, .directions = 2, .cell = true};
  EXPECT_GRADIENTS(graph_of("LSTM", one, ""));
  EXPECT_GRADIENTS(graph_of("LSTM", one, "direction = \"reverse\""));
  EXPECT_GRADIENTS(graph_of("LSTM", two, ""));
  EXPECT_GRADIENTS(graph_of("LSTM", {.gates = 4, .directions = 2, .batch_first = true, .cell = true}, ""));
  EXPECT_GRADIENTS(graph_of("LSTM", one, "input_forget = 1"));
  EXPECT_GRADIENTS(graph_of("LSTM", one, "", true)) << "only the last states are used";
}

GRADIENT_TEST(RecurrentGradient, LstmWithPeepholes) {
  EXPECT_GRADIENTS(graph_of("LSTM", {.gates = 4, .cell = true, .peepholes = true}, ""));
  EXPECT_GRADIENTS(graph_of("LSTM", {.gates = 4, .directions = 2, .cell = true, .peepholes = true}, ""));
  EXPECT_GRADIENTS(graph_of("LSTM", {.gates = 4, .cell = true, .peepholes = true}, "input_forget = 1, clip = 0.9"));
}

GRADIENT_TEST(RecurrentGradient, LstmWithOtherActivations) {
  const Shape one{.gates = 4, .cell = true};
  for (const std::string f : {"Affine", "LeakyRelu", "ScaledTanh", "HardSigmoid", "Elu", "Softsign", "Softplus", "Relu", "ThresholdedRelu"}) {
    EXPECT_GRADIENTS(graph_of("LSTM", one, "activations = [\"Sigmoid\", \"" + f + "\", \"Tanh\"]")) << f;
    EXPECT_GRADIENTS(graph_of("LSTM", one, "activations = [\"HardSigmoid\", \"Tanh\", \"" + f +
                                               "\"], activation_alpha = [0.3, 0.7], activation_beta = [0.4, 0.9]")) << f;
  }
}

GRADIENT_TEST(RecurrentGradient, ClipStopsIt) {
  EXPECT_GRADIENTS(graph_of("LSTM", {.gates = 4, .cell = true}, "clip = 0.7"));
  EXPECT_GRADIENTS(graph_of("GRU", {.gates = 3}, "clip = 0.7"));
  EXPECT_GRADIENTS(graph_of("RNN", {.gates = 1}, "clip = 0.7"));
}

GRADIENT_TEST(RecurrentGradient, Gru) {
  for (const std::string before : {"linear_before_reset = 0", "linear_before_reset = 1"}) {
    EXPECT_GRADIENTS(graph_of("GRU", {.gates = 3}, before));
    EXPECT_GRADIENTS(graph_of("GRU", {.gates = 3}, before + ", direction = \"reverse\""));
    EXPECT_GRADIENTS(graph_of("GRU", {.gates = 3, .directions = 2}, before));
    EXPECT_GRADIENTS(graph_of("GRU", {.gates = 3, .directions = 2, .batch_first = true}, before));
    EXPECT_GRADIENTS(graph_of("GRU", {.gates = 3}, before + ", activations = [\"HardSigmoid\", \"Softsign\"]"));
    EXPECT_GRADIENTS(graph_of("GRU", {.gates = 3}, before, true));
  }
}

GRADIENT_TEST(RecurrentGradient, Rnn) {
  EXPECT_GRADIENTS(graph_of("RNN", {.gates = 1}, ""));
  EXPECT_GRADIENTS(graph_of("RNN", {.gates = 1, .directions = 2}, ""));
  EXPECT_GRADIENTS(graph_of("RNN", {.gates = 1, .directions = 2, .batch_first = true}, "activations = [\"Relu\", \"Sigmoid\"]"));
  EXPECT_GRADIENTS(graph_of("RNN", {.gates = 1}, "", true));
}

GRADIENT_TEST(RecurrentGradient, SequencesOfDifferentLengths) {
  const std::string inputs = "(x: float[4,3,2], w: float[2,8,2], r: float[2,8,2], b: float[2,16], h0: float[2,3,2], c0: float[2,3,2]) -> (y) ";
  EXPECT_GRADIENTS("graph g " + inputs + R"({ lens: int32[3] = {4, 0, 2}
    s, t, u = LSTM(x, w, r, b, lens, h0, c0) {hidden_size = 2, direction = "bidirectional"}
    flat: int64[1] = {-1}
    a = Reshape(s, flat)
    e = Reshape(t, flat)
    f = Reshape(u, flat)
    y = Concat(a, e, f) {axis = 0} })");
}

GRADIENT_TEST(RecurrentGradient, WithoutBiasAndStates) {
  EXPECT_GRADIENTS("graph g (x: float[3,2,3], w: float[1,8,3], r: float[1,8,2]) -> (y) { y = LSTM(x, w, r) }");
  EXPECT_GRADIENTS("graph g (x: float[3,2,3], w: float[1,6,3], r: float[1,6,2]) -> (y) { y = GRU(x, w, r) }");
  EXPECT_GRADIENTS("graph g (x: float[3,2,3], w: float[1,2,3], r: float[1,2,2]) -> (y) { y = RNN(x, w, r) }", {.fixed = {"x"}});
}

GRADIENT_TEST(RecurrentGradient, ReverseSequence) {
  for (const std::string axes : {"time_axis = 0, batch_axis = 1", "time_axis = 1, batch_axis = 0"}) {
    EXPECT_GRADIENTS("graph g (x: float[3,3,2]) -> (y) { lens: int64[3] = {3, 0, 2}\n y = ReverseSequence(x, lens) {" + axes + "} }") << axes;
  }
}

}  // namespace
}  // namespace espalier::testing
