#include <algorithm>
#include <array>

#include "passes/pass.h"

namespace espalier {
namespace passes {
// One line a pass, sorted by name; each is defined in the file of its name.
extern const Pass finetune;
extern const Pass fold_constants;
extern const Pass fuse;
extern const Pass fuse_affine;
extern const Pass fuse_batch_norm;
extern const Pass fuse_gemm;
extern const Pass fuse_pad;
extern const Pass inline_if;
extern const Pass lift_constants;
extern const Pass merge_duplicates;
extern const Pass merge_reshapes;
extern const Pass prune;
extern const Pass rebatch;
extern const Pass remove_dead_code;
extern const Pass remove_identities;
extern const Pass simplify;
extern const Pass unroll;
}  // namespace passes

namespace {

constexpr std::array kPasses = {
    &passes::finetune,
    &passes::fold_constants,
    &passes::fuse,
    &passes::fuse_affine,
    &passes::fuse_batch_norm,
    &passes::fuse_gemm,
    &passes::fuse_pad,
    &passes::inline_if,
    &passes::lift_constants,
    &passes::merge_duplicates,
    &passes::merge_reshapes,
    &passes::prune,
    &passes::rebatch,
    &passes::remove_dead_code,
    &passes::remove_identities,
    &passes::simplify,
    &passes::unroll,
};

}  // namespace

std::span<const Pass* const> all_passes() { return kPasses; }

const Pass* find_pass(std::string_view name) {
  const auto found = std::find_if(kPasses.begin(), kPasses.end(), [&](const Pass* p) { return p->name == name; });
  return found == kPasses.end() ? nullptr : *found;
}

}  // namespace espalier
