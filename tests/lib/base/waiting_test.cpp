#include "lib/base/waiting.h"

#include <gtest/gtest.h>

namespace espalier {
namespace {

TEST(Waiting, IsPassiveWhereMoreTasksRunThanThereAreCpus) {
  EXPECT_TRUE(oversubscribed("0.20 0.30 0.40 5/300 1234", 4));
  EXPECT_FALSE(oversubscribed("9.20 8.30 7.40 4/300 1234", 4));
}

TEST(Waiting, SpinsWhereTheLoadIsNotKnown) {
  for (const char* text : {"", "0.1 0.2", "0.1 0.2 0.3 x/2 5", "/"}) EXPECT_FALSE(oversubscribed(text, 1)) << text;
  EXPECT_FALSE(oversubscribed("0.1 0.2 0.3 5/300 1234", 0));
}

}  // namespace
}  // namespace espalier
