#include <gtest/gtest.h>

#include <algorithm>

#include "lib/analysis/budget.h"
#include "lib/analysis/importance.h"
#include "lib/onnx_io/load.h"
#include "tests/support/environment.h"

namespace espalier {
namespace {

constexpr const char* kClassifiers[] = {"alexis__mnist",
                                        "burn__mnist",
                                        "germanov__mnist",
                                        "ort_examples__mnist_cntk",
                                        "whitematter__mnist_cnn",
                                        "vnncomp2021__cifar10_resnet__resnet_2b",
                                        "vnncomp2021__oval21__cifar_base_kw",
                                        "vnncomp2021__oval21__cifar_deep_kw",
                                        "vnncomp2021__marabou-cifar10__cifar10_large",
                                        "vnncomp2021__mnistfc__mnist-net_256x4",
                                        "vnncomp2021__verivital__Convnet_maxpool",
                                        "vnncomp2022__sri_resnet_a__resnet_3b2_bn_mixup_adv_4.0_bs128_lr-1",
                                        "vnncomp2022__cifar_biasfield__cifar_base"};

/// The largest share of the MACs that one aligned step of a group takes from the whole net.
double coarsest_step(UnitTable& table) {
  const auto whole = static_cast<double>(cost_at(table, *table.graph).macs);
  double most = 0;
  for (const UnitGroup& group : unit_groups(table)) {
    const int64_t step = aligned_step(static_cast<int64_t>(group.members.size()), 0);
    if (static_cast<int64_t>(group.free.size()) <= step) continue;
    const auto counts = [&](const std::vector<UnitGroup>& groups) {
      std::vector<int64_t> result;
      for (const UnitGroup& g : groups) result.push_back(static_cast<int64_t>(g.free.size()) - (g.name == group.name ? step : 0));
      return result;
    };
    const Chosen less = choose_units(table, {counts, {}, 0});
    most = std::max(most, 1 - static_cast<double>(cost_at(table, less.cut.graph).macs) / whole);
  }
  return most;
}

TEST(BudgetOfTheZoo, IsMetFromBelowWithinTwoPercentOrAnAlignedStep) {
  if (!exists(testing::shared_path("zoo"))) GTEST_SKIP() << "no shared zoo (set ESPALIER_SHARED)";
  for (const char* name : kClassifiers) {
    const Model model = load_model(testing::shared_path(std::string("zoo/") + name + ".onnx"));
    for (const bool global : {true, false}) {
      SCOPED_TRACE(std::string(name) + (global ? ", global" : ", layer"));
      UnitTable table = assign_units(model.graph);
      BudgetOptions options;
      options.share = 0.5;
      options.global = global;
      options.scores = unit_importance(table, {});
      const double step = coarsest_step(table);
      const BudgetResult r = meet_budget(table, options);
      EXPECT_TRUE(r.met);
      EXPECT_LE(r.reached, 0.5);
      EXPECT_GE(r.reached, 0.5 - std::max(0.02, step));
      std::printf("%s%s: %.3f, coarsest step %.3f\n", name, global ? ", global" : ", layer", r.reached, step);
    }
  }
}

}  // namespace
}  // namespace espalier
