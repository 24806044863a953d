// Constants without the axis of the rows (directions, heads), beside rows that keep other positions than each other.
#include <gtest/gtest.h>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/analysis/importance.h"
#include "lib/graph/text.h"

namespace espalier {
namespace {

/// A bidirectional net whose directions lose different units, with `beside` written between it and the head.
std::string net(const std::string& constants, const std::string& beside) {
  return R"(graph g (x: float[3,2,4]) -> (y) opset 21 {
    w: float[2,10,4] = uniform(1, -0.5, 0.5)
    r: float[2,10,10] = uniform(2, -0.5, 0.5)
    b: float[2,20] = uniform(3, -0.5, 0.5)
    head: float[20,3] = uniform(4, -0.5, 0.5)
    shape: int64[2] = {2, 20}
    )" + constants + R"(
    h, h_last = RNN(x, w, r, b) {hidden_size = 10, direction = "bidirectional"}
    k = )" + beside + R"(
    t = Transpose(k) {perm = [1, 0, 2]}
    f = Reshape(t, shape)
    y = MatMul(f, head)
  })";
}

void expect_cuts(const std::string& text, double tolerance = 1e-9) {
  const Graph graph = parse_graph(text);
  for (const uint64_t seed : {3, 5, 7}) {
    UnitTable table = assign_units(graph);
    const Chosen chosen = choose_units(table, {keep_share(0.5), {}, seed});
    EXPECT_TRUE(chosen.notes.empty()) << chosen.notes.front();
    const auto feeds = random_feeds(table, seed);
    const Certificate found = certify(table, chosen.keep, chosen.cut, feeds);
    EXPECT_LT(found.error, tolerance) << print_graph(chosen.cut.graph);
    EXPECT_FALSE(found.vacuous);
    EXPECT_FALSE(first_difference(table, chosen.keep, chosen.cut, feeds, tolerance));
  }
}

TEST(RowConstants, WithoutTheAxisOfTheRows) { expect_cuts(net("c: float[10] = uniform(5, -1, 1)", "Add(h_last, c)")); }

TEST(RowConstants, WithThatAxisOfOne) { expect_cuts(net("c: float[1,1,10] = uniform(5, -1, 1)", "Mul(h_last, c)")); }

/// They become plain numbers, in single precision.
TEST(RowConstants, QuantizedWithAScaleForEachUnit) {
  const std::string scales = " s: float[10] = uniform(6, 0.01, 0.03)\n c = DequantizeLinear(q, s) {axis = -1}";
  expect_cuts(net("q: int8[10] = uniform(5, -100, 100)" + scales, "Add(h_last, c)"), 1e-6);
  expect_cuts(net("q: int8[1,1,10] = uniform(5, -100, 100)" + scales, "Mul(h_last, c)"), 1e-6);
}

TEST(RowConstants, QuantizedWithOneScale) {
  expect_cuts(net("q: int8[10] = uniform(5, -100, 100)\n s: float[] = {0.02}\n c = DequantizeLinear(q, s)", "Add(h_last, c)"));
}

}  // namespace
}  // namespace espalier
