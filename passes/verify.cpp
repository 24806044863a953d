#include "passes/verify.h"

namespace espalier {

Verification verify_outputs(const Graph&, const Graph&, Contract, const Resources&) {
  return {Verification::State::unverified, 0, "nothing here runs a graph yet"};
}

}  // namespace espalier
