// NonMaxSuppression: per batch and class the boxes of the highest scores, without those that overlap a chosen one too much.

#include <algorithm>

#include "lib/ops/cost.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(2, 5);
  for (const size_t i : {0, 1, 3, 4}) require_type(c, i, is_float, "float");
  require_type(c, 2, is_integer, "int64");
  c.require_rank(0, 3, 3);
  c.require_rank(1, 3, 3);
  const auto center = c.node().get<int64_t>("center_point_box", 0);
  if (center != 0 && center != 1) c.fail("center_point_box is " + std::to_string(center) + ", expected 0 or 1");
  if (c.has_rank(0) && c.dims(0)[2].known() && !c.dims(0)[2].is(4)) c.fail("boxes are " + c.type(0).str() + ", expected 4 numbers each");
  if (c.has_rank(0) && c.has_rank(1)) {
    const auto differ = [](const Dim& a, const Dim& b) { return a.known() && b.known() && !(a == b); };
    if (differ(c.dims(0)[0], c.dims(1)[0]) || differ(c.dims(0)[1], c.dims(1)[2])) {
      c.fail("boxes are " + c.type(0).str() + ", but scores " + c.type(1).str());
    }
  }
  c.set(0, DataType::int64, {Dim(), 3});
}

/// The one element of an optional input.
std::optional<double> number(const EvaluateContext& c, size_t i) {
  if (!c.has_input(i) || c.input(i).size() == 0) return std::nullopt;
  return c.input(i).to_doubles()[0];
}

template <class V>
struct Box {
  V x0, y0, x1, y1;

  Box(const V* b, bool center) {
    if (center) {
      x0 = b[0] - b[2] / 2, x1 = b[0] + b[2] / 2, y0 = b[1] - b[3] / 2, y1 = b[1] + b[3] / 2;
    } else {
      y0 = std::min(b[0], b[2]), y1 = std::max(b[0], b[2]), x0 = std::min(b[1], b[3]), x1 = std::max(b[1], b[3]);
    }
  }
  V area() const { return (x1 - x0) * (y1 - y0); }
};

/// Intersection over union; 0 where a box is empty.
template <class V>
V overlap(const Box<V>& a, const Box<V>& b) {
  const V width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0), height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (!(width > 0) || !(height > 0) || !(a.area() > 0) || !(b.area() > 0)) return 0;
  const V common = width * height;
  return common / (a.area() + b.area() - common);
}

/// Boxes of one class, best first.
template <class V>
std::vector<int64_t> chosen(const V* boxes, const V* scores, int64_t n, int64_t most, std::optional<double> least, double most_overlap,
                            bool center) {
  std::vector<int64_t> order, result;
  for (int64_t i = 0; i < n; ++i) {
    if (!least || scores[i] > static_cast<V>(*least)) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
  for (const int64_t i : order) {
    if (static_cast<int64_t>(result.size()) >= most) break;
    const Box<V> box(boxes + 4 * i, center);
    const bool covered = std::any_of(result.begin(), result.end(), [&](int64_t j) {
      return overlap(box, Box<V>(boxes + 4 * j, center)) > static_cast<V>(most_overlap);
    });
    if (!covered) result.push_back(i);
  }
  return result;
}

void evaluate(EvaluateContext& c) {
  const Dims &boxes = c.input(0).dims(), &scores = c.input(1).dims();
  const int64_t most = c.has_input(2) && c.input(2).size() > 0 ? c.input(2).to_int64s()[0] : 0;
  const double most_overlap = number(c, 3).value_or(0);
  if (boxes[0] != scores[0] || boxes[1] != scores[2]) c.fail("boxes are " + to_string(boxes) + ", but scores " + to_string(scores));
  std::vector<int64_t> result;
  dispatch_float(c.input(0).type(), [&]<class T>() {
    using V = Calc<T>;
    const Tensor b = c.input(0).cast(data_type_of<V>), s = c.input(1).cast(data_type_of<V>);
    const V *box = b.template data<V>().data(), *score = s.template data<V>().data();
    for (int64_t batch = 0; batch < scores[0]; ++batch) {
      for (int64_t k = 0; k < scores[1]; ++k) {
        const V* of_class = score + (batch * scores[1] + k) * scores[2];
        const bool center = c.node().get<int64_t>("center_point_box", 0) != 0;
        for (const int64_t i : chosen<V>(box + batch * boxes[1] * 4, of_class, boxes[1], most, number(c, 4), most_overlap, center)) {
          result.insert(result.end(), {batch, k, i});
        }
      }
    }
  });
  c.set(0, Tensor::of<int64_t>({static_cast<int64_t>(result.size()) / 3, 3}, result));
}

Cost cost(const InferContext& c) { return {.bytes = checked_add(known_bytes(c.type(0)), known_bytes(c.type(1)))}; }

}  // namespace

extern const Op non_max_suppression;
const Op non_max_suppression = {.name = "NonMaxSuppression", .since = 10, .infer = infer, .evaluate = evaluate, .cost = cost};

}  // namespace espalier::ops
