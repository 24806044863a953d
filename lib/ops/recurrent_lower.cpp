#include "lib/ops/recurrent_lower.h"

namespace espalier {

bool lower_recurrent(LowerContext&) { return false; }
bool lower_recurrent_grad(LowerContext&) { return false; }

}  // namespace espalier
