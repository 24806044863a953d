#include "lib/ops/cut.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string_view>
#include <tuple>

#include "lib/tensor/take.h"

namespace espalier {
namespace {

/// Every coordinate is there and in its place.
bool identity(const Bundle& b, const Dims& sizes) {
  if (b.length() != sizes[static_cast<size_t>(b.ragged)]) return false;
  const IndexArray rows = b.rows();
  for (int64_t i = 0; i < rows.size(); ++i) {
    if (rows[i] != i % rows.dim(1)) return false;
  }
  return true;
}

size_t content_hash(const Tensor& t) {
  const auto bytes = t.bytes();
  size_t hash = std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  for (const int64_t d : t.dims()) hash = hash * 1000003 + static_cast<size_t>(d);
  return hash;
}

}  // namespace

std::vector<int64_t> whole_order(int64_t n) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  return order;
}

std::vector<int64_t> to_order(const IndexArray& ids) { return {ids.values().begin(), ids.values().end()}; }

std::vector<Bundle> CutContext::canonical(const std::vector<Bundle>& bundles) const {
  std::vector<Bundle> result;
  for (const Bundle& b : bundles) {
    const int at = b.ragged_position();
    const IndexArray rows = b.rows();
    std::vector<int32_t> left;
    int64_t count = -1;
    for (int64_t r = 0; r < rows.dim(0); ++r) {
      const size_t before = left.size();
      for (int64_t i = 0; i < rows.dim(1); ++i) {
        const auto root = static_cast<size_t>(units().find(rows[r * rows.dim(1) + i]));
        if ((*state_.keep)[root]) left.push_back(static_cast<int32_t>(i));
      }
      const auto now = static_cast<int64_t>(left.size() - before);
      if (count >= 0 && now != count) throw Inexpressible(b.ids, "unequal rows");
      count = now;
    }
    if (count == rows.dim(1)) continue;
    // Back from [rows, left] with the ragged axis last to its place.
    Dims moved;
    std::vector<int> back;
    for (int k = 0; k < b.ids.rank(); ++k) {
      if (k != at) moved.push_back(b.ids.dim(k));
      back.push_back(k == at ? b.ids.rank() - 1 : k < at ? k : k - 1);
    }
    moved.push_back(count);
    result.push_back({b.axes, IndexArray(moved, std::move(left)).transposed(back), b.ragged});
  }
  return result;
}

std::vector<Bundle> CutContext::at_birth(ValueId v, int64_t block) const {
  std::vector<Bundle> result = canonical(v);
  if (state_.rank.empty()) return result;
  for (Bundle& k : result) {
    const Bundle* b = find_ragged(bundles(v), k.ragged);
    if (k.axes.size() > 1 || !b || b->axes.size() > 1) continue;
    const auto place = [&](int32_t coordinate) {
      const int32_t root = units().find(b->ids[coordinate]);
      return std::tuple(block > 0 ? coordinate / block : 0, state_.rank[static_cast<size_t>(root)], coordinate);
    };
    std::vector<int32_t> order(k.ids.values().begin(), k.ids.values().end());
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t c) { return place(a) < place(c); });
    k.ids = IndexArray(k.ids.dims(), std::move(order));
  }
  return result;
}

void CutContext::wish(ValueId v, int axis, const std::vector<int64_t>& index) {
  const Bundle *k = find_ragged(kept(v), axis), *b = find_ragged(bundles(v), axis);
  if (!k || !b || k->axes.size() > 1 || b->axes.size() > 1) return;
  std::vector<int32_t> roots;
  for (const int64_t i : index) roots.push_back(units().find(b->ids[k->ids[i]]));
  state_.wishes.push_back(std::move(roots));
}

Dims CutContext::size(ValueId v, const std::vector<Bundle>& kept) const {
  Dims result = dims(v);
  for (const Bundle& k : kept) result[static_cast<size_t>(k.ragged)] = k.length();
  return result;
}

void CutContext::record(ValueId v, std::vector<Bundle> kept) {
  if (v == kNone) return;
  std::erase_if(kept, [&](const Bundle& k) { return identity(k, dims(v)); });
  const std::vector<Bundle> wanted = canonical(v);
  const auto disagree = [&](int axis, const std::string& how) {
    throw Error(ErrorKind::internal, node().where() + ": surgeon and unit ids disagree on axis " + std::to_string(axis) +
                                         " of '" + graph().value(v).name + "': " + how);
  };
  for (const Bundle& w : wanted) {
    if (!find_ragged(kept, w.ragged)) disagree(w.ragged, "the surgeon kept all of it");
  }
  for (const Bundle& k : kept) {
    const Bundle* found = find_ragged(wanted, k.ragged);
    const Bundle w = found ? *found : Bundle::along(k.ragged, IndexArray::range(0, dim(v, k.ragged)));
    const std::vector<int> axes = merged_axes(k.axes, w.axes);
    const Bundle sorted{k.axes, k.ids.sorted_along(k.ragged_position()), k.ragged};
    if (k.length() != w.length()) {
      disagree(k.ragged, std::to_string(k.length()) + " positions, expected " + std::to_string(w.length()));
    }
    if (!(spread(sorted, axes, dims(v)) == spread(w, axes, dims(v)))) disagree(k.ragged, "other positions");
  }
  state_.kept[static_cast<size_t>(v)] = std::move(kept);
}

std::vector<int64_t> CutContext::order(ValueId v, int axis) const {
  const Bundle* k = find_ragged(kept(v), axis);
  if (!k) return whole_order(dim(v, axis));
  if (k->axes.size() > 1) inexpressible(v, axis, "rows reach shared weights in different orders");
  return to_order(k->ids);
}

Bundle CutContext::along(ValueId v, int axis) const {
  const Bundle* k = find_ragged(kept(v), axis);
  return k ? *k : Bundle::along(axis, IndexArray::range(0, dim(v, axis)));
}

IndexArray CutContext::ids_at(ValueId v, int axis) const {
  const Bundle* b = find_ragged(bundles(v), axis);
  return b ? b->ids : IndexArray();
}

void CutContext::require_whole(ValueId v) const {
  if (!active(v) || kept(v).empty()) return;
  inexpressible(v, kept(v)[0].ragged, "its order would have to be restored for an opaque op or output");
}

void CutContext::opaque() {
  for (const ValueId v : node().inputs) require_whole(v);
}

void CutContext::set_input(size_t i, ValueId v) {
  if (current(i) != v) state_.graph.set_input(id_, i, v);
}

ValueId CutContext::cut_constant(ValueId from, Tensor tensor) {
  if (tensor == this->tensor(from)) {
    const auto pinned = state_.pinned.find(from);
    return pinned == state_.pinned.end() ? from : pinned->second;
  }
  return constant_of(std::move(tensor), graph().value(from).name, from);
}

ValueId CutContext::numbers(const std::vector<int64_t>& values, const std::string& hint) {
  return constant_like(Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, values), hint);
}

ValueId CutContext::constant_of(Tensor tensor, const std::string& hint, ValueId from) {
  const size_t hash = content_hash(tensor);
  const auto [begin, end] = state_.by_content.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const auto origin = state_.cut_from.find(it->second);
    const ValueId cut_from = origin == state_.cut_from.end() ? kNone : origin->second;
    if (cut_from == from && *state_.graph.initializer(it->second) == tensor) return it->second;
  }
  const ValueId made = state_.graph.add_value(hint, Type::tensor(tensor.type(), tensor.dims()));
  state_.graph.set_initializer(made, std::move(tensor));
  state_.by_content.emplace(hash, made);
  if (from != kNone) state_.cut_from.emplace(made, from);
  return made;
}

ValueId CutContext::before(const std::string& op, std::vector<ValueId> inputs, std::vector<Attribute> attributes,
                           const std::string& hint) {
  const ValueId out = state_.graph.add_value(hint);
  Node node;
  node.op_type = op;
  node.inputs = std::move(inputs);
  node.outputs = {out};
  node.attributes = std::move(attributes);
  node.name = state_.graph.value(out).name;
  node.version = opset();
  state_.made_for.emplace(state_.graph.add_node(std::move(node), id_), id_);
  return out;
}

ValueId CutContext::interpose(size_t i, const std::string& hint) {
  std::vector<ValueId> outputs = node().outputs;
  const ValueId inner = state_.graph.add_value(graph().value(outputs[i]).name + hint);
  outputs[i] = inner;
  state_.graph.set_outputs(id_, outputs);
  return inner;
}

void CutContext::after(const std::string& op, std::vector<ValueId> inputs, std::vector<Attribute> attributes, ValueId output) {
  Node node;
  node.op_type = op;
  node.inputs = std::move(inputs);
  node.outputs = {output};
  node.attributes = std::move(attributes);
  node.name = graph().value(output).name + "__" + op;
  node.version = opset();
  state_.made_for.emplace(state_.graph.add_node(std::move(node), next_), id_);
}

void CutContext::become(const std::string& op, std::vector<ValueId> inputs, std::vector<Attribute> attributes) {
  Graph& g = state_.graph;
  std::vector<std::string> old;
  for (const Attribute& a : g.node(id_).attributes) old.push_back(a.name);
  for (const std::string& name : old) g.erase_attribute(id_, name);
  g.set_inputs(id_, std::move(inputs));
  g.set_op_type(id_, op, opset());
  for (Attribute& a : attributes) g.set_attribute(id_, std::move(a));
}

std::vector<Attribute> CutContext::gather_attributes(int axis, const std::string& why) {
  state_.gathers.push_back(why + " (" + node().where() + ")");
  return {{"axis", int64_t{axis}, ""}};
}

ValueId CutContext::gather(ValueId v, int axis, const std::vector<int64_t>& index, const std::string& why) {
  auto attributes = gather_attributes(axis, why);
  return before("Gather", {v, numbers(index, "kept")}, std::move(attributes), state_.graph.value(v).name + "__gather");
}

ValueId CutContext::reorder(ValueId original, ValueId v, const Bundle& have, const Bundle& want, const std::string& why) {
  const int axis = have.ragged;
  const std::vector<int> axes = merged_axes(have.axes, want.axes);
  if (axes.front() < 0) inexpressible(original, axis, "rows lie on an axis that the operand lacks");
  const Bundle h{axes, spread(have, axes, dims(original)), axis}, w{axes, spread(want, axes, dims(original)), axis};
  if (h.ids == w.ids) return v;
  const IndexArray from = h.rows(), to = w.rows();
  const int64_t n = from.dim(1), m = to.dim(1);
  std::vector<int64_t> index;
  for (int64_t r = 0; r < from.dim(0); ++r) {
    std::unordered_map<int32_t, int64_t> place;
    for (int64_t i = n; i-- > 0;) place[from[r * n + i]] = i;
    std::vector<int64_t> row;
    for (int64_t i = 0; i < m; ++i) {
      const auto found = place.find(to[r * m + i]);
      check(found != place.end(), "an operand holds every coordinate that it is reordered to");
      row.push_back(found->second);
    }
    if (r > 0 && row != index) inexpressible(original, axis, "rows would need different Gathers");
    index = std::move(row);
  }
  return gather(v, axis, index, why);
}

std::vector<Bundle> CutContext::join(ValueId out, const std::vector<size_t>& inputs, int skip_axis) {
  std::vector<Bundle> order;
  for (const size_t i : inputs) {
    const ValueId v = input(i);
    if (!active(v)) continue;
    const int lead = rank(out) - rank(v);
    for (const Bundle& k : kept(v)) {
      if (k.ragged + lead != skip_axis && !find_ragged(order, k.ragged + lead)) order.push_back(k.shifted_axes(lead));
    }
  }
  for (const size_t i : inputs) {
    const ValueId v = input(i);
    if (!active(v)) continue;
    const int lead = rank(out) - rank(v);
    ValueId now = current(i);
    for (const Bundle& k : order) {
      const int axis = k.ragged - lead;
      if (axis < 0 || dim(v, axis) == 1) continue;
      const bool within = std::all_of(k.axes.begin(), k.axes.end(), [&](int a) { return a >= lead; });
      if (within) now = reorder(v, now, along(v, axis), k.shifted_axes(-lead), op() + " joins two orders");
    }
    set_input(i, now);
  }
  return order;
}

namespace {

/// What all rows keep, if it is the same; nothing of a bundle without rows.
std::optional<IndexArray> common_row(const Bundle& bundle) {
  if (bundle.axes.size() == 1) return std::nullopt;
  const IndexArray rows = bundle.rows();
  const int64_t length = rows.dim(1);
  for (int64_t i = length; i < rows.size(); ++i) {
    if (rows[i] != rows[i - length]) return std::nullopt;
  }
  return IndexArray({length}, {rows.values().begin(), rows.values().begin() + length});
}

}  // namespace

Tensor CutContext::follow(const Tensor& tensor, const std::vector<Bundle>& kept, int lead) const {
  std::vector<Bundle> index;
  for (const Bundle& k : kept) {
    const int axis = k.ragged - lead;
    if (axis < 0 || tensor.dims()[static_cast<size_t>(axis)] == 1) continue;
    if (const auto row = common_row(k)) {
      index.push_back(Bundle::along(axis, *row));
    } else if (k.axes.front() < lead) {  // it lacks the row axis
      Dims wider(static_cast<size_t>(lead - k.axes.front()), 1);
      wider.insert(wider.end(), tensor.dims().begin(), tensor.dims().end());
      return follow(tensor.reshaped(std::move(wider)), kept, k.axes.front());
    } else {
      index.push_back(k.shifted_axes(-lead));
    }
  }
  if (index.empty()) return tensor;
  Dims result = tensor.dims();
  for (const Bundle& k : index) {
    for (size_t i = 0; i < k.axes.size(); ++i) result[static_cast<size_t>(k.axes[i])] = k.ids.dims()[i];
  }
  const Dims strides = row_major_strides(tensor.dims());
  std::vector<int64_t> elements;
  for_each_position(result, [&](const Dims& at) {
    Dims from = at;
    for (size_t i = 0; i < from.size(); ++i) {
      if (tensor.dims()[i] == 1) from[i] = 0;
    }
    for (const Bundle& k : index) {
      int64_t flat = 0;
      for (size_t i = 0; i < k.axes.size(); ++i) flat = flat * k.ids.dims()[i] + at[static_cast<size_t>(k.axes[i])];
      from[static_cast<size_t>(k.ragged)] = k.ids[flat];
    }
    int64_t element = 0;
    for (size_t i = 0; i < from.size(); ++i) element += from[i] * strides[i];
    elements.push_back(element);
  });
  return take_blocks(tensor, result, 1, elements);
}

}  // namespace espalier
