#include "lib/analysis/rebatch.h"

#include "passes/pass.h"

namespace espalier::passes {
namespace {

constexpr PassOption kOptions[] = {
    {.name = "n", .kind = PassOption::Kind::integer, .fallback = "", .help = "samples in a batch", .least = 1, .most = 1 << 20},
};

constexpr PassCounter kCounters[] = {{"rebatched", "1 where the batch was changed"}};

void run(PassContext& c) {
  if (!c.options().given("n")) throw Error(ErrorKind::usage, "rebatch needs n, the number of samples").hint("rebatch{n=32}");
  c.graph() = espalier::rebatch(c.graph(), c.options().integer("n"));
  c.count("rebatched");
  Verification verification;
  verification.state = Verification::State::unverified;
  verification.detail = "inputs of another size: nothing to compare with";
  c.checked(verification);
}

}  // namespace

extern const Pass rebatch;
const Pass rebatch = {
    .name = "rebatch",
    .summary = "makes the file's batch n, shape constants included",
    .contract = Contract::masked,
    .options = kOptions,
    .counters = kCounters,
    .run = run,
};

}  // namespace espalier::passes
