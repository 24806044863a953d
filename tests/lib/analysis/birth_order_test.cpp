// The order in which weights make their outputs is free: the surgeon takes one that spares a Gather.
#include <gtest/gtest.h>

#include "lib/analysis/certificate.h"
#include "lib/analysis/choose.h"
#include "lib/graph/text.h"

namespace espalier {
namespace {

int64_t count(const Graph& graph, const std::string& op) {
  int64_t n = 0;
  for (const NodeId id : graph.nodes()) n += graph.node(id).op_type == op ? 1 : 0;
  return n;
}

// Even and odd channels go two ways, and different ones of them stay.
TEST(BirthOrder, AReshapeThatPartsChannelsNeedsNoGather) {
  const Graph graph = parse_graph(R"(graph g (x: float[1,3,4,4]) -> (y: float[1,2,4,4]) opset 13 {
    w: float[8,3,1,1] = fill(1)
    b: float[8] = fill(5)
    u: float[8,8,1,1] = fill(6)
    parts: int64[5] = {1, 4, 2, 4, 4}
    zero: int64[] = {0}
    one: int64[] = {1}
    v: float[2,4,1,1] = fill(2)
    z: float[2,4,1,1] = fill(3)
    c = Conv(x, w, b)
    d = Conv(c, u)
    s = Add(c, d)
    h = Relu(s)
    p = Reshape(h, parts)
    even = Gather(p, zero) {axis = 2}
    odd = Gather(p, one) {axis = 2}
    l = Conv(even, v)
    r = Conv(odd, z)
    y = Add(l, r)
  })");
  UnitTable table = assign_units(graph);
  std::vector<bool> keep(static_cast<size_t>(table.units.size()), true);
  const UnitBirth& born = table.births.front();
  for (const int32_t gone : {0, 2, 3, 7}) keep[static_cast<size_t>(table.units.find(born.first + gone))] = false;  // 4 6 | 1 5
  const Chosen chosen = cut_chosen(table, keep);
  EXPECT_TRUE(chosen.cut.gathers.empty()) << print_graph(chosen.cut.graph);
  EXPECT_EQ(count(chosen.cut.graph, "Gather"), 2);
  const auto feeds = random_feeds(table, 3);
  EXPECT_LT(certify(table, chosen.keep, chosen.cut, feeds).error, 1e-12);
  EXPECT_FALSE(first_difference(table, chosen.keep, chosen.cut, feeds));
}

}  // namespace
}  // namespace espalier
