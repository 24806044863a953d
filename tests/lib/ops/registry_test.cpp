#include <gtest/gtest.h>

#include <algorithm>

#include "lib/ops/op.h"
#include "lib/ops/schema_versions.h"

namespace espalier {
namespace {

TEST(Registry, IsSortedByDomainAndNameWithoutRepeats) {
  const auto ops = all_ops();
  for (size_t i = 1; i < ops.size(); ++i) {
    EXPECT_LT(std::pair(ops[i - 1]->domain, ops[i - 1]->name), std::pair(ops[i]->domain, ops[i]->name));
  }
}

TEST(Registry, EveryOperatorIsFoundAndHasTheRequiredFacets) {
  for (const Op* op : all_ops()) {
    EXPECT_EQ(find_op(op->domain, op->name), op) << op->name;
    EXPECT_TRUE(op->infer) << op->name;
    EXPECT_TRUE(op->evaluate) << op->name;
  }
}

TEST(Registry, UnknownNamesDomainsAndVersionsAreOpaque) {
  Node node;
  node.op_type = "Identity";
  node.version = 13;
  EXPECT_NE(find_op(node), nullptr);
  node.version = 99;
  EXPECT_EQ(find_op(node), nullptr);
  node.version = 13;
  node.domain = "com.example";
  EXPECT_EQ(find_op(node), nullptr);
}

TEST(Registry, AnUnchangedOperatorIsReadInNewerOpsets) {
  Node node;
  node.op_type = "Add";  // since 14 as it is
  for (const int opset : {7, 14, 23, 24, kNewestOpset}) {
    node.version = opset;
    EXPECT_NE(find_op(node), nullptr) << opset;
  }
  node.version = kNewestOpset + 1;
  EXPECT_EQ(find_op(node), nullptr) << "nobody knows what comes";
}

TEST(Registry, AFormThatIsNewerThanWhatIsKnownIsOpaque) {
  for (const Op* op : all_ops()) {
    if (!op->domain.empty()) continue;
    Node node;
    node.op_type = op->name;
    for (node.version = op->since; node.version <= kNewestOpset; ++node.version) {
      const bool known = schema_version(op->name, node.version) <= op->until;
      EXPECT_EQ(find_op(node) == op, known) << op->name << " in opset " << node.version;
    }
  }
}

TEST(SchemaVersion, IsTheNewestFormThatTheOpsetHas) {
  EXPECT_EQ(schema_version("Relu", 13), 13);
  EXPECT_EQ(schema_version("Relu", 12), 6);
  EXPECT_EQ(schema_version("Relu", kNewestOpset), 14);
  EXPECT_EQ(schema_version("Range", kNewestOpset), 27);
  EXPECT_EQ(schema_version("Cast", 24), 24);
  EXPECT_EQ(schema_version("NoSuchOperator", 13), 13);
}

}  // namespace
}  // namespace espalier
