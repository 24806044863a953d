#include "lib/graph/dim.h"

#include <gtest/gtest.h>

#ifdef ESPALIER_RAPIDCHECK
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>
#endif

#include "lib/base/error.h"

namespace espalier {
namespace {

const Dim n = Dim::symbol("n"), h = Dim::symbol("h");

TEST(Dim, IsKnownSymbolicOrUnknown) {
  EXPECT_TRUE(Dim(3).known());
  EXPECT_EQ(Dim(3).value(), 3);
  EXPECT_TRUE(Dim().unknown());
  EXPECT_FALSE(n.known());
  EXPECT_EQ(n.symbol_name(), "n");
  EXPECT_EQ((n + 1).symbol_name(), std::nullopt);
  EXPECT_EQ((n + 0).symbol_name(), "n");
  EXPECT_THROW(n.value(), Error);
}

TEST(Dim, EqualsByItsPolynomial) {
  EXPECT_EQ(n + h, h + n);
  EXPECT_EQ(2 * n + n - n, n * 2);
  EXPECT_EQ((n + 1) * (n - 1), n * n - 1);
  EXPECT_TRUE((n - n).is(0));
  EXPECT_FALSE(n == h);
  EXPECT_FALSE(Dim() == Dim());
  EXPECT_TRUE(Dim().same_as(Dim()));
  EXPECT_TRUE((Dim() * 0).is(0));
  EXPECT_TRUE((Dim() + 1).unknown());
}

TEST(Dim, DividesWhereThatIsExact) {
  EXPECT_EQ(floor_div(4 * n + 6, 2), 2 * n + 3);
  EXPECT_EQ(floor_div(Dim(7), 2), Dim(3));
  EXPECT_EQ(floor_div(Dim(-7), 2), Dim(-4));
  EXPECT_EQ(floor_div(2 * n + 1, 2), n);  // floor(n + 1/2)
  EXPECT_EQ(exact_div(6 * n * h, 2 * n), 3 * h);
  EXPECT_EQ(exact_div(n + 1, n + 1), Dim(1));
  EXPECT_EQ(exact_div(n + 1, n), std::nullopt);
  EXPECT_EQ(exact_div(3 * n, Dim(2)), std::nullopt);
  EXPECT_EQ(exact_div(n, Dim(0)), std::nullopt);
  EXPECT_EQ(floor_div(n + 1, 2), floor_div(n + 1, 2));
}

TEST(Dim, PutsNumbersForSymbols) {
  EXPECT_EQ((2 * n * h + n).substitute({{"n", 3}}), 6 * h + 3);
  EXPECT_EQ((2 * n * h + n).substitute({{"n", 3}, {"h", 2}}), Dim(15));
}

TEST(Dim, PutsNumbersIntoFloors) {
  const Dim halved = floor_div(floor_div(h - 1, 2) * 3 + n * h + 1, 4);
  EXPECT_FALSE(halved.known());
  EXPECT_EQ(halved.substitute({{"h", 8}, {"n", 2}}), Dim((7 / 2 * 3 + 16 + 1) / 4));
  EXPECT_EQ(halved.substitute({{"n", 2}}).str(), halved.str());  // not all are given
  EXPECT_EQ((halved * 2 + n).substitute({{"h", 8}, {"n", 2}}), Dim(2 * ((7 / 2 * 3 + 16 + 1) / 4) + 2));
  EXPECT_EQ(floor_div(-1 * h, 2).substitute({{"h", 3}}), Dim(-2));
}

TEST(Dim, Prints) {
  EXPECT_EQ(Dim(32).str(), "32");
  EXPECT_EQ(n.str(), "n");
  EXPECT_EQ((2 * h + 1).str(), "2*h+1");
  EXPECT_EQ((n - 1).str(), "n-1");
  EXPECT_EQ(Dim().str(), "?");
  EXPECT_EQ(Dim(0).str(), "0");
}

TEST(Dim, OverflowIsAnError) { EXPECT_THROW(n * (int64_t{1} << 40) * (int64_t{1} << 40), Error); }

#ifdef ESPALIER_RAPIDCHECK

// A polynomial, and the same computed with numbers.
struct Both {
  Dim dim;
  int64_t value;
};
const std::map<std::string, int64_t> kSizes = {{"n", 5}, {"h", 7}};

Both any_dim() {
  Both sum{Dim(0), 0};
  const int terms = *rc::gen::inRange(0, 4);
  for (int i = 0; i < terms; ++i) {
    const int64_t c = *rc::gen::inRange<int64_t>(-5, 6);
    const bool with_n = *rc::gen::arbitrary<bool>(), with_h = *rc::gen::arbitrary<bool>();
    sum.dim = sum.dim + Dim(c) * (with_n ? n : Dim(1)) * (with_h ? h : Dim(1));
    sum.value += c * (with_n ? 5 : 1) * (with_h ? 7 : 1);
  }
  return sum;
}

RC_GTEST_PROP(DimProperty, ArithmeticAgreesWithNumbers, ()) {
  const Both a = any_dim(), b = any_dim();
  RC_ASSERT((a.dim + b.dim).substitute(kSizes).value() == a.value + b.value);
  RC_ASSERT((a.dim - b.dim).substitute(kSizes).value() == a.value - b.value);
  RC_ASSERT((a.dim * b.dim).substitute(kSizes).value() == a.value * b.value);
}

RC_GTEST_PROP(DimProperty, ExactDivisionUndoesMultiplication, ()) {
  const Both a = any_dim();
  const Dim b = Dim(*rc::gen::inRange<int64_t>(1, 9)) * n;
  const auto quotient = exact_div(a.dim * b, b);
  RC_ASSERT(quotient.has_value());
  RC_ASSERT(*quotient == a.dim);
}

#endif

}  // namespace
}  // namespace espalier
