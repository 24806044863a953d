#include "passes/simplify/simplify.h"

#include "passes/resources.h"
#include "passes/simplify/fold_constants.h"
#include "passes/simplify/inline_if.h"
#include "passes/simplify/lift_constants.h"
#include "passes/simplify/merge_duplicates.h"
#include "passes/simplify/merge_reshapes.h"
#include "passes/simplify/remove_dead_code.h"
#include "passes/simplify/remove_identities.h"

namespace espalier::passes {
namespace {

void run(PassContext& context) {
  const Pass* const parts[] = {&lift_constants, &fold_constants,   &inline_if,       &remove_identities,
                               &merge_reshapes, &merge_duplicates, &remove_dead_code};
  // Each round takes nodes away or settles one for good, so the bound is never met by a sound part.
  constexpr int kRounds = 100;
  for (int round = 0; round < kRounds; ++round) {
    bool changed = false;
    for (const Pass* part : parts) {
      stop_if_asked(context.resources());
      changed = context.run(*part) || changed;
    }
    if (!changed) return;
    context.count("rounds");
  }
  throw Error(ErrorKind::internal, "simplify reached no fixed point in 100 rounds");
}

constexpr PassOption kOptions[] = {
    {"growth", PassOption::Kind::integer, "1048576", "bytes by which folded results may enlarge the file, each round", "", 0},
};
constexpr PassCounter kCounters[] = {
    {"lifted", "Constant nodes that became initialisers"},
    {"folded", "nodes replaced by their value"},
    {"inlined", "If nodes replaced by the branch that is taken"},
    {"identities", "nodes taken out because they change nothing"},
    {"reshapes", "nodes that took over what their producer did, or a constant shape"},
    {"merged-nodes", "nodes that computed what another one does"},
    {"merged-constants", "integer initialisers equal to another one"},
    {"dead-nodes", "nodes that no output needs"},
    {"dead-initializers", "initialisers that no output needs"},
    {"rounds", "rounds in which something changed"},
};

}  // namespace

extern const Pass simplify;
const Pass simplify = {.name = "simplify",
                       .summary = "fold, clean and merge to a fixed point, keeping BatchNormalization",
                       .contract = Contract::equal,
                       .options = kOptions,
                       .counters = kCounters,
                       .run = run};

}  // namespace espalier::passes
