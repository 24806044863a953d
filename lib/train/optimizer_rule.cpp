#include "lib/train/optimizer_rule.h"

#include "lib/base/error.h"
#include "lib/train/adam.h"
#include "lib/train/adaptive.h"
#include "lib/train/sgd.h"

namespace espalier {

std::span<const OptimizerRule* const> all_optimizer_rules() {
  static constexpr const OptimizerRule* kRules[] = {&kAdagrad, &kAdam, &kAdamW, &kMomentum, &kNesterov, &kRmsprop, &kSgd};
  return kRules;
}

const OptimizerRule& find_optimizer_rule(std::string_view name) {
  std::string names;
  for (const OptimizerRule* rule : all_optimizer_rules()) {
    if (rule->name == name) return *rule;
    names += (names.empty() ? "" : ", ") + std::string(rule->name);
  }
  throw Error(ErrorKind::usage, "optimizer '" + std::string(name) + "' is not known").hint("there are " + names);
}

}  // namespace espalier
