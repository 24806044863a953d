#include "lib/base/error.h"

#include <gtest/gtest.h>

namespace espalier {
namespace {

TEST(Error, CarriesKindMessageAndHint) {
  try {
    throw Error(ErrorKind::bad_data, "weight has 3 channels").hint("expected 4");
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 3);
    EXPECT_STREQ(error.what(), "weight has 3 channels");
    EXPECT_EQ(error.hint(), "expected 4");
  }
}

TEST(Error, IsOneLineOfBoundedLength) {
  const Error error(ErrorKind::bad_data, "name\nwith\tcontrol\x1b characters" + std::string(5000, 'a'));
  const std::string message = error.what();
  EXPECT_EQ(message.find_first_of("\n\t\x1b"), std::string::npos);
  EXPECT_LT(message.size(), 1100u);
}

TEST(Check, ThrowsWhereAnInvariantIsBroken) {
  EXPECT_NO_THROW(check(true, "fine"));
  try {
    check(false, "one is two");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
  }
}

}  // namespace
}  // namespace espalier
