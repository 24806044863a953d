#pragma once

#include "lib/kernels/kernel.h"

namespace espalier {

/// Copies a tensor from one layout to another of the same type and elements. Arguments: from, to. The dims may differ
/// as long as the row-major order of the elements is the same; where oneDNN cannot say that in one reorder, it takes two
/// with a plain copy between them. Throws Error(internal) where the numbers of elements differ.
Primitive reorder(const Layout& from, const Layout& to);

/// Copies the box [offsets, offsets + dims) of `whole` to a tensor `part` of those dims. Arguments: whole, part.
Primitive copy_box_out(const Layout& whole, const Layout& part, const Dims& offsets);
/// Copies `part` into the box of `whole` at `offsets`. Arguments: part, whole.
Primitive copy_box_in(const Layout& part, const Layout& whole, const Dims& offsets);
/// Transposes: to.dims()[i] == from.dims()[perm[i]], any layouts. Arguments: from, to.
Primitive transpose_copy(const Layout& from, const Layout& to, const Dims& perm);
/// Concatenates along `axis`. Arguments: the sources, then the result.
Primitive concat(const std::vector<Layout>& sources, const Layout& result, int64_t axis);

}  // namespace espalier
