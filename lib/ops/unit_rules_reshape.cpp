#include <algorithm>
#include <unordered_map>

#include "lib/ops/cut.h"
#include "lib/ops/unit_rules.h"

namespace espalier {
namespace {

/// Runs of source and result axes of equal product: [1,C,H,W] -> [C/2,2,HW] is {0,1} -> {0,1} and {2,3} -> {2}.
struct Segment {
  std::vector<int> in, out;
};

std::vector<Segment> segments(const Dims& src, const Dims& dst) {
  std::vector<Segment> result;
  size_t i = 0, j = 0;
  while (i < src.size() || j < dst.size()) {
    Segment s;
    int64_t in = 1, out = 1;
    const auto take_in = [&] { in *= src[i]; s.in.push_back(static_cast<int>(i++)); };
    const auto take_out = [&] { out *= dst[j]; s.out.push_back(static_cast<int>(j++)); };
    if (i < src.size()) take_in();
    if (j < dst.size()) take_out();
    while (in != out) {
      check(in < out ? i < src.size() : j < dst.size(), "a reshape keeps the number of elements");
      if (in < out) take_in();
      else take_out();
    }
    result.push_back(std::move(s));
  }
  return result;
}

/// The segments that `axes` touch, as one.
Segment touched(const std::vector<Segment>& all, const std::vector<int>& axes) {
  Segment result;
  for (const Segment& s : all) {
    const bool hit = std::any_of(s.in.begin(), s.in.end(),
                                 [&](int a) { return std::find(axes.begin(), axes.end(), a) != axes.end(); });
    if (!hit) continue;
    result.in.insert(result.in.end(), s.in.begin(), s.in.end());
    result.out.insert(result.out.end(), s.out.begin(), s.out.end());
  }
  return result;
}

Dims pick(const Dims& sizes, const std::vector<int>& axes) {
  Dims result;
  for (const int a : axes) result.push_back(sizes[static_cast<size_t>(a)]);
  return result;
}

int position(const std::vector<int>& axes, int axis) {
  return static_cast<int>(std::find(axes.begin(), axes.end(), axis) - axes.begin());
}

bool contains(const std::vector<int>& axes, int axis) { return std::find(axes.begin(), axes.end(), axis) != axes.end(); }

std::vector<int> permutation(const UnitNode& c) {
  const int rank = c.rank(c.input(0));
  std::vector<int> result;
  if (c.node().has("perm")) {
    for (const int64_t p : c.node().require<std::vector<int64_t>>("perm")) result.push_back(static_cast<int>(p));
  } else {
    for (int a = rank; a-- > 0;) result.push_back(a);
  }
  return result;
}

std::vector<Bundle> transposed(const std::vector<Bundle>& bundles, const std::vector<int>& perm) {
  std::vector<Bundle> result;
  for (const Bundle& b : bundles) result.push_back(b.moved([&](int axis) { return position(perm, axis); }));
  return result;
}

/// One Reshape in the surgeon. `current` is its data input as it is now, of sizes `now`.
class ReshapeCut {
 public:
  explicit ReshapeCut(CutContext& c)
      : c_(c), x_(c.input(0)), out_(c.output()), segments_(segments(c.dims(x_), c.dims(out_))),
        target_(c.canonical(out_)), current_(c.current(0)), now_(c.size(x_)), dims_(c.size(out_, target_)) {}

  void run() {
    for (const Bundle& k : c_.kept(x_)) cut(k);
    write();
    c_.record(out_, result_);
  }

 private:
  void cut(const Bundle& k);
  std::vector<int64_t> linear_index(const Bundle& k, const std::vector<int>& ins) const;
  bool says(const std::vector<int64_t>& linear, const std::vector<int>& outs, const Bundle& t);
  void gather(const Bundle& k, const Segment& hit, const std::vector<int64_t>& linear, const Bundle& t);
  std::vector<int64_t> wanted_index(const std::vector<int>& outs, const Bundle& t) const;
  std::vector<int64_t> sizes_before(int first, int last, int64_t length) const;
  void write();
  std::vector<int64_t> shape_operand() const;

  CutContext& c_;
  ValueId x_, out_;
  std::vector<Segment> segments_;
  std::vector<Bundle> target_, result_;
  ValueId current_;
  Dims now_, dims_;
  bool flattened_ = false;
  int same_axes_ = 64;  ///< leading axes of `current_` that are those of the input
};

/// Original linear index, within the touched segments, of every position left: the same before and after.
std::vector<int64_t> ReshapeCut::linear_index(const Bundle& k, const std::vector<int>& ins) const {
  const Dims sizes = pick(now_, ins), strides = row_major_strides(pick(c_.dims(x_), ins));
  const IndexArray coordinates = spread(k, ins, now_);
  const auto ragged = static_cast<size_t>(position(ins, k.ragged));
  std::vector<int64_t> linear;
  int64_t flat = 0;
  for_each_position(sizes, [&](const Dims& at) {
    int64_t index = coordinates[flat++] * strides[ragged];
    for (size_t i = 0; i < at.size(); ++i) index += i == ragged ? 0 : at[i] * strides[i];
    linear.push_back(index);
  });
  return linear;
}

/// Whether the pruned numbers alone say the reshape; then what is left of the output is filed.
bool ReshapeCut::says(const std::vector<int64_t>& linear, const std::vector<int>& outs, const Bundle& t) {
  const Dims sizes = pick(dims_, outs), whole = pick(c_.dims(out_), outs), own = pick(dims_, t.axes);
  const auto ragged = static_cast<size_t>(position(outs, t.ragged));
  std::vector<int32_t> got(static_cast<size_t>(element_count(own)), -1);
  bool same = true;
  size_t p = 0;
  for_each_position(sizes, [&](const Dims& at) {
    int64_t rest = linear[p++];
    if (!same) return;
    size_t place = 0;
    for (size_t i = 0; i < t.axes.size(); ++i) {
      place = place * static_cast<size_t>(own[i]) + static_cast<size_t>(at[static_cast<size_t>(position(outs, t.axes[i]))]);
    }
    for (size_t i = sizes.size(); i-- > 0;) {
      const int64_t said = rest % whole[i];
      rest /= whole[i];
      if (i != ragged) same = same && said == at[i];
      else if (got[place] < 0) got[place] = static_cast<int32_t>(said);
      else same = same && got[place] == said;
    }
  });
  if (same) result_.push_back({t.axes, IndexArray(own, std::move(got)), t.ragged});
  return same;
}

std::vector<int64_t> ReshapeCut::wanted_index(const std::vector<int>& outs, const Bundle& t) const {
  const Dims sizes = pick(dims_, outs), strides = row_major_strides(pick(c_.dims(out_), outs));
  const IndexArray coordinates = spread(t, outs, dims_);
  const auto ragged = static_cast<size_t>(position(outs, t.ragged));
  std::vector<int64_t> wanted;
  int64_t flat = 0;
  for_each_position(sizes, [&](const Dims& at) {
    int64_t index = coordinates[flat++] * strides[ragged];
    for (size_t i = 0; i < at.size(); ++i) index += i == ragged ? 0 : at[i] * strides[i];
    wanted.push_back(index);
  });
  return wanted;
}

/// Sizes of the input with [first, last] as one axis; a dynamic size is 0 (as it was) or -1.
std::vector<int64_t> ReshapeCut::sizes_before(int first, int last, int64_t length) const {
  std::vector<int64_t> result;
  const SymbolicDims& symbolic = c_.fact(x_).symbolic;
  int unknown = 0;
  for (int a = 0; a < static_cast<int>(now_.size()); ++a) {
    const auto at = static_cast<size_t>(a);
    if (a > first && a <= last) continue;
    if (a == first) result.push_back(length);
    else if (symbolic[at].known()) result.push_back(now_[at]);
    else if (a < first) result.push_back(0);
    else if (++unknown == 1) result.push_back(-1);
    else c_.inexpressible(x_, first, "Reshape of several dynamic sizes");
  }
  return result;
}

/// Reshape cannot say it: one Gather before it.
void ReshapeCut::gather(const Bundle& k, const Segment& hit, const std::vector<int64_t>& linear, const Bundle& t) {
  const int first = hit.in.front(), last = hit.in.back();
  std::unordered_map<int64_t, int64_t> place;
  for (size_t i = 0; i < linear.size(); ++i) place.emplace(linear[i], static_cast<int64_t>(i));
  std::vector<int64_t> index;
  for (const int64_t w : wanted_index(touched(segments_, k.axes).out, t)) {
    const auto found = place.find(w);
    if (found == place.end()) c_.inexpressible(x_, k.ragged, "Reshape mixes what is left");
    index.push_back(found->second);
  }
  if (last > first) {
    const auto flat = sizes_before(first, last, static_cast<int64_t>(linear.size()));
    current_ = c_.before("Reshape", {current_, c_.numbers(flat, "shape")}, {}, c_.graph().value(x_).name + "__flat");
    flattened_ = true;
    same_axes_ = first;
  }
  if (first == last) c_.wish(x_, first, index);
  current_ = c_.gather(current_, first, index, c_.op());
  result_.push_back(t);
}

void ReshapeCut::cut(const Bundle& k) {
  if (flattened_) c_.inexpressible(x_, k.ragged, "several pruned axes in one Reshape");
  const Segment s = touched(segments_, k.axes);
  for (const Bundle& o : c_.kept(x_)) {
    if (&o != &k && contains(s.in, o.ragged)) c_.inexpressible(x_, k.ragged, "two pruned axes in one Reshape segment");
  }
  const std::vector<int64_t> linear = linear_index(k, s.in);
  const auto found = std::find_if(target_.begin(), target_.end(), [&](const Bundle& t) { return contains(s.out, t.ragged); });
  Bundle t = found != target_.end() ? *found
                                    : Bundle::along(s.out.back(), IndexArray::range(0, c_.dim(out_, s.out.back())));
  if (static_cast<int64_t>(linear.size()) != element_count(pick(dims_, s.out))) {
    c_.inexpressible(x_, k.ragged, "Reshape of unequal rows");
  }
  if (says(linear, s.out, t)) return;
  std::vector<Segment> hit;
  for (const Segment& one : segments_) {
    const bool touches = std::any_of(one.in.begin(), one.in.end(), [&](int a) { return contains(s.in, a); });
    if (touches && element_count(pick(now_, one.in)) > 1) hit.push_back(one);
  }
  if (hit.size() != 1) c_.inexpressible(x_, k.ragged, "a row-dependent Gather before Reshape");
  gather(k, hit[0], linear, t);
}

/// The shape operand: as it was where that still holds, numbers elsewhere; a dynamic size stays 0 or -1.
std::vector<int64_t> ReshapeCut::shape_operand() const {
  std::vector<int64_t> raw;
  const ValueId operand = c_.op() == "Reshape" ? c_.input(1) : kNone;
  if (c_.constant(operand) && !c_.fact(operand).bound) raw = c_.tensor(operand).to_int64s();
  if (c_.op() == "Reshape" && c_.node().has("shape")) raw = c_.node().require<std::vector<int64_t>>("shape");
  const SymbolicDims &before = c_.fact(x_).symbolic, &after = c_.fact(out_).symbolic;
  bool unknown = std::count(raw.begin(), raw.end(), -1) > 0;
  std::vector<int64_t> result;
  for (size_t i = 0; i < dims_.size(); ++i) {
    const bool aligned = i < before.size() && static_cast<int>(i) < same_axes_;
    const int64_t was = i < raw.size() ? raw[i] : 1;
    if (was == -1 || (was == 0 && aligned && now_[i] == dims_[i])) result.push_back(was);
    else if (after[i].known()) result.push_back(dims_[i]);
    else if (aligned && before[i].same_as(after[i]) && now_[i] == dims_[i]) result.push_back(0);
    else if (!unknown) unknown = true, result.push_back(-1);
    else c_.inexpressible(x_, c_.kept(x_)[0].ragged, "Reshape to several dynamic sizes");
  }
  return result;
}

void ReshapeCut::write() {
  const bool axes_given = c_.node().has("axes") || c_.input(1) != kNone;
  const bool moved = current_ != c_.current(0);
  if (c_.op() != "Reshape" && !moved && !(c_.op() == "Squeeze" && !axes_given)) return;
  const std::vector<int64_t> shape = shape_operand();
  if (c_.op() == "Reshape" && c_.node().version < 5) {
    c_.set_input(0, current_);
    return c_.set_attribute("shape", shape);
  }
  if (c_.op() == "Reshape") {
    c_.set_input(0, current_);
    const ValueId operand = c_.input(1);
    const bool same = c_.constant(operand) && !c_.fact(operand).bound && c_.tensor(operand).to_int64s() == shape;
    if (same) return;
    c_.set_input(1, c_.numbers(shape, "shape"));
    if (c_.node().has("allowzero")) c_.erase_attribute("allowzero");  // the zeros written now copy a size
    return;
  }
  c_.become("Reshape", {current_, c_.numbers(shape, "shape")}, {});
}

}  // namespace

void units::transpose(UnitContext& c) { c.set(c.output(), transposed(c.bundles(c.input(0)), permutation(c))); }

void cuts::transpose(CutContext& c) { c.record(c.output(), transposed(c.kept(c.input(0)), permutation(c))); }

void units::reshape(UnitContext& c) {
  const ValueId x = c.input(0), out = c.output();
  const Dims &src = c.dims(x), &dst = c.dims(out);
  const int64_t count = element_count(src);
  if (count == 0 || count != element_count(dst)) {  // a shape that depends on data is as the file declares it
    c.freeze_value(x, count == 0 ? "a reshape of no elements" : "a reshape to a declared size that does not fit");
    return c.set(out, {});
  }
  const std::vector<Segment> all = segments(src, dst);
  std::vector<Bundle> result;
  for (const Bundle& b : c.bundles(x)) {
    const Segment s = touched(all, b.axes);
    const Segment own = touched(all, {b.ragged});
    if (s.out.empty()) continue;
    const IndexArray ids = spread(b, s.in, src).reshaped(pick(dst, s.out));
    const int ragged = biggest_axis(own.out.empty() ? s.out : own.out, dst);
    Bundle tidied = c.tidy({s.out, ids, ragged}, dst);
    if (tidied.ragged < 0) c.freeze(b.ids, "the whole axis is one unit");
    else result.push_back(std::move(tidied));
  }
  c.set(out, std::move(result));
}

void cuts::reshape(CutContext& c) {
  if (c.kept(c.input(0)).empty()) return c.record(c.output(), {});
  ReshapeCut(c).run();
}

}  // namespace espalier
