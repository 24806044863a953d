// What moves, picks, repeats, orders and counts elements.
#include <algorithm>

#include "tests/fuzz/random_graph.h"

namespace espalier::testing {
namespace {

using Want = GraphDraw::Want;

Want some(int least_rank, int most_rank = 5) { return {.least_rank = least_rank, .most_rank = most_rank}; }

/// An axis, counted from the back half of the time.
int64_t said(GraphDraw& g, int64_t axis, int64_t rank) { return g.chance(0.5) ? axis : axis - rank; }

/// int64 indices in [0, n), some of them counted from the end.
Tensor indices(GraphDraw& g, const Dims& dims, int64_t n, bool negative = true) {
  Tensor result(DataType::int64, dims);
  for (auto& i : result.mutable_data<int64_t>()) i = g.below(n) - (negative && g.chance(0.2) ? n : 0);
  return result;
}

void transpose(GraphDraw& g) {
  const ValueId x = g.any(some(1));
  g.add("Transpose", {x}, {attribute("perm", g.permutation(g.rank(x)))}, true);
}

void reshape(GraphDraw& g) {
  const ValueId x = g.any(some(1));
  Dims dims = g.dims(x);
  for (int64_t rounds = g.between(1, 3); rounds > 0; --rounds) {  // axes are merged and split
    const size_t at = static_cast<size_t>(g.below(static_cast<int64_t>(dims.size())));
    if (g.chance(0.5) && at + 1 < dims.size()) {
      dims[at] *= dims[at + 1];
      dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    } else {
      for (const int64_t factor : {2, 3, 5}) {
        if (dims[at] % factor != 0 || dims.size() > 5) continue;
        dims[at] /= factor;
        dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(at), factor);
        break;
      }
    }
  }
  if (g.chance(0.4)) dims[static_cast<size_t>(g.below(static_cast<int64_t>(dims.size())))] = -1;
  g.add("Reshape", {x, g.integers(dims)}, {}, true);
}

void flatten(GraphDraw& g) {
  const ValueId x = g.any(some(1));
  g.add("Flatten", {x}, {attribute("axis", g.between(0, g.rank(x)))}, true);
}

void unsqueeze(GraphDraw& g) {
  const ValueId x = g.any(some(0, 4));
  g.add("Unsqueeze", {x, g.integers({g.between(-g.rank(x) - 1, g.rank(x))})}, {}, true);
}

void squeeze(GraphDraw& g) {
  Dims dims = g.any_dims(2, 4);
  const int64_t axis = g.below(static_cast<int64_t>(dims.size()));
  dims[static_cast<size_t>(axis)] = 1;
  g.add("Squeeze", {g.shaped(dims), g.integers({said(g, axis, static_cast<int64_t>(dims.size()))})}, {}, true);
}

void slice(GraphDraw& g) {
  const ValueId x = g.any(some(1));
  const auto axes = g.some_of(g.rank(x));
  std::vector<int64_t> starts, ends, steps;
  for (const int64_t axis : axes) {
    const int64_t n = g.dim(x, axis), a = g.below(n), b = g.between(a + 1, n);
    if (g.chance(0.25)) {  // backwards
      starts.push_back(b - 1), ends.push_back(a - 1 - n), steps.push_back(-g.between(1, 2));
    } else {
      starts.push_back(g.chance(0.3) ? a - n : a), ends.push_back(b == n && g.chance(0.3) ? INT64_MAX : b), steps.push_back(g.between(1, 2));
    }
  }
  g.add("Slice", {x, g.integers(starts), g.integers(ends), g.integers(axes), g.integers(steps)}, {}, true);
}

void split(GraphDraw& g) {
  const ValueId x = g.any(some(1));
  const int64_t axis = g.below(g.rank(x)), n = g.dim(x, axis);
  if (n < 2) throw GraphDraw::Skip();
  const int64_t first = g.between(1, n - 1);
  g.add_many("Split", {x, g.integers({first, n - first})}, 2, {attribute("axis", said(g, axis, g.rank(x)))}, true);
}

void concat(GraphDraw& g) {
  const ValueId x = g.any(some(1));
  const int64_t axis = g.below(g.rank(x));
  std::vector<ValueId> operands = {x};
  for (int64_t more = g.between(1, 2); more > 0; --more) {
    Dims dims = g.dims(x);
    if (g.chance(0.5)) dims[static_cast<size_t>(axis)] = g.between(1, 8);
    operands.push_back(g.chance(0.2) ? g.weight(dims) : g.shaped(dims));
  }
  g.add("Concat", operands, {attribute("axis", said(g, axis, g.rank(x)))}, true);
}

void gather(GraphDraw& g) {
  const ValueId x = g.chance(0.3) ? g.weight(g.any_dims(1, 3)) : g.any(some(1, 4));
  const int64_t axis = g.below(g.rank(x));
  const Tensor index = indices(g, g.any_dims(0, 2, 4), g.dim(x, axis));
  g.add("Gather", {x, g.constant(index)}, {attribute("axis", said(g, axis, g.rank(x)))}, true);
}

void gather_elements(GraphDraw& g) {
  const ValueId x = g.any(some(1, 4));
  const int64_t axis = g.below(g.rank(x));
  Dims dims = g.dims(x);
  for (size_t i = 0; i < dims.size(); ++i) dims[i] = static_cast<int64_t>(i) == axis ? g.between(1, 6) : g.between(1, dims[i]);
  g.add("GatherElements", {x, g.constant(indices(g, dims, g.dim(x, axis)))}, {attribute("axis", axis)}, true);
}

/// Index tuples [.., k] into the first k axes of `dims`.
Tensor tuples(GraphDraw& g, const Dims& dims, int64_t k, const Dims& lead) {
  Dims shape = lead;
  shape.push_back(k);
  Tensor result(DataType::int64, shape);
  auto data = result.mutable_data<int64_t>();
  for (size_t i = 0; i < data.size(); ++i) data[i] = g.below(dims[i % static_cast<size_t>(k)]);
  return result;
}

void gather_nd(GraphDraw& g) {
  const ValueId x = g.any(some(1, 4));
  const int64_t k = g.between(1, g.rank(x));
  g.add("GatherND", {x, g.constant(tuples(g, g.dims(x), k, g.any_dims(1, 2, 4)))}, {}, true);
}

void scatter_elements(GraphDraw& g) {
  const ValueId x = g.any(some(1, 4));
  const int64_t axis = g.below(g.rank(x)), n = g.dim(x, axis);
  Dims dims = g.dims(x);
  for (size_t i = 0; i < dims.size(); ++i) dims[i] = g.between(1, dims[i]);
  const bool sum = g.opset() >= 16 && g.chance(0.5);
  Tensor index = indices(g, dims, n);
  if (!sum) {  // no place twice: which one stays is not defined
    dims[static_cast<size_t>(axis)] = 1;
    index = indices(g, dims, n);
  }
  std::vector<Attribute> attributes = {attribute("axis", axis)};
  if (sum) attributes.push_back(attribute("reduction", std::string("add")));
  g.add("ScatterElements", {x, g.constant(index), g.shaped(dims)}, attributes, !sum);
}

void scatter_nd(GraphDraw& g) {
  const ValueId x = g.any(some(1, 4));
  const int64_t k = g.between(1, g.rank(x));
  const bool sum = g.opset() >= 16 && g.chance(0.5);
  const Dims lead = {sum ? g.between(1, 4) : 1};
  Dims updates = lead;
  for (int64_t i = k; i < g.rank(x); ++i) updates.push_back(g.dim(x, i));
  std::vector<Attribute> attributes;
  if (sum) attributes.push_back(attribute("reduction", std::string("add")));
  g.add("ScatterND", {x, g.constant(tuples(g, g.dims(x), k, lead)), g.shaped(updates)}, attributes, !sum);
}

void tile(GraphDraw& g) {
  const ValueId x = g.any(some(1, 4));
  std::vector<int64_t> repeats;
  for (int64_t i = 0; i < g.rank(x); ++i) repeats.push_back(g.between(1, 2));
  g.add("Tile", {x, g.integers(repeats)}, {}, true);
}

void expand(GraphDraw& g) {
  const Dims to = g.any_dims(1, 4);
  const ValueId x = g.shaped(g.broadcastable(to));
  g.add("Expand", {x, g.integers(to)}, {}, true);
}

void pad(GraphDraw& g) {
  const ValueId x = g.any(some(1, 4));
  const auto mode = g.one_of<std::string>({"constant", "constant", "reflect", "edge"});
  std::vector<int64_t> pads(static_cast<size_t>(2 * g.rank(x)));
  for (int64_t i = 0; i < g.rank(x); ++i) {
    const int64_t most = mode == "reflect" ? std::min<int64_t>(2, g.dim(x, i) - 1) : 2;
    pads[static_cast<size_t>(i)] = g.between(0, most);
    pads[static_cast<size_t>(i + g.rank(x))] = g.between(0, most);
  }
  if (mode == "constant" && g.chance(0.2)) pads[0] = -std::min<int64_t>(1, g.dim(x, 0) - 1);
  std::vector<ValueId> inputs = {x, g.integers(pads)};
  if (mode == "constant" && g.chance(0.5)) inputs.push_back(g.scalar(0.5));
  g.add("Pad", inputs, {attribute("mode", mode)}, true);
}

void depth_to_space(GraphDraw& g) {
  const int64_t b = g.between(2, 3);
  const ValueId x = g.shaped({g.between(1, 2), b * b * g.between(1, 4), g.between(1, 4), g.between(1, 4)});
  g.add("DepthToSpace", {x}, {attribute("blocksize", b), attribute("mode", g.one_of<std::string>({"DCR", "CRD"}))}, true);
}

void space_to_depth(GraphDraw& g) {
  const int64_t b = g.between(2, 3);
  const ValueId x = g.shaped({g.between(1, 2), g.between(1, 5), b * g.between(1, 3), b * g.between(1, 3)});
  g.add("SpaceToDepth", {x}, {attribute("blocksize", b)}, true);
}

void trilu(GraphDraw& g) {
  const ValueId x = g.any(some(2, 4));
  std::vector<ValueId> inputs = {x};
  if (g.chance(0.6)) inputs.push_back(g.constant(Tensor::scalar<int64_t>(g.between(-3, 3))));
  g.add("Trilu", inputs, {attribute("upper", g.below(2))}, true);
}

void cum_sum(GraphDraw& g) {
  if (g.float_type() == DataType::float16) throw GraphDraw::Skip();
  const ValueId x = g.any(some(1, 4));
  const ValueId axis = g.constant(Tensor::scalar<int64_t>(said(g, g.below(g.rank(x)), g.rank(x))));
  g.add("CumSum", {x, axis}, {attribute("exclusive", g.below(2)), attribute("reverse", g.below(2))});
}

void one_hot(GraphDraw& g) {
  const int64_t depth = g.between(2, 6);
  const ValueId index = g.constant(indices(g, g.any_dims(1, 3, 4), depth));
  const ValueId values = g.constant(Tensor::of<double>({2}, {0, 1}).cast(g.float_type()));
  g.add("OneHot", {index, g.constant(Tensor::scalar<int64_t>(depth)), values}, {attribute("axis", g.between(-1, 1))}, true);
}

void top_k(GraphDraw& g) {
  const ValueId x = g.any({.least_rank = 1, .most_rank = 4, .exact = true});
  const int64_t axis = g.below(g.rank(x));
  g.add_many("TopK", {x, g.integers({g.between(1, g.dim(x, axis))})}, 2,
             {attribute("axis", axis), attribute("largest", g.below(2)), attribute("sorted", int64_t{1})}, true);
}

void arg_extremum(GraphDraw& g, const char* op) {
  const ValueId x = g.any({.least_rank = 1, .exact = true});
  g.add(op, {x}, {attribute("axis", said(g, g.below(g.rank(x)), g.rank(x))), attribute("keepdims", g.below(2))}, true);
}

void reverse_sequence(GraphDraw& g) {
  const ValueId x = g.any(some(2, 4));
  const int64_t time = g.below(2);
  Tensor lengths(DataType::int64, {g.dim(x, 1 - time)});
  for (auto& n : lengths.mutable_data<int64_t>()) n = g.between(1, g.dim(x, time));
  g.add("ReverseSequence", {x, g.constant(lengths)}, {attribute("time_axis", time), attribute("batch_axis", 1 - time)}, true);
}

void shape_arithmetic(GraphDraw& g) {
  const ValueId x = g.any(some(1, 4));
  const ValueId sizes = g.add("Shape", {x}, {}, true);
  if (g.chance(0.5)) {
    g.add("Reshape", {x, g.add("Gather", {sizes, g.integers(g.permutation(g.rank(x)))}, {}, true)}, {}, true);
  } else {
    g.add("ConstantOfShape", {sizes}, {attribute("value", Tensor::of<double>({1}, {0.5}).cast(g.float_type()))}, true);
  }
}

}  // namespace

std::vector<Recipe> movement_recipes() {
  return {{"Transpose", transpose}, {"Reshape", reshape}, {"Reshape", reshape}, {"Flatten", flatten}, {"Unsqueeze", unsqueeze},
          {"Squeeze", squeeze}, {"Slice", slice}, {"Split", split}, {"Concat", concat}, {"Gather", gather},
          {"GatherElements", gather_elements}, {"GatherND", gather_nd}, {"ScatterElements", scatter_elements},
          {"ScatterND", scatter_nd}, {"Tile", tile}, {"Expand", expand}, {"Pad", pad}, {"DepthToSpace", depth_to_space},
          {"SpaceToDepth", space_to_depth}, {"Trilu", trilu, 14}, {"CumSum", cum_sum}, {"OneHot", one_hot}, {"TopK", top_k},
          {"ArgMax", [](GraphDraw& g) { arg_extremum(g, "ArgMax"); }}, {"ArgMin", [](GraphDraw& g) { arg_extremum(g, "ArgMin"); }},
          {"ReverseSequence", reverse_sequence}, {"Shape", shape_arithmetic}};
}

}  // namespace espalier::testing
