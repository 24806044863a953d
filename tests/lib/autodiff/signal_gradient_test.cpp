// Gradients of transforms against central differences in double.
#include <gtest/gtest.h>

#include "tests/lib/autodiff/gradient_check.h"

namespace espalier::testing {
namespace {

std::string signal(const std::string& declared, const std::string& node, const std::string& constants = "", int opset = 20) {
  return one(declared, node, constants, opset);
}

GRADIENT_TEST(SignalGradient, DFT) {
  const std::string size = "l: int64[] = {7}\n axis: int64[] = {1}\n short: int64[] = {3}";
  for (const std::string node : {"DFT(x)", "DFT(x) {inverse = 1}", "DFT(x, l)", "DFT(x, short, axis)", "DFT(x, l, axis) {inverse = 1}"}) {
    EXPECT_GRADIENTS(signal("x: float[n,4,5,2]", node, size)) << node;
    EXPECT_GRADIENTS(signal("x: float[n,4,5,1]", node, size)) << node;
  }
  for (const std::string node : {"DFT(x) {onesided = 1}", "DFT(x, l) {onesided = 1}"}) {
    EXPECT_GRADIENTS(signal("x: float[n,4,6,1]", node, size)) << node;
  }
  EXPECT_GRADIENTS(signal("x: float[n,6,1]", "DFT(x) {axis = 1, onesided = 1}", "", 17));
}

GRADIENT_TEST(SignalGradient, STFT) {
  const std::string constants = "step: int64[] = {3}\n length: int64[] = {4}\n w: float[4] = {0.5, 1, 2, 0.25}";
  EXPECT_GRADIENTS(signal("x: float[n,11,1]", "STFT(x, step, w)", constants));
  EXPECT_GRADIENTS(signal("x: float[n,11,1]", "STFT(x, step, _, length) {onesided = 0}", constants));
  EXPECT_GRADIENTS(signal("x: float[n,11,2]", "STFT(x, step, w) {onesided = 0}", constants));
}

GRADIENT_TEST(SignalGradient, CumProd) {
  const std::string axes = "first: int64[] = {0}\n last: int64[] = {-1}";
  for (const std::string axis : {"first", "last"}) {
    for (const std::string attributes : {"", " {exclusive = 1}", " {reverse = 1}", " {exclusive = 1, reverse = 1}"}) {
      EXPECT_GRADIENTS(signal("x: float[4,3]", "CumProd(x, " + axis + ")" + attributes, axes, 26)) << axis << attributes;
    }
  }
  // Zeros, single and double.
  const GradientCheck zeros{.feeds = {{"x", Tensor::of<double>({2, 4}, {2, 0, 3, 5, 0, 7, 0, 2})}}};
  EXPECT_GRADIENTS(signal("x: float[2,4]", "CumProd(x, last)", axes, 26), zeros);
  EXPECT_GRADIENTS(signal("x: float[2,4]", "CumProd(x, last) {exclusive = 1}", axes, 26), zeros);
}

GRADIENT_TEST(SignalGradient, Swish) {
  EXPECT_GRADIENTS(signal("x: float[n,5]", "Swish(x)", "", 24));
  EXPECT_GRADIENTS(signal("x: float[n,5]", "Swish(x) {alpha = 1.7}", "", 24));
}

}  // namespace
}  // namespace espalier::testing
