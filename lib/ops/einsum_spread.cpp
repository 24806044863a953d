#include "lib/ops/einsum_equation.h"
#include "lib/ops/evaluate.h"
#include "lib/ops/infer.h"
#include "lib/ops/lower.h"
#include "lib/ops/op.h"

namespace espalier::ops {
namespace {

void infer(InferContext& c) {
  c.require_inputs(2, 2);
  c.set(0, c.type(1));
}

std::vector<Label> labels(const Node& node, const char* attribute) {
  const auto given = node.get<std::vector<int64_t>>(attribute, {});
  return {given.begin(), given.end()};
}

/// The walk over x by its different labels: sizes, and strides in x and in g. What no label reaches stays zero.
struct Walk {
  Dims sizes, to, from;

  Walk(const Node& node, const Dims& x, const Dims& g) {
    const auto of_x = labels(node, "labels"), of_g = labels(node, "from");
    const Dims own = row_major_strides(x), there = row_major_strides(g);
    std::vector<Label> seen;
    for (size_t axis = 0; axis < of_x.size(); ++axis) {
      const int known = axis_of(seen, of_x[axis]);
      if (known >= 0) {  // one label, several axes: its diagonal
        to[static_cast<size_t>(known)] += own[axis];
        continue;
      }
      seen.push_back(of_x[axis]);
      sizes.push_back(x[axis]);
      to.push_back(own[axis]);
      const int at = axis_of(of_g, of_x[axis]);
      from.push_back(at < 0 || g[static_cast<size_t>(at)] == 1 ? 0 : there[static_cast<size_t>(at)]);
    }
  }

  template <class T>
  void run(const T* g, T* x) const {
    const int64_t count = element_count(sizes);
    for (int64_t i = 0; i < count; ++i) {
      int64_t rest = i, a = 0, b = 0;
      for (size_t axis = sizes.size(); axis-- > 0; rest /= sizes[axis]) {
        a += rest % sizes[axis] * to[axis];
        b += rest % sizes[axis] * from[axis];
      }
      x[a] = g[b];
    }
  }
};

void evaluate(EvaluateContext& c) {
  const Tensor g = c.input(0).cast(DataType::float64);
  Tensor x(DataType::float64, c.input(1).dims());
  Walk(c.node(), x.dims(), g.dims()).run(g.data<double>().data(), x.mutable_data<double>().data());
  c.set(0, x.cast(c.input(0).type()));
}

/// Arguments: g, x.
class SpreadLoop : public Kernel {
 public:
  SpreadLoop(Walk walk, int64_t size) : walk_(std::move(walk)), size_(size) {}
  void bind(std::span<void* const> args) override {
    g_ = static_cast<const float*>(args[0]);
    x_ = static_cast<float*>(args[1]);
  }
  void run() override {
    std::fill_n(x_, size_, 0.0f);
    walk_.run(g_, x_);
  }

 private:
  Walk walk_;
  int64_t size_;
  const float* g_ = nullptr;
  float* x_ = nullptr;
};

bool lower(LowerContext& c) {
  const Dims g = c.dims(0), x = c.dims(1);
  if (c.type(0) != DataType::float32 || element_count(x) == 0 || element_count(g) == 0) return false;
  const Operand from = c.read(0, Layout::plain(DataType::float32, g));
  c.step(std::make_unique<SpreadLoop>(Walk(c.node(), x, g), element_count(x)), {from, c.write(0, Layout::plain(DataType::float32, x))}, "loop");
  return true;
}

}  // namespace

/// EinsumSpread(g, x_like) {labels, from} -> x: labels: of the axes of x, in which one may stand several times; from: of g, all
/// different. x holds g's element at its labels where all axes of a label agree, 0 elsewhere; labels that g lacks, or has with
/// size 1, repeat it.
extern const Op einsum_spread;
const Op einsum_spread = {
    .name = "EinsumSpread",
    .domain = kInternalDomain,
    .infer = infer,
    .evaluate = evaluate,
    .lower = lower,
    .shape_only_inputs = 0b10,
};

}  // namespace espalier::ops
