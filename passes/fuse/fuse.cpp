#include "passes/fuse/fuse.h"

#include "passes/fuse/fuse_affine.h"
#include "passes/fuse/fuse_batch_norm.h"
#include "passes/fuse/fuse_gemm.h"
#include "passes/fuse/fuse_pad.h"
#include "passes/resources.h"
#include "passes/simplify/remove_dead_code.h"

namespace espalier::passes {
namespace {

void run(PassContext& context) {
  const Pass* const parts[] = {&fuse_pad, &fuse_gemm, &fuse_batch_norm, &fuse_affine};
  constexpr int kRounds = 100;  // each round takes nodes away
  for (int round = 0; round < kRounds; ++round) {
    bool changed = false;
    for (const Pass* part : parts) {
      stop_if_asked(context.resources());
      changed = context.run(*part) || changed;
    }
    if (!changed) return;
    context.run(remove_dead_code);
  }
  throw Error(ErrorKind::internal, "fuse reached no fixed point in 100 rounds");
}

constexpr PassCounter kCounters[] = {
    {"batch-norms", "BatchNormalizations that went into weights"},
    {"affines", "Mul, Div, Add and Sub that went into weights"},
    {"gemms", "pairs of MatMul and Add that became a Gemm"},
    {"pads", "Convs that took over a Pad"},
};

}  // namespace

extern const Pass fuse;
const Pass fuse = {.name = "fuse",
                   .summary = "put normalisation, factors and padding into the weights; last",
                   .contract = Contract::equal,
                   .counters = kCounters,
                   .run = run};

}  // namespace espalier::passes
