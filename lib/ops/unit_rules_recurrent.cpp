#include <algorithm>

#include "lib/ops/cut.h"
#include "lib/ops/recurrent.h"
#include "lib/ops/unit_rules.h"
#include "lib/tensor/take.h"

namespace espalier {
namespace {

namespace in = recurrent;

/// Sizes and axes of a recurrent node whose weights are constants.
struct Layer {
  RecurrentForm form;
  int64_t hidden, gates;
  int state_direction, y_direction;  ///< axes of the directions in states and in Y
};

std::optional<Layer> layer_of(const UnitNode& c) {
  for (const size_t i : {in::W, in::R, in::B, in::P}) {
    if (c.active(c.input(i))) return std::nullopt;
  }
  if (!c.active(c.input(in::X))) return std::nullopt;
  const RecurrentForm form = recurrent_form(c.node());
  const bool first = form.batch_first;
  return Layer{form, c.dim(c.input(in::R), 2), form.gates(), first ? 1 : 0, first ? 2 : 1};
}

/// Ids [D, H] along the rows [blocks * H] of a weight, one direction after the other.
IndexArray of_rows(const IndexArray& ids, int64_t blocks) {
  std::vector<int32_t> all;
  const int64_t hidden = ids.dim(1);
  for (int64_t d = 0; d < ids.dim(0); ++d) {
    for (int64_t block = 0; block < blocks; ++block) {
      for (int64_t i = 0; i < hidden; ++i) all.push_back(ids[d * hidden + i]);
    }
  }
  const auto count = static_cast<int64_t>(all.size());
  return IndexArray({count}, std::move(all));
}

/// A state that is no constant joins the hidden units; one without ids freezes them.
void join_state(UnitContext& c, const Layer& layer, ValueId state, const IndexArray& ids) {
  const int batch_axis = 1 - layer.state_direction;
  c.freeze_axis(state, batch_axis, "batch axis of " + c.op());
  const Bundle* given = nullptr;
  for (const Bundle& b : c.bundles(state)) {
    if (b.ragged == 2) given = &b;
    else c.freeze(b.ids, "direction axis of " + c.op());
  }
  if (!given) return c.freeze(ids, "initial state is fixed (graph input)");
  std::vector<int> axes = merged_axes(given->axes, {layer.state_direction, 2});
  const IndexArray wide = spread(*given, axes, c.dims(state));
  c.units().unite(wide.reshaped({layer.form.directions, layer.hidden}), ids);
}

}  // namespace

/// Hidden units are born as rows [D, H]; R sums them away again, gates and biases repeat them.
void units::recurrent(UnitContext& c) {
  const auto layer = layer_of(c);
  if (!layer) return c.opaque();
  const ValueId x = c.input(in::X);
  const auto k = c.axis_ids(x, 2);
  for (const Bundle& b : c.bundles(x)) {
    if (b.ragged != 2) c.freeze(b.ids, "time or batch axis of " + c.op());
  }
  if (k) c.weight_sink(in::W, 2, *k);
  if (c.active(c.input(in::sequence_lens))) c.freeze_value(c.input(in::sequence_lens), "sequence lengths of " + c.op());

  const int64_t directions = layer->form.directions;
  const IndexArray ids = c.born({directions, layer->hidden});
  if (directions > 1) c.constrain(ids, "directions of " + c.node().where());
  for (const size_t i : {in::initial_h, in::initial_c}) {
    if (c.active(c.input(i))) join_state(c, *layer, c.input(i), ids);
  }
  c.weight_sink(in::R, 2, ids.reshaped({ids.size()}), directions);
  c.weight_rows(in::W, 1, of_rows(ids, layer->gates), directions);
  c.weight_rows(in::R, 1, of_rows(ids, layer->gates), directions);
  const int y = layer->y_direction, s = layer->state_direction;
  c.set(c.output(0), std::vector<Bundle>{{{y, 3}, ids, 3}});
  for (const size_t i : {1, 2}) c.set(c.output(i), std::vector<Bundle>{{{s, 2}, ids, 2}});
}

namespace {

/// What is left of a recurrent node's weights.
class RecurrentCut {
 public:
  RecurrentCut(CutContext& c, const Layer& layer) : c_(c), layer_(layer), inputs_(c.order(c.input(in::X), 2)) {
    const int64_t directions = layer.form.directions;
    const std::vector<Bundle> left = c.canonical(std::vector<Bundle>{{{0, 1}, c.born_ids({directions, layer.hidden}), 1}});
    for (int64_t d = 0; d < directions; ++d) {
      kept_.push_back(left.empty() ? whole_order(layer.hidden) : to_order(left[0].ids.taken(0, {&d, 1})));
    }
  }

  void run() {
    cut_weight(in::W, layer_.gates, &inputs_);
    cut_weight(in::R, layer_.gates, nullptr);
    cut_weight(in::B, 2 * layer_.gates, nullptr);
    cut_weight(in::P, 3, nullptr);
    for (const size_t i : {in::initial_h, in::initial_c}) cut_state(i);
    if (c_.node().has("hidden_size") && !whole()) c_.set_attribute("hidden_size", left());
    for (size_t i = 0; i < 3; ++i) {
      if (c_.output(i) != kNone) c_.record(c_.output(i), c_.canonical(c_.output(i)));
    }
  }

 private:
  int64_t left() const { return static_cast<int64_t>(kept_[0].size()); }
  bool whole() const { return left() == layer_.hidden; }

  /// Rows of `blocks` gates by direction; columns by direction too (R), by `columns` (W), or none (B, P).
  void cut_weight(size_t i, int64_t blocks, const std::vector<int64_t>* columns) {
    const ValueId v = c_.input(i);
    if (v == kNone) return;
    const Tensor& weight = c_.tensor(v);
    const int64_t width = weight.rank() == 3 ? weight.dims()[2] : 1;
    std::vector<int64_t> elements;
    for (int64_t d = 0; d < layer_.form.directions; ++d) {
      const std::vector<int64_t> all = {0};
      const std::vector<int64_t>& across = weight.rank() == 2 ? all : columns ? *columns : kept_[static_cast<size_t>(d)];
      for (int64_t block = 0; block < blocks; ++block) {
        for (const int64_t k : kept_[static_cast<size_t>(d)]) {
          const int64_t at = (d * blocks + block) * layer_.hidden + k;
          for (const int64_t column : across) elements.push_back(at * width + column);
        }
      }
    }
    Dims dims = {layer_.form.directions, blocks * left()};
    if (weight.rank() == 3) dims.push_back(columns ? static_cast<int64_t>(columns->size()) : left());
    c_.set_input(i, c_.cut_constant(v, take_blocks(weight, dims, 1, elements)));
  }

  Bundle state_order() const {
    std::vector<int32_t> all;
    for (const auto& row : kept_) all.insert(all.end(), row.begin(), row.end());
    return {{layer_.state_direction, 2}, IndexArray({layer_.form.directions, left()}, std::move(all)), 2};
  }

  /// A constant follows; zeros whose batch is dynamic go, since an absent state is zero; another value is reordered.
  void cut_state(size_t i) {
    const ValueId v = c_.input(i);
    if (v == kNone) return;
    if (c_.active(v)) return c_.set_input(i, c_.reorder(v, c_.current(i), c_.along(v, 2), state_order(), "initial state"));
    if (whole()) return;
    if (!c_.fact(v).bound) return c_.set_input(i, c_.cut_constant(v, c_.follow(c_.tensor(v), {state_order()}, 0)));
    const auto values = c_.tensor(v).to_doubles();
    if (!std::all_of(values.begin(), values.end(), [](double value) { return value == 0; })) {
      c_.inexpressible(c_.output(0), 3, "initial state of a dynamic batch is not zero");
    }
    c_.set_input(i, kNone);
  }

  CutContext& c_;
  const Layer& layer_;
  std::vector<int64_t> inputs_;                ///< coordinates left of X's features
  std::vector<std::vector<int64_t>> kept_;     ///< hidden units left, by direction
};

}  // namespace

/// The two axes that it mixes are frozen; the features pass.
void units::reverse_sequence(UnitContext& c) {
  const ValueId x = c.input(0);
  for (const int axis : {0, 1}) c.freeze_axis(x, axis, "time or batch axis of " + c.op());
  if (c.active(c.input(1))) c.freeze_value(c.input(1), "sequence lengths of " + c.op());
  c.set(c.output(), c.bundles(x));
}

void cuts::recurrent(CutContext& c) {
  const auto layer = layer_of(c);
  if (!layer) return c.opaque();
  RecurrentCut(c, *layer).run();
}

}  // namespace espalier
