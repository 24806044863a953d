#include "tests/passes/run_pass.h"

namespace espalier {
namespace {

const char* const kPass = "fuse-gemm";

TEST(FuseGemm, MakesMatMulAndAddOneGemm) {
  expect_pass(kPass, R"(graph g (x: float[n,3]) -> (y) {
      w: float[3,2] = fill(1)
      c: float[2] = {1, 2}
      "fc": h = MatMul(x, w)
      y = Add(h, c)
    })", R"(graph g (x: float[n,3]) -> (y) {
      w: float[3,2] = fill(1)
      c: float[2] = {1, 2}
      "fc": y = Gemm(x, w, c)
    })");
}

TEST(FuseGemm, TakesAConstantThatIsMadeLaterOrStandsFirst) {
  EXPECT_EQ(run_pass(kPass, R"(graph g (x: float[n,3]) -> (y) {
      w: float[3,2] = fill(1)
      h = MatMul(x, w)
      c = Constant() {value = float[1,2] {1, 2}}
      y = Add(c, h)
    })").count("gemms"), 1);
}

void expect_left(const std::string& type, const std::string& constant, const std::string& more = "", const std::string& outputs = "(y)") {
  expect_untouched(kPass, "graph g (x: " + type + ") -> " + outputs + " {\n w: float[3,2] = fill(1)\n" + constant +
                              "\n h = MatMul(x, w)\n y = Add(h, c)\n" + more + "}");
}

TEST(FuseGemm, LeavesWhatGemmCannotSay) {
  expect_left("float[n,4,3]", "c: float[2] = {1, 2}");
  expect_left("float[1,3]", "c: float[2,2] = iota");
  expect_left("float[n,3]", "c: float[1,1,2] = {1, 2}");
  expect_left("float[n,3]", "c: float[2] = {1, 2}", "z = Relu(h)\n", "(y, z)");
  expect_left("float[n,3]", "c: float[2] = {1, 2}", "", "(y, h)");
}

}  // namespace
}  // namespace espalier
