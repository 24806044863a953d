// Unit rules of DepthToSpace and SpaceToDepth: a reshape, a transposition and a reshape of ids.

#include "lib/ops/cut.h"
#include "lib/ops/unit_rules_movement.h"

namespace espalier {
namespace {

struct Blocks {
  int64_t block, channels;  ///< channels of the side that has space
  bool to_space, depth_first;
  Dims x;                   ///< [N, C, H, W] of the input
};

Blocks blocks_of(const UnitNode& c) {
  Blocks b;
  b.block = c.node().require<int64_t>("blocksize");
  b.to_space = c.op() == "DepthToSpace";
  b.depth_first = c.node().get<std::string>("mode", "DCR") == "DCR";
  b.x = c.dims(c.input(0));
  b.channels = b.to_space ? b.x[1] / (b.block * b.block) : b.x[1];
  return b;
}

/// [C, H, W] of the input, as the op moves it.
IndexArray moved(const Blocks& b, const IndexArray& ids) {
  const int64_t n = b.block, h = b.x[2], w = b.x[3];
  if (!b.to_space) {
    return ids.reshaped({b.channels, h / n, n, w / n, n}).transposed({2, 4, 0, 1, 3}).reshaped({b.channels * n * n, h / n, w / n});
  }
  const IndexArray split = b.depth_first ? ids.reshaped({n, n, b.channels, h, w}).transposed({2, 3, 0, 4, 1})
                                         : ids.reshaped({b.channels, n, n, h, w}).transposed({0, 3, 1, 4, 2});
  return split.reshaped({b.channels, h * n, w * n});
}

/// Channel of the deep side that holds place (i, j) of a block of channel k.
int64_t deep_channel(const Blocks& b, int64_t k, int64_t place) {
  return b.depth_first ? place * b.channels + k : k * b.block * b.block + place;
}

constexpr int kChannel = 1;

}  // namespace

void units::depth_to_space(UnitContext& c) {
  const ValueId x = c.input(0), out = c.output();
  const Blocks b = blocks_of(c);
  std::vector<Bundle> result;
  for (const Bundle& own : c.bundles(x)) {
    if (own.axes == std::vector<int>{0}) {
      result.push_back(own);
      continue;
    }
    if (own.has(0)) {
      c.freeze(own.ids, c.op() + " with the batch axis among its rows");
      continue;
    }
    Bundle whole{{1, 2, 3}, moved(b, spread(own, {1, 2, 3}, b.x)), kChannel};
    Bundle tidied = c.tidy(whole, c.dims(out));
    if (tidied.ragged < 0) c.freeze(own.ids, "the whole axis is one unit");
    else result.push_back(std::move(tidied));
  }
  c.set(out, std::move(result));
}

namespace {

/// What is left of the result's channels where the input keeps `order`, channel by place; empty where the op, with fewer
/// channels, would not say it.
std::vector<int32_t> left_by_place(const Blocks& b, const std::vector<int64_t>& order) {
  const int64_t places = b.block * b.block, channels = static_cast<int64_t>(order.size()) / places;
  std::vector<int32_t> left;
  for (int64_t k = 0; k < channels; ++k) {
    for (int64_t place = 0; place < places; ++place) {
      const int64_t at = order[static_cast<size_t>(b.depth_first ? place * channels + k : k * places + place)];
      const int64_t was_place = b.depth_first ? at / b.channels : at % places;
      if (was_place != place) return {};
      left.push_back(static_cast<int32_t>(b.depth_first ? at % b.channels : at / places));
    }
  }
  return left;
}

/// [channels, places] on the result's axes: rows are the places in a block, over all of space.
Bundle over_space(const Blocks& b, const IndexArray& left) {
  const int64_t n = b.block, h = b.x[2], w = b.x[3], channels = left.dim(0);
  const IndexArray split = left.reshaped({channels, 1, n, 1, n}).broadcast_to({channels, h, n, w, n});
  return {{1, 2, 3}, split.reshaped({channels, h * n, w * n}), kChannel};
}

void cut_to_space(CutContext& c, const Blocks& b) {
  const ValueId x = c.input(0);
  const std::vector<int64_t> order = c.order(x, kChannel);
  const int64_t places = b.block * b.block, channels = static_cast<int64_t>(order.size()) / places;
  if (channels * places != static_cast<int64_t>(order.size()) || channels == 0) c.inexpressible(x, kChannel, "DepthToSpace of unequal rows");
  std::vector<int32_t> left = left_by_place(b, order);
  if (left.empty()) {  // one Gather before it brings the places together
    std::vector<std::vector<int64_t>> of_place(static_cast<size_t>(places));
    for (size_t p = 0; p < order.size(); ++p) {
      of_place[static_cast<size_t>(b.depth_first ? order[p] / b.channels : order[p] % places)].push_back(static_cast<int64_t>(p));
    }
    std::vector<int64_t> index(order.size()), gathered(order.size());
    for (int64_t k = 0; k < channels; ++k) {
      for (int64_t place = 0; place < places; ++place) {
        const auto& list = of_place[static_cast<size_t>(place)];
        if (static_cast<int64_t>(list.size()) != channels) c.inexpressible(x, kChannel, "DepthToSpace of unequal rows");
        const auto to = static_cast<size_t>(b.depth_first ? place * channels + k : k * places + place);
        index[to] = list[static_cast<size_t>(k)];
        gathered[to] = order[static_cast<size_t>(index[to])];
      }
    }
    c.set_input(0, c.gather(c.current(0), kChannel, index, "DepthToSpace"));
    left = left_by_place(b, gathered);
  }
  const Bundle whole = over_space(b, IndexArray({channels, places}, std::move(left)));
  Bundle tidied = whole;  // without the axes along which the places agree
  for (const int axis : {3, 2}) {
    if (tidied.ids.constant_along(tidied.position(axis))) tidied = tidied.without(axis);
  }
  c.record(c.output(), {tidied});
}

void cut_to_depth(CutContext& c, const Blocks& b) {
  const std::vector<int64_t> order = c.order(c.input(0), kChannel);
  std::vector<int32_t> left;
  for (int64_t place = 0; place < b.block * b.block; ++place) {
    for (const int64_t k : order) left.push_back(static_cast<int32_t>(deep_channel(b, k, place)));
  }
  const auto count = static_cast<int64_t>(left.size());
  c.record(c.output(), {Bundle::along(kChannel, IndexArray({count}, std::move(left)))});
}

}  // namespace

void cuts::depth_to_space(CutContext& c) {
  const ValueId x = c.input(0);
  const Blocks b = blocks_of(c);
  std::vector<Bundle> passing;
  bool channels = false;
  for (const Bundle& k : c.kept(x)) {
    if (k.ragged == 0 && k.axes.size() == 1) passing.push_back(k);
    else if (k.ragged == kChannel) channels = true;
    else c.inexpressible(x, k.ragged, c.op() + ": batch or spatial axis");
  }
  if (channels && !passing.empty()) c.inexpressible(x, kChannel, c.op() + " with two pruned axes");
  if (!channels) return c.record(c.output(), std::move(passing));
  if (b.to_space) cut_to_space(c, b);
  else cut_to_depth(c, b);
}

}  // namespace espalier
