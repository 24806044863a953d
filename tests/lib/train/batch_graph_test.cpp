#include "lib/train/batch_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/error.h"
#include "lib/graph/text.h"

namespace espalier {
namespace {

/// A cache that one sample's frames are joined with: the batch cannot be another.
const char* const kStream = R"(graph g (x: float[1,4]) -> (y) opset 13 {
  cache: float[1,2] = {1, 2}
  w: float[6,3] = fill(1)
  h = Concat(cache, x) {axis = 1}
  y = MatMul(h, w)
})";

TEST(AnyBatch, AnOpenGraphStaysAndAFixedOneIsRebatched) {
  const Graph open = parse_graph("graph g (x: float[n,4]) -> (y) opset 13 { y = Relu(x) }");
  EXPECT_TRUE(same_graph(at_any_batch(open, 8), open));
  const Graph fixed = parse_graph("graph g (x: float[1,4]) -> (y) opset 13 { y = Relu(x) }");
  EXPECT_EQ(at_any_batch(fixed, 8).value(fixed.inputs[0]).type.str(), "float[8,4]");
  EXPECT_EQ(only_batch(open), 0);
  EXPECT_EQ(only_batch(fixed), 0);
}

TEST(AnyBatch, AGraphOfOneBatchRunsAtThatOne) {
  const Graph stream = parse_graph(kStream);
  EXPECT_TRUE(same_graph(at_any_batch(stream, 1), stream));
  EXPECT_EQ(only_batch(stream), 1);
}

TEST(AnyBatch, AGraphOfOneBatchRefusesAnother) {
  try {
    at_any_batch(parse_graph(kStream), 8);
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("samples of a batch would meet"));
    EXPECT_EQ(e.hint(), "the model runs at its own batch size alone: use 1");
  }
}

}  // namespace
}  // namespace espalier
